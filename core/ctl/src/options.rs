//! Options that several commands share, as clap reads them. Texts here are what
//! `--help` prints.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use wpk_api::manage::check_labels;
use wpk_api::settings::Span;
use wpk_api::{Labels, PackageType};

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
    /// Print errors only, and what is told once (with --json: the object that sums up, of the
    /// commands that end with one); the exit status tells the rest.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Colours: auto is on a terminal that has them, unless NO_COLOR is set.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
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

/// A label to set: `KEY=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label(pub(crate) (String, String));

impl FromStr for Label {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = (text.split_once('='))
            .ok_or_else(|| format!("{text:?} is no label: write KEY=VALUE"))?;
        let label = (key.to_owned(), value.to_owned());
        check_labels(&Labels::from([label.clone()]))?;
        Ok(Self(label))
    }
}

/// Labels that are looked for: `KEY=VALUE`, or `KEY` with any value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LabelWish {
    key: String,
    value: Option<String>,
}

impl LabelWish {
    /// Whether these are such labels.
    pub(crate) fn is_met(&self, labels: &Labels) -> bool {
        let found = labels.get(&self.key);
        found.is_some_and(|found| self.value.as_ref().is_none_or(|value| value == found))
    }
}

impl FromStr for LabelWish {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.split_once('=') {
            Some((key, value)) => Self {
                key: key.to_owned(),
                value: Some(value.to_owned()),
            },
            None => Self {
                key: text.to_owned(),
                value: None,
            },
        })
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
