//! The command line as a whole, as clap reads it; the options of a command are
//! in its room, those of several in `options`. Texts here are what `--help` prints.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::agent::ca::CaArgs;
use crate::agent::hold::{HoldArgs, UnholdArgs};
use crate::agent::token::TokenArgs;
use crate::agent::{LabelArgs, OutArgs, RenameArgs, ShowArgs};
use crate::agent_upgrade::args::ToolArgs;
use crate::agents::AgentsArgs;
use crate::attach::WatchArgs;
use crate::cancel::CancelArgs;
use crate::complete::CompleteArgs;
use crate::doctor::args::DoctorArgs;
use crate::enroll::EnrollArgs;
use crate::guide::GuideArgs;
use crate::options::Global;
use crate::package::args::PackageCommand;
use crate::release::ReleaseCommand;
use crate::repo::args::RepoCommand;
use crate::result::ResultArgs;
use crate::rollout::args::RolloutCommand;
use crate::tasks::TasksArgs;
use crate::upgrade::args::UpgradeArgs;

/// Upgrade agents, watch it happen, and prepare what they are upgraded with.
#[derive(Debug, Parser)]
#[command(name = "wpkctl", version)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Upgrade agents. Exit status 0: every agent got a task and, with --watch, ended well; 1: some
    /// were refused or failed; 3: none failed, but of some it is not known how they ended (timed
    /// out, not confirmed, sent to agents that cannot report, still under way when the watching
    /// ended); 130: interrupted.
    Upgrade(UpgradeArgs),
    /// Watch upgrades that are under way: of all agents, of some, or of a rollout. Attaches at any
    /// time and as often as wished; Ctrl-C ends the watching only. Exit status as of upgrade
    /// --watch, and of rollout status --watch; 1 also if an agent has no task.
    Watch(WatchArgs),
    /// Show the last upgrade task of agents, or with --all every task. Exit status 0: every agent
    /// has a task, and none failed or was cancelled; tasks may still be under way or wait to be
    /// confirmed; 1: some have none, failed or were cancelled; 3: none of these, but some timed
    /// out, were not confirmed, or went to agents that cannot report.
    Result(ResultArgs),
    /// List the tasks that wait or run now. Exit status 0 however many there are.
    Tasks(TasksArgs),
    /// Take tasks back before their installers begin; a begun installer is never stopped. Exit
    /// status 0: all were taken back; 1: some could not be, and it is told why.
    Cancel(CancelArgs),
    /// List the agents that the manager knows.
    Agents(AgentsArgs),
    /// Look at the whole path of an upgrade before anyone upgrades: sockets, rights, disk,
    /// repository, certificates, clock and task database. Changes nothing. Exit status 0 only
    /// if nothing failed.
    Doctor(DoctorArgs),
    /// Roll a version out: in waves, inside windows, with gates that stop it.
    Rollout {
        #[command(subcommand)]
        command: RolloutCommand,
    },
    /// Say which versions rollouts may begin.
    Release {
        #[command(subcommand)]
        command: ReleaseCommand,
    },
    /// Manage agents: those of the embedded manager, and which ones rollouts leave alone.
    Agent {
        #[command(subcommand)]
        command: AgentCommand,
    },
    /// Make WPK files and look into them.
    Package {
        #[command(subcommand)]
        command: PackageCommand,
    },
    /// Manage a repository folder.
    Repo {
        #[command(subcommand)]
        command: RepoCommand,
    },
    /// Show a page of the guide, or the list of its pages.
    Guide(GuideArgs),
    /// The 4.x tool of that name; installed, it is a link of that name to this program.
    #[command(name = "agent_upgrade", hide = true)]
    AgentUpgrade(ToolArgs),
    /// Print what may stand at the end of a command line, for the completions of shells.
    #[command(hide = true)]
    Complete(CompleteArgs),
    /// Write the man pages and shell completions that packages install.
    #[command(hide = true)]
    Generate(GenerateArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    /// Enroll a new agent and write a home folder with which wpk-agent can start.
    Enroll(EnrollArgs),
    /// Show all that the manager knows of an agent.
    Show(ShowArgs),
    /// Take the certificates of agents back: they are cut off at once, and their ids are never
    /// used again. What is known of them can still be shown.
    Revoke(OutArgs),
    /// Revoke agents and forget what is known of them; their ids stay used up.
    Remove(OutArgs),
    /// Issue a token with which agents enroll over the network; or list them, or revoke one.
    Token(TokenArgs),
    /// Show the CA that certifies agents, or replace it in three steps by which nobody is
    /// cut off.
    Ca(CaArgs),
    /// Give an agent another name.
    Rename(RenameArgs),
    /// Set labels of agents, and take some away. Of agents that a 4.x manager enrolled the
    /// daemon keeps them itself.
    Label(LabelArgs),
    /// Hold agents: no rollout touches them until they are let go. Exit status 1 if the manager
    /// does not know some of them.
    Hold(HoldArgs),
    /// Let agents go that were held.
    Unhold(UnholdArgs),
    /// List the agents that are held, and why.
    Holds,
}

#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// Folder to write to, laid out like /usr/share.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}
