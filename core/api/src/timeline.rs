//! What happened to a task, step by step: who was asked, when, and for a failure
//! the words of whoever said it and what to do. Kept by the store with the task
//! ([`TaskStore::timeline`](crate::TaskStore::timeline)).

use serde::{Deserialize, Serialize};

use crate::UnixTime;
use crate::words::{LONGEST_CAUSE, clean};

/// The most entries that are kept of one task; the oldest make room.
pub const LONGEST_TIMELINE: usize = 256;
/// The longest `asked` and `detail`, in bytes; the words with which somebody took a task back
/// may be longer.
const LONGEST_TEXT: usize = 512;

/// One step of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineEntry {
    /// When, in seconds since 1970 UTC.
    pub at: UnixTime,
    /// Which step.
    pub step: TimelineStep,
    /// Who was asked or who spoke: a URL, an agent, a node, a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
    /// What came of it, in a few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Cause>,
}

impl TimelineEntry {
    /// A step without anything more to say.
    pub const fn new(at: UnixTime, step: TimelineStep) -> Self {
        Self {
            at,
            step,
            asked: None,
            detail: None,
            failure: None,
        }
    }

    /// The step with which another node carries a task out from now on: what all stores
    /// write down ([`TaskStore::take_over`](crate::TaskStore::take_over)).
    pub fn moved(at: UnixTime, from: &str, to: &str) -> Self {
        Self::new(at, TimelineStep::Moved)
            .asked(to)
            .detail(&format!("{from} before"))
    }

    /// The step with which a task that was made for a document is cancelled, in the words of
    /// whoever did it, shortened to [`LONGEST_CAUSE`] bytes and cleaned: what all stores write
    /// down ([`AttemptChange::Cancel`](crate::AttemptChange::Cancel)). `key` is the document's.
    pub fn taken_back(at: UnixTime, key: &str, words: &str) -> Self {
        let mut entry = Self::new(at, TimelineStep::Cancelled).asked(key);
        entry.detail = Some(clean(words, LONGEST_CAUSE));
        entry
    }

    /// Who was asked or who spoke; shortened and cleaned.
    #[must_use]
    pub fn asked(mut self, who: &str) -> Self {
        self.asked = Some(clean(who, LONGEST_TEXT));
        self
    }

    /// What came of it; shortened and cleaned.
    #[must_use]
    pub fn detail(mut self, what: &str) -> Self {
        self.detail = Some(clean(what, LONGEST_TEXT));
        self
    }

    /// The same for a task that has timed out, or has not: a report about it is
    /// late then.
    #[must_use]
    pub fn of_late(mut self, timed_out: bool) -> Self {
        if timed_out && self.step == TimelineStep::Report {
            self.step = TimelineStep::LateReport;
        }
        self
    }

    /// Why it failed.
    #[must_use]
    pub fn failed(mut self, cause: Cause) -> Self {
        self.failure = Some(cause);
        self
    }
}

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The code of PROTOCOL.md, section 2.
    pub code: u16,
    /// The words of whoever said it: at most 1 KiB, no control characters.
    pub said: String,
    /// What to do about it; empty where nothing is known to help.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub advice: String,
}

impl Cause {
    /// A cause; the words are shortened and cleaned.
    pub fn new(code: u16, said: &str, advice: impl Into<String>) -> Self {
        Self {
            code,
            said: clean(said, LONGEST_CAUSE),
            advice: advice.into(),
        }
    }
}

/// The steps of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimelineStep {
    /// It was accepted.
    Created,
    /// A node took it from the queue.
    Claimed,
    /// It was found again after a restart.
    Resumed,
    /// Another node carries it out from now on; `detail` says which one did before.
    Moved,
    /// A provider was asked which file it is.
    Resolve,
    /// The file was fetched.
    Download,
    /// It waits: for a repository, a slot, an agent, a pause.
    Wait,
    /// The agent was told not to restart itself.
    LockRestart,
    /// The file was opened at the agent.
    Open,
    /// The file was sent; `detail` says how far.
    Write,
    /// The file was closed at the agent.
    Close,
    /// The agent's digest was compared.
    Sha1,
    /// The agent was told to run the installer.
    Upgrade,
    /// The agent reported.
    Report,
    /// The agent reported after the task had timed out.
    LateReport,
    /// No word came in time.
    Timeout,
    /// It was taken back.
    Cancelled,
    /// The agent's version was seen after the upgrade.
    Confirm,
    /// A step this version does not know.
    #[serde(other)]
    Other,
}
