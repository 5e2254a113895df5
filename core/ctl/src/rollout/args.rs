//! The options of `wpkctl rollout`. Texts here are what `--help` prints.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use wpk_api::settings::ByteSize;
use wpk_api::words::clean;
use wpk_wire::own::rollout::{AgentState, LONGEST_NAME};

use crate::error::CtlError;
use crate::options::duration;
use crate::watch::args::{LEAST_PAUSE, RolloutPace};
use crate::who::{self, OneAgent, Who};

#[derive(Debug, Subcommand)]
pub(crate) enum RolloutCommand {
    /// Show what a definition would do: agents by wave, site and platform, who cannot be
    /// upgraded and why, the most bandwidth, the earliest end. Changes nothing. Exit status 1
    /// if the definition is wrong or one of its rollouts could not start.
    Plan(FileArgs),
    /// Show what a definition would do, ask, and do it: only as it was planned. Exit status 1
    /// if it was refused or declined.
    Apply(ApplyArgs),
    /// List the rollouts, the last applied first.
    List(ListArgs),
    /// Show a rollout: its waves and gates, its failures, what happens next. Exit status 1: it
    /// is halted, cannot start, or agents failed; 3: none of these, but of some agents nobody
    /// knows how they are, or no manager node plans it; 0: else; 130: the watching was
    /// interrupted, the rollout goes on.
    Status(StatusArgs),
    /// Explain an agent in a rollout: its state, why, and what would change it.
    Explain(ExplainArgs),
    /// Let nothing of a rollout begin until it is resumed. What was begun ends by itself.
    Pause(NameArgs),
    /// Let a rollout go on that was paused or halted.
    Resume(NameArgs),
    /// Stop a rollout for a reason. What was begun ends by itself.
    Halt(HaltArgs),
    /// Try agents again that failed, and count their failures no more.
    Retry(RetryArgs),
    /// Leave agents out of a rollout.
    Skip(SkipArgs),
    /// Say how an upgrade ended of which no word came.
    Settle(SettleArgs),
    /// End a rollout for good. What was begun ends by itself.
    Cancel(NameArgs),
    /// Show what happened to rollouts and who did it, newest first.
    History(HistoryArgs),
    /// Play a definition through with the agents that there are and outcomes that are made
    /// up: how long it takes, how many are down at once, what a bad release can break. Nothing
    /// is sent to anybody. Exit status 1 if a rollout was halted or did not end within a year.
    Rehearse(RehearseArgs),
}

#[derive(Debug, Args)]
pub(crate) struct FileArgs {
    /// The definition, TOML.
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// The definition, TOML.
    pub(crate) file: PathBuf,
    /// Do not ask; needed where there is no terminal.
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Also those that were cancelled or superseded.
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct NameArgs {
    /// The rollout.
    #[arg(value_parser = name)]
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// The rollout.
    #[arg(value_parser = name)]
    pub(crate) name: String,
    /// Watch it until nothing is left to do, or it is stopped: on a terminal as a picture that
    /// changes, elsewhere a line for each change. Ctrl-C ends the watching only.
    #[arg(short, long)]
    pub(crate) watch: bool,
    /// Between two looks; at least 200ms.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval, requires = "watch")]
    pub(crate) interval: Duration,
    /// How long to watch; the rollout goes on afterwards. Absent: until nothing is left to do.
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "watch")]
    pub(crate) timeout: Option<Duration>,
    /// How long to try to reach a manager that went away while watching.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration, requires = "watch")]
    pub(crate) reconnect_for: Duration,
    /// How many of the newest failures to show, at most 200.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) failures: usize,
    /// List its agents as well, each with its state and the reason.
    #[arg(long, conflicts_with = "watch")]
    pub(crate) agents: bool,
    /// Of these only those in a state: `failed`, `unknown`, `waiting` ...
    #[arg(long, value_parser = state, requires = "agents")]
    pub(crate) state: Option<AgentState>,
}

impl StatusArgs {
    /// Those with which a rollout is watched.
    ///
    /// # Errors
    /// [`CtlError::Usage`] if this is no rollout's name.
    pub(crate) fn watching(name: &str, pace: RolloutPace) -> Result<Self, CtlError> {
        Ok(Self {
            name: self::name(name).map_err(CtlError::Usage)?,
            watch: true,
            interval: pace.interval,
            timeout: pace.timeout,
            reconnect_for: pace.reconnect_for,
            failures: 10,
            agents: false,
            state: None,
        })
    }

    /// How often and how long it is watched.
    pub(crate) const fn pace(&self) -> RolloutPace {
        RolloutPace {
            interval: self.interval,
            timeout: self.timeout,
            reconnect_for: self.reconnect_for,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The rollout.
    #[arg(value_parser = name)]
    pub(crate) name: String,
    /// The agent: an id or a name.
    pub(crate) agent: OneAgent,
}

#[derive(Debug, Args)]
pub(crate) struct HaltArgs {
    /// The rollout.
    #[arg(value_parser = name)]
    pub(crate) name: String,
    /// Why; shown wherever the rollout is.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
#[command(group = who::or(&["failed"]))]
pub(crate) struct RetryArgs {
    /// The rollout.
    #[arg(value_parser = name)]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) who: Who,
    /// All agents that failed.
    #[arg(long)]
    pub(crate) failed: bool,
}

#[derive(Debug, Args)]
#[command(group = who::must())]
pub(crate) struct SkipArgs {
    /// The rollout.
    #[arg(value_parser = name)]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) who: Who,
}

#[derive(Debug, Args)]
pub(crate) struct SettleArgs {
    /// The rollout.
    #[arg(value_parser = name)]
    pub(crate) name: String,
    /// The agent: an id or a name.
    pub(crate) agent: OneAgent,
    /// How it ended.
    #[arg(value_enum)]
    pub(crate) outcome: OutcomeWord,
}

/// How an upgrade ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutcomeWord {
    Succeeded,
    Failed,
}

#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// The rollout; absent: all of them, with releases and holds.
    #[arg(value_parser = name)]
    pub(crate) name: Option<String>,
    /// How many events to show.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct RehearseArgs {
    /// The definition, TOML.
    pub(crate) file: PathBuf,
    /// How many installations fail: `2%`. Default 0%.
    #[arg(long, value_name = "PERCENT")]
    pub(crate) failure_rate: Option<String>,
    /// How many agents are away half of the time, twelve hours each: `10%`. Default 0%.
    #[arg(long, value_name = "PERCENT")]
    pub(crate) offline: Option<String>,
    /// How fast the link of one agent is. Default 20Mbit/s.
    #[arg(long, value_name = "RATE")]
    pub(crate) speed: Option<String>,
    /// How long the file is: `12MiB`. Default 10MiB.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) file_size: Option<u64>,
    /// How long an installation takes until the new version is seen. Default 60s.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) install_time: Option<Duration>,
    /// Which fleet is made up: the same number makes the same one.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
}

/// The name of a rollout, as far as a command line can tell.
fn name(text: &str) -> Result<String, String> {
    match text.len() {
        1..=LONGEST_NAME => Ok(text.to_owned()),
        _ => Err(format!(
            "{:?} is no rollout's name: it has 1 to {LONGEST_NAME} bytes",
            clean(text, LONGEST_NAME)
        )),
    }
}

/// A state of agents.
fn state(text: &str) -> Result<AgentState, String> {
    let known = || {
        let all = AgentState::ALL.iter();
        all.copied().filter(|state| *state != AgentState::Other)
    };
    known().find(|state| state.as_str() == text).ok_or_else(|| {
        let all: Vec<&str> = known().map(AgentState::as_str).collect();
        format!("write one of {}", all.join(", "))
    })
}

/// How often a screen may change: five times a second.
fn interval(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|time| match time >= LEAST_PAUSE {
        true => Ok(time),
        false => Err("write 200ms or more".to_owned()),
    })
}

/// A number of bytes.
fn size(text: &str) -> Result<u64, String> {
    ByteSize::parse(text)
        .map(|size| size.0)
        .filter(|size| *size > 0)
        .ok_or_else(|| "write a number with KiB, MiB or GiB, such as 12MiB".to_owned())
}
