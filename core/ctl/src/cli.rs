//! The command line, as clap reads it. Texts here are what `--help` prints.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use wpk_api::PackageType;
use wpk_api::Version;
use wpk_api::settings::Span;

use crate::agent_upgrade::args::ToolArgs;
use crate::doctor::args::DoctorArgs;
use crate::ids::IdRanges;

/// Upgrade agents, watch it happen, and prepare what they are upgraded with.
#[derive(Debug, Parser)]
#[command(name = "wpkctl", version)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The manager's upgrade socket; found by --config and --home where it is not given.
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// The manager's home, /var/ossec on a Wazuh manager.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// The manager's settings, read to find its socket.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print one JSON object per line, for scripts.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print errors only (with --json: only the last object); the exit status tells the rest.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Upgrade agents. Exit status 0 only if every agent got a task and, with --watch, ended well.
    Upgrade(UpgradeArgs),
    /// Show the last upgrade task of agents. Exit status 0 only if every agent has a task
    /// and none of them failed, timed out or was cancelled; tasks may still be under way.
    Result(ResultArgs),
    /// List the agents that the manager knows.
    Agents(AgentsArgs),
    /// Look at the whole path of an upgrade before anyone upgrades: sockets, rights, disk,
    /// repository, certificates, clock and task database. Changes nothing. Exit status 0 only
    /// if nothing failed.
    Doctor(DoctorArgs),
    /// Manage agents of the embedded manager.
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
    /// The 4.x tool of that name; installed, it is a link of that name to this program.
    #[command(name = "agent_upgrade", hide = true)]
    AgentUpgrade(ToolArgs),
    /// Write the man pages and shell completions that packages install.
    #[command(hide = true)]
    Generate(GenerateArgs),
}

#[derive(Debug, Args)]
pub(crate) struct UpgradeArgs {
    /// Agents: ids and ranges, such as 001 7 10-50 or 1,2,5-7.
    #[arg(value_name = "AGENT", required_unless_present = "all")]
    pub(crate) agents: Vec<IdRanges>,
    /// Every agent that the manager lists.
    #[arg(long, conflicts_with = "agents")]
    pub(crate) all: bool,
    /// Target version, vX.Y.Z. Absent: the manager decides.
    #[arg(short, long, value_name = "V")]
    pub(crate) version: Option<String>,
    /// Repository instead of the configured one.
    #[arg(short, long, value_name = "URL")]
    pub(crate) repository: Option<String>,
    /// Skip the checks of versions: allows downgrades and targets above the manager's version.
    #[arg(short = 'F', long)]
    pub(crate) force: bool,
    /// Speak HTTP with a repository that names no scheme.
    #[arg(long)]
    pub(crate) http: bool,
    /// Type of package for Linux agents whose own type is not known.
    #[arg(long, value_name = "TYPE")]
    pub(crate) package_type: Option<LinuxPackage>,
    /// Upgrade from this WPK file on the manager instead of a repository.
    #[arg(short, long, value_name = "WPK", conflicts_with_all = ["version", "repository", "force", "http", "package_type"])]
    pub(crate) file: Option<PathBuf>,
    /// The installer inside the WPK file; absent: upgrade.sh, or upgrade.bat for Windows.
    #[arg(short = 'x', long, value_name = "NAME", requires = "file")]
    pub(crate) installer: Option<String>,
    /// Tell for each agent what would be done, and change nothing.
    #[arg(long, conflicts_with = "watch")]
    pub(crate) dry_run: bool,
    /// Watch until every task has ended, then print a table.
    #[arg(short, long)]
    pub(crate) watch: bool,
    /// How long to watch; the tasks go on afterwards.
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// How often to ask while watching.
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = duration)]
    pub(crate) interval: Duration,
    /// How long to try to reach a manager that went away while watching.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub(crate) reconnect_for: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct ResultArgs {
    /// Agents: ids and ranges, such as 001 7 10-50 or 1,2,5-7.
    #[arg(value_name = "AGENT", required = true)]
    pub(crate) agents: Vec<IdRanges>,
}

#[derive(Debug, Args)]
pub(crate) struct AgentsArgs {
    /// Only agents whose version is below the manager's.
    #[arg(long)]
    pub(crate) outdated: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    /// Enroll a new agent and write a home folder with which wpk-agent can start.
    Enroll(EnrollArgs),
}

#[derive(Debug, Args)]
pub(crate) struct EnrollArgs {
    /// Name of the agent.
    pub(crate) name: String,
    /// The agent's home folder; absent: a folder of the agent's name here.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Where the agent reaches the manager; absent: as the manager says.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) address: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PackageCommand {
    /// Make and sign a WPK from a folder or from files.
    Build(BuildArgs),
    /// Check the signature of a WPK against trusted CAs.
    Verify(VerifyArgs),
    /// Show what a WPK holds and who signed it; checks the signature only with --ca.
    Inspect(InspectArgs),
    /// Put the files of a WPK into a folder.
    Unpack(UnpackArgs),
    /// Make a signing CA and a signing certificate.
    Keygen(KeygenArgs),
}

#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    /// The WPK to write; a file of that name is replaced.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Private key, PEM, 2048-bit RSA.
    #[arg(short, long, value_name = "KEY.pem")]
    pub(crate) key: PathBuf,
    /// Signing certificate, PEM; intermediate CAs may follow in the file.
    #[arg(short, long, value_name = "CERT.pem")]
    pub(crate) cert: PathBuf,
    /// Text of the #TAG line.
    #[arg(short, long)]
    pub(crate) tag: Option<String>,
    /// Folders give everything below them; files are packed by their bare name.
    #[arg(value_name = "FOLDER|FILE", required = true)]
    pub(crate) sources: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The WPK.
    pub(crate) file: PathBuf,
    /// Trusted CA: a PEM file or a folder; repeatable.
    #[arg(long, value_name = "FILE|DIR", required = true, num_args = 1..)]
    pub(crate) ca: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The WPK.
    pub(crate) file: PathBuf,
    /// Trusted CA: a PEM file or a folder; repeatable.
    #[arg(long, value_name = "FILE|DIR", num_args = 1..)]
    pub(crate) ca: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct UnpackArgs {
    /// The WPK.
    pub(crate) file: PathBuf,
    /// Where to; nothing there is replaced.
    #[arg(long, value_name = "DIR")]
    pub(crate) to: PathBuf,
    /// Trusted CA: a PEM file or a folder; repeatable.
    #[arg(long, value_name = "FILE|DIR", num_args = 1.., required_unless_present = "no_verify", conflicts_with = "no_verify")]
    pub(crate) ca: Vec<PathBuf>,
    /// Unpack whoever signed it. The signature must still fit the content.
    #[arg(long)]
    pub(crate) no_verify: bool,
}

#[derive(Debug, Args)]
pub(crate) struct KeygenArgs {
    /// Folder for ca.pem, ca.key, signer.pem and signer.key; nothing there is replaced.
    #[arg(short, long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Common name of the CA.
    #[arg(long, value_name = "NAME", default_value = "WPK root CA")]
    pub(crate) ca_name: String,
    /// Common name of the signing certificate.
    #[arg(long, value_name = "NAME", default_value = "WPK signer")]
    pub(crate) name: String,
    /// For how many days both certificates are valid.
    #[arg(long, default_value_t = 3650, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(crate) days: u32,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RepoCommand {
    /// Put WPKs at their place in a repository folder and list them in `versions`.
    Add(RepoAddArgs),
}

/// What is not given is taken from the file's name where that is one of a
/// repository (`wazuh_agent_v4.14.0_linux_amd64.deb.wpk`).
#[derive(Debug, Args)]
pub(crate) struct RepoAddArgs {
    /// The repository folder: what its URL shows.
    #[arg(long, value_name = "DIR")]
    pub(crate) repo: PathBuf,
    /// Version, vX.Y.Z.
    #[arg(short, long, value_name = "V")]
    pub(crate) version: Option<Version>,
    /// linux, windows, macos, or a distribution (ubuntu, centos, ...).
    #[arg(short, long, value_name = "NAME")]
    pub(crate) platform: Option<String>,
    /// Architecture, such as x86_64 or aarch64.
    #[arg(short, long)]
    pub(crate) arch: Option<String>,
    /// Type of the Linux package inside; from v4.9.0 on.
    #[arg(long, value_name = "TYPE")]
    pub(crate) package_type: Option<LinuxPackage>,
    /// Version of the distribution (22.04); only below v3.4.0.
    #[arg(long, value_name = "V")]
    pub(crate) os_version: Option<String>,
    /// Add only what is signed under this CA: a PEM file or a folder; repeatable.
    #[arg(long, value_name = "FILE|DIR")]
    pub(crate) ca: Vec<PathBuf>,
    /// WPK files.
    #[arg(value_name = "WPK", required = true)]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// Folder to write to, laid out like /usr/share.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

/// Types of Linux packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LinuxPackage {
    Rpm,
    Deb,
}

impl From<LinuxPackage> for PackageType {
    fn from(kind: LinuxPackage) -> Self {
        match kind {
            LinuxPackage::Rpm => Self::Rpm,
            LinuxPackage::Deb => Self::Deb,
        }
    }
}

/// A duration such as `500ms`, `30s` or `15m`; from 1 ms to a year.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    const YEAR: Duration = Duration::from_secs(366 * 86_400);
    Span::parse(text)
        .map(|span| span.0)
        .filter(|time| !time.is_zero() && *time <= YEAR)
        .ok_or_else(|| "write a number with ms, s, m, h or d, at most a year".to_owned())
}
