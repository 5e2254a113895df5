//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Upgrades agents remotely.
///
/// Without a configuration file it runs the embedded manager: its own task
/// store, its own agent channel, everything in one folder.
#[derive(Parser)]
#[command(name = "wpkd", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) run: Where,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the daemon (the same as no command).
    Run(Where),
    /// Print every mistake in the configuration and exit.
    Check(Where),
    /// Print the settings (TOML) that take over a 4.x manager's ossec.conf.
    ImportOssecConf {
        /// The manager's installation folder.
        #[arg(long, value_name = "DIR", default_value = "/var/ossec")]
        home: PathBuf,
        /// The file, seen from that folder.
        #[arg(value_name = "FILE", default_value = "etc/ossec.conf")]
        file: PathBuf,
    },
    /// Write the man page and shell completions, for those who build packages.
    #[command(hide = true)]
    Generate {
        /// The folder; laid out like /usr/share.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

#[derive(Args)]
pub(crate) struct Where {
    /// The configuration file (TOML); `conf.d/*.toml` beside it is read too.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Every relative path starts here; wins over the configuration file.
    #[arg(long, value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// Started as root, become this user (and its groups) before anything is
    /// opened.
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
}
