//! What an agent is in, and why: exactly one state, and one reason in words.

use std::fmt;
use std::sync::Arc;

use wpk_api::{AgentId, ConnectionStatus, TaskId, UnixTime, Version};

use crate::Name;
use crate::definition::NoWay;
use crate::facts::RolloutKey;

/// An agent, in a rollout or in none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The agent.
    pub agent: AgentId,
    /// The rollout that has it.
    pub rollout: Option<Arc<RolloutKey>>,
    /// The number of its wave, from 0.
    pub wave: Option<usize>,
    /// Its state.
    pub state: AgentState,
    /// Why.
    pub reason: Reason,
}

/// The state of an agent in a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AgentState {
    /// It runs the target or a newer version.
    Current,
    /// It is left out.
    Excluded,
    /// It is not connected.
    Unreachable,
    /// It can never get to the target.
    Unsupported,
    /// Its turn has not come.
    Waiting,
    /// It is being upgraded.
    Running {
        /// Which hop, from 1.
        hop: u8,
        /// Of how many.
        of: u8,
    },
    /// It was upgraded, and is watched until then.
    Soaking {
        /// Until when.
        until: UnixTime,
    },
    /// It was upgraded, and stayed well.
    Succeeded,
    /// It was not.
    Failed {
        /// How often it is tried again.
        tries_left: u32,
    },
    /// Its installer was begun, and nobody knows how it is.
    Unknown {
        /// When it counts as failed.
        until: UnixTime,
    },
}

impl AgentState {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Excluded => "excluded",
            Self::Unreachable => "unreachable",
            Self::Unsupported => "unsupported",
            Self::Waiting => "waiting",
            Self::Running { .. } => "running",
            Self::Soaking { .. } => "soaking",
            Self::Succeeded => "succeeded",
            Self::Failed { .. } => "failed",
            Self::Unknown { .. } => "unknown",
        }
    }
}

/// Why an attempt counts as failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// In the words of the agent or the delivery.
    Said(Arc<str>),
    /// It reported success, and was seen to run this.
    NotSeen(Arc<str>),
    /// No word for so many seconds.
    Silence(i64),
    /// It ran the one and, in its soak, ran the other.
    Fell(Version, Version),
    /// It did not come back in its soak, for so many seconds.
    Lost(i64),
    /// An operator says so.
    Settled,
    /// An operator says that it succeeded, but it is connected and runs this.
    NotSettled(Version),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said(words) => f.write_str(words),
            Self::NotSeen(seen) => write!(f, "it reported success, but runs {seen}"),
            Self::Silence(seconds) => {
                write!(f, "no word for {seconds} s after its installer was begun")
            }
            Self::Fell(from, to) => write!(f, "it ran {from}, and in its soak {to} again"),
            Self::Lost(seconds) => write!(f, "it was not seen for {seconds} s after its soak"),
            Self::Settled => f.write_str("an operator settled it as failed"),
            Self::NotSettled(runs) => {
                write!(f, "an operator settled it as succeeded, but it runs {runs}")
            }
        }
    }
}

/// What stands behind a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It runs this.
    Runs(Version),
    /// It was upgraded and watched.
    Soaked,
    /// An operator says that it succeeded.
    Settled,
    /// The definition or an operator leaves it out.
    ByHand,
    /// It is held, for this reason.
    Held(Arc<str>),
    /// It belongs to a rollout that was applied before.
    Elsewhere(Name),
    /// It does not match any more, and its wave was not open yet.
    NoMatch,
    /// No rollout selects it.
    NotSelected,
    /// It is not connected.
    Offline(ConnectionStatus),
    /// The directory does not know it any more.
    Gone,
    /// It can never be upgraded.
    Unsupported(Arc<str>),
    /// There is no way to the target.
    NoWay(NoWay),
    /// The file of the rollout has no version that could be seen.
    NoTarget,
    /// Nobody knows which version it runs.
    NoVersion,
    /// The rollout starts then.
    Start(UnixTime),
    /// The rollout is paused.
    Paused,
    /// The rollout is halted.
    Halted,
    /// The first wave has not opened.
    FirstWave,
    /// Its wave has not opened.
    Wave(Name),
    /// It came later and is entered behind the last wave.
    Joins,
    /// The window of this site is closed; when it opens.
    Window(Name, Option<UnixTime>),
    /// So many of this site are in flight, and no more may be.
    SiteCap(Name, usize),
    /// So many of the whole, the rollout or the wave are in flight, and no more may be.
    Cap(&'static str, usize),
    /// In a strict wave no more may be in flight than may fail.
    Strict,
    /// It is tried again then, after this.
    Retry(UnixTime, Cause),
    /// Its file could not be had, in these words; when that is tried again, or that
    /// another agent tries it.
    NoFile(Option<UnixTime>, Arc<str>),
    /// Another task of this agent is not through.
    OtherTask(TaskId),
    /// It may begin.
    MayBegin,
    /// Its installer was begun.
    Installing,
    /// It reported success; that it runs the version is not seen yet.
    Observing,
    /// It is watched.
    Soaking,
    /// The task timed out, or the agent's version never reports.
    NoWord,
    /// Its soak is over, and it was not seen since.
    NotSeenSince,
    /// An attempt failed.
    Failed(Cause),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runs(version) => write!(f, "it runs {version}"),
            Self::Soaked => f.write_str("it was upgraded and stayed well in its soak"),
            Self::Settled => f.write_str("an operator settled it as succeeded"),
            Self::ByHand => f.write_str("it is left out by hand"),
            Self::Held(why) if why.is_empty() => f.write_str("it is held"),
            Self::Held(why) => write!(f, "it is held: {why}"),
            Self::Elsewhere(name) => write!(f, "it belongs to rollout {name}, applied before"),
            Self::NoMatch => f.write_str("it does not match the selector any more"),
            Self::NotSelected => f.write_str("no rollout selects it"),
            Self::Offline(status) => write!(f, "it is {}", status.as_str()),
            Self::Gone => f.write_str("the directory does not know it any more"),
            Self::Unsupported(why) => f.write_str(why),
            Self::NoWay(why) => why.fmt(f),
            Self::NoTarget => {
                f.write_str("which version is in the file is not known: write target beside file")
            }
            Self::NoVersion => f.write_str("nobody knows which version it runs"),
            Self::Start(at) => write!(f, "the rollout starts at {}", moment(*at)),
            Self::Paused => f.write_str("the rollout is paused"),
            Self::Halted => f.write_str("the rollout is halted"),
            Self::FirstWave => f.write_str("the first wave has not opened"),
            Self::Wave(name) => write!(f, "wave {name} has not opened"),
            Self::Joins => f.write_str("it came later and goes last"),
            Self::Window(site, Some(at)) => {
                write!(f, "the window of site {site} opens at {}", moment(*at))
            }
            Self::Window(site, None) => write!(f, "site {site} has no window that opens"),
            Self::SiteCap(site, cap) => write!(f, "{cap} of site {site} are in flight, its limit"),
            Self::Cap(whose, cap) => write!(f, "{cap} are in flight, the limit of the {whose}"),
            Self::Strict => f.write_str("as many are in flight as may fail in this strict wave"),
            Self::Retry(at, cause) => write!(f, "it is tried again at {}: {cause}", moment(*at)),
            Self::NoFile(Some(at), words) => {
                let at = moment(*at);
                write!(f, "its file cannot be had, tried again at {at}: {words}")
            }
            Self::NoFile(None, words) => {
                write!(
                    f,
                    "its file could not be had, another agent tries it: {words}"
                )
            }
            Self::OtherTask(task) => write!(f, "task {task} of this agent is not through"),
            Self::MayBegin => f.write_str("its installer may begin"),
            Self::Installing => f.write_str("its installer was begun, its word is awaited"),
            Self::Observing => f.write_str("it reported success; its version is awaited"),
            Self::Soaking => f.write_str("it was upgraded and is watched"),
            Self::NoWord => f.write_str("its installer was begun and no word came"),
            Self::NotSeenSince => f.write_str("its soak is over, and it was not seen since"),
            Self::Failed(cause) => cause.fmt(f),
        }
    }
}

fn moment(at: UnixTime) -> crate::definition::Moment {
    crate::definition::Moment(at)
}
