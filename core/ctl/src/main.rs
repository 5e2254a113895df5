//! `wpkctl`, the administrator's tool.
//!
//! # Where to start
//! `main` (this file) reads the command line, chooses the room, and turns the
//! ending into an exit status: 0: all ended well; 1: something did not; 2: the
//! command line makes no sense; 3: nothing failed, but of something it is not known
//! how it ended; 130: interrupted. Every command is a room of its
//! own, with its options in it, a `run` that does the work, and no knowledge of
//! the other commands:
//!
//! - ask a running manager over its upgrade socket: `upgrade`, `watch`
//!   (the room `attach`), `result`, `tasks`, `cancel`, `agents`, `agent`, `rollout`, `release`, `enroll`, and `agent_upgrade`, the 4.x tool that this program is
//!   when it is called by that name;
//! - look at everything an upgrade needs: `doctor`;
//! - make and check files without a manager: `package`, `repo`, `generate`;
//! - show the guide: `guide`;
//! - complete a command line with what the manager knows: `complete`.
//!
//! Below them lie the rooms that commands share: `manager` (the client of the
//! socket and what it asks), `watch` (tasks until they end, and how that looks),
//! `options` (those of several commands), `who` (agents on the command line, above `ids`),
//! `files`, `output` (everything that is printed) and `error` (everything that
//! can go wrong). `cli` puts the options of all rooms together and is used by
//! `main` and `generate` only, so that no room depends on the whole.
//!
//! # How it goes
//! `wpkctl upgrade 001 --watch`: `cli` reads it into `UpgradeArgs`;
//! `manager::socket` finds the socket in the manager's settings; `upgrade::send`
//! puts the request (`manager::ask`, typed in `wpk-wire`) to `manager::client`
//! and enters the answers into `watch::board`, which `watch` brings up to date
//! until every task has ended; `watch::report` prints the end.
//!
//! A new command is a file with its `Args` and its `run`, a variant of
//! `cli::Command` and an arm of `run` here. What it prints goes through
//! `output::Output`, once for people and once as JSON for `--json`.
//!
//! The tool links neither the engine nor plugins: it says no more than the
//! manager told it.

mod agent;
mod agent_upgrade;
mod agents;
mod attach;
mod cancel;
mod cli;
mod complete;
mod doctor;
mod enroll;
mod error;
mod files;
mod generate;
mod guide;
mod ids;
mod manager;
mod options;
mod output;
mod package;
mod release;
mod repo;
mod result;
mod rollout;
mod since;
mod table;
mod tasks;
mod upgrade;
mod watch;
mod who;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use agent_upgrade::args::Tool;
use cli::{AgentCommand, Cli, Command};
use error::CtlError;
use output::{Ending, Output};

fn main() -> ExitCode {
    let called = std::env::args_os().next().map(PathBuf::from);
    let name = called.as_deref().and_then(Path::file_name);
    if name == Some(OsStr::new(agent_upgrade::args::NAME)) {
        let tool = Tool::read();
        let out = Output::new(&tool.global);
        return end(block_on(agent_upgrade::run(&tool.global, tool.args)), &out);
    }
    let cli = Cli::parse();
    let out = Output::new(&cli.global);
    end(run(cli, &out), &out)
}

fn end(ended: Result<Ending, CtlError>, out: &Output) -> ExitCode {
    match ended {
        Ok(ending) => ending.into(),
        Err(error) => {
            out.error(&error);
            ExitCode::from(if error.is_usage() { 2 } else { 1 })
        }
    }
}

fn run(cli: Cli, out: &Output) -> Result<Ending, CtlError> {
    let global = cli.global;
    match cli.command {
        Command::Package { command } => package::run(command, out),
        Command::Repo { command } => repo::run(command, out),
        Command::Upgrade(args) => block_on(upgrade::run(&global, args, out)),
        Command::Watch(args) => block_on(attach::run(&global, args, out)),
        Command::Result(args) => block_on(result::run(&global, args, out)),
        Command::Tasks(args) => block_on(tasks::run(&global, args, out)),
        Command::Cancel(args) => block_on(cancel::run(&global, args, out)),
        Command::AgentUpgrade(args) => block_on(agent_upgrade::run(&global, args)),
        Command::Doctor(args) => block_on(doctor::run(&global, args, out)),
        Command::Guide(args) => guide::run(&args, out),
        // Whatever is wrong: who completes is told nothing.
        Command::Complete(args) => match complete::Line::read(&args.words, Cli::command()) {
            Some(line) => block_on(complete::run(line)),
            None => Ok(Ending::Well),
        },
        Command::Generate(args) => generate::run(&args, out),
        Command::Rollout { command } => block_on(rollout::run(&global, command, out)),
        Command::Release { command } => block_on(release::run(&global, command, out)),
        Command::Agents(args) => block_on(agents::run(&global, args, out)),
        Command::Agent { command } => match command {
            AgentCommand::Enroll(args) => block_on(enroll::run(&global, args, out)),
            AgentCommand::Show(args) => block_on(agent::show(&global, args, out)),
            AgentCommand::Revoke(args) => block_on(agent::put_out(&global, args, false, out)),
            AgentCommand::Remove(args) => block_on(agent::put_out(&global, args, true, out)),
            AgentCommand::Token(args) => block_on(agent::token::run(&global, args, out)),
            AgentCommand::Ca(args) => block_on(agent::ca::run(&global, args, out)),
            AgentCommand::Rename(args) => block_on(agent::rename(&global, args, out)),
            AgentCommand::Label(args) => block_on(agent::label(&global, args, out)),
            AgentCommand::Hold(args) => block_on(agent::hold::hold(&global, args, out)),
            AgentCommand::Unhold(args) => block_on(agent::hold::unhold(&global, args, out)),
            AgentCommand::Holds => block_on(agent::hold::list(&global, out)),
        },
    }
}

/// One thread is enough: the work is waiting for a socket.
fn block_on<F>(work: F) -> Result<Ending, CtlError>
where
    F: Future<Output = Result<Ending, CtlError>>,
{
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CtlError::Runtime)?
        .block_on(work)
}
