//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use wpk_api::PackageType;

/// The exit status after wrong settings; the units start nothing again after it.
pub(crate) const WRONG_SETTINGS: u8 = 2;

/// Upgrades agents remotely.
///
/// Without a configuration file it runs the embedded manager: its own task
/// store, its own agent channel, everything in one folder.
///
/// SIGHUP: the configuration is read again; log filter, limits and providers are
/// taken over, and the log names every changed key and those that need a restart.
/// SIGTERM or SIGINT: it ends in order; a second one ends it at once.
///
/// Exit status: 0 after a signal, 2 after a mistake in the configuration or on the
/// command line, 1 after anything else.
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
    /// Print every mistake in the configuration, and whatever else would stop the
    /// start, and exit.
    Check(Where),
    /// After wpkd was killed: put the sockets of a manager's own module, which it had
    /// taken over (`take_over`), back to their paths, so that the module works again.
    ///
    /// Acts only where the socket at the path is wpkd's and nobody serves it any more;
    /// else it changes nothing. A wpkd that ends in order has done this itself.
    GiveBack(Where),
    /// Look at everything the daemon would meet if it started now, and change
    /// nothing: what `wpkctl doctor` prints. Exit status 0 if nothing failed, 2 if
    /// the configuration has mistakes.
    Examine(Examination),
    /// Print every setting: what it is, its unit, its default and, where it has one, its
    /// range; with `--config` also those of the libraries that the file names.
    Settings(SettingsArgs),
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

#[derive(Args)]
pub(crate) struct SettingsArgs {
    /// Only the sections of this name, such as `delivery` or `store`, or of this type, such
    /// as `postgres`.
    pub(crate) section: Option<String>,
    /// A configuration file (TOML); of it only `[[plugin]]` is read.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print one JSON object per setting.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct Examination {
    #[command(flatten)]
    pub(crate) place: Where,
    /// Print one JSON object per line, and one with the event `end` at the end.
    #[arg(long)]
    pub(crate) json: bool,
    /// Platform whose files a repository is asked for: linux, windows, macos or a
    /// distribution; absent: none.
    #[arg(long, value_name = "NAME")]
    pub(crate) platform: Option<String>,
    /// Version of that operating system, such as 22.04.
    #[arg(long, value_name = "V", requires = "platform")]
    pub(crate) os_version: Option<String>,
    /// Its architecture, such as x86_64 or aarch64.
    #[arg(long, requires = "platform")]
    pub(crate) arch: Option<String>,
    /// Its type of package, where the platform leaves it open: rpm or deb.
    #[arg(long, value_name = "TYPE", requires = "platform")]
    pub(crate) package_type: Option<PackageType>,
    /// Download the N newest listed files of the platform and check their SHA-1.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "platform")]
    pub(crate) download: usize,
    /// Check the signature of this WPK; absent: of one that was downloaded, or of
    /// the newest in the cache.
    #[arg(long, value_name = "FILE")]
    pub(crate) wpk: Option<PathBuf>,
    /// Trusted CA: a PEM file or a folder; repeatable; absent: as configured.
    #[arg(long, value_name = "FILE|DIR")]
    pub(crate) ca: Vec<PathBuf>,
}
