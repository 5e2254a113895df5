//! Options that several commands share, as clap reads them. Texts here are what
//! `--help` prints.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use wpk_api::PackageType;
use wpk_api::settings::Span;

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
    pause(text).and_then(|time| match time.is_zero() {
        true => Err(format!("{text:?} is no time at all; {HOW}")),
        false => Ok(time),
    })
}

/// The same, or `0s`.
pub(crate) fn pause(text: &str) -> Result<Duration, String> {
    const YEAR: Duration = Duration::from_secs(366 * 86_400);
    Span::parse(text)
        .map(|span| span.0)
        .filter(|time| *time <= YEAR)
        .ok_or_else(|| HOW.to_owned())
}

/// How a duration is written.
const HOW: &str = "write a number with ms, s, m, h or d, at most a year";
