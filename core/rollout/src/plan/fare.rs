//! How one attempt fares, from what is stored of it and what is seen of its agent.

use std::cmp::Ordering;
use std::sync::Arc;

use wpk_api::{AgentId, UnixTime, Version};

use super::state::Cause;
use crate::attempt::{Attempt, Outcome};
use crate::facts::Document;
use crate::member::Agent;

/// How an attempt fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fare {
    /// It may not begin (any more).
    Queued,
    /// It may begin at any moment.
    Permitted,
    /// Its installer was begun.
    Begun { until: UnixTime },
    /// The agent says that it was upgraded.
    Reported { until: UnixTime },
    /// No word came.
    Unknown { until: UnixTime },
    /// It was seen to run what it was sent.
    Observed { at: UnixTime },
    /// An operator says that it succeeded.
    Settled,
    /// It failed.
    Failed {
        begun: bool,
        at: UnixTime,
        cause: Cause,
    },
    /// Its file could not be had: nobody tried anything.
    NoFile { at: UnixTime, cause: Arc<str> },
    /// It was taken back before its installer was begun.
    Withdrawn,
}

impl Fare {
    /// Whether its installer may be begun, or was begun and has no known end: it has its
    /// place in every cap.
    pub(crate) const fn in_flight(&self) -> bool {
        match self {
            Self::Permitted | Self::Begun { .. } | Self::Reported { .. } | Self::Unknown { .. } => {
                true
            }
            Self::Queued
            | Self::Observed { .. }
            | Self::Settled
            | Self::Failed { .. }
            | Self::NoFile { .. }
            | Self::Withdrawn => false,
        }
    }
}

/// What is asked about attempts of one rollout.
pub(crate) struct Judge<'a> {
    /// The rollout; `None` for a request of somebody.
    pub(crate) document: Option<&'a Document>,
    /// After how long without a word an attempt counts as failed, in seconds.
    pub(crate) unknown_after: i64,
    pub(crate) now: UnixTime,
}

impl Judge<'_> {
    pub(crate) fn fare(&self, attempt: &Attempt, agent: Option<&Agent>) -> Fare {
        let Some(begun) = attempt.begun else {
            return self.not_begun(attempt);
        };
        let runs = agent.and_then(|agent| agent.member.version);
        let arrived = |target: Version| runs.is_some_and(|runs| runs >= target);
        let failed = |at, cause| Fare::Failed {
            begun: true,
            at,
            cause,
        };
        // Its own word that it failed stands, whatever it runs.
        if let Some((at, Outcome::Failed(said))) = &attempt.end {
            return failed(*at, Cause::Said(said.clone()));
        }
        if let Some(at) = attempt.observed {
            return match (attempt.target, runs) {
                (Some(target), Some(runs)) if runs < target && attempt.soaked.is_none() => {
                    failed(at, Cause::Fell(target, runs))
                }
                _ => Fare::Observed { at },
            };
        }
        if attempt.target.is_some_and(arrived) {
            return Fare::Observed { at: self.now };
        }
        if let Some((at, Outcome::Unconfirmed(seen))) = &attempt.end {
            return failed(*at, Cause::NotSeen(seen.clone()));
        }
        if let Some(settled) = self.settled(attempt, agent, begun) {
            return settled;
        }
        let until = begun.saturating_add(self.unknown_after);
        if self.now >= until {
            return failed(until, Cause::Silence(self.unknown_after));
        }
        match attempt.end {
            None => Fare::Begun { until },
            Some((_, Outcome::Succeeded)) => Fare::Reported { until },
            Some(_) => Fare::Unknown { until },
        }
    }

    fn not_begun(&self, attempt: &Attempt) -> Fare {
        match &attempt.end {
            Some((_, Outcome::Cancelled)) => Fare::Withdrawn,
            Some((at, Outcome::NoFile(cause))) => Fare::NoFile {
                at: *at,
                cause: cause.clone(),
            },
            Some((at, outcome)) => Fare::Failed {
                begun: false,
                at: *at,
                cause: match outcome {
                    Outcome::Failed(said) => Cause::Said(said.clone()),
                    _ => Cause::Said("it ended before its installer was begun".into()),
                },
            },
            None => match (self.document, attempt.permit) {
                // A request of somebody begins when it can.
                (None, _) => Fare::Permitted,
                (Some(document), Some(permit)) if permit.epoch == document.facts.epoch => {
                    Fare::Permitted
                }
                _ => Fare::Queued,
            },
        }
    }

    fn settled(&self, attempt: &Attempt, agent: Option<&Agent>, begun: UnixTime) -> Option<Fare> {
        let settled = settlement(self.document?, attempt.agent)?;
        let failed = |cause| Fare::Failed {
            begun: true,
            at: begun,
            cause,
        };
        match settled.attempt.cmp(&attempt.id) {
            Ordering::Less => return None,
            // One that was begun after it: this one was over by then, though the word that
            // settled it gave way to that about the other.
            Ordering::Greater => return Some(failed(Cause::Settled)),
            Ordering::Equal => {}
        }
        if !settled.succeeded {
            return Some(failed(Cause::Settled));
        }
        let connected = agent.filter(|agent| agent.member.connected());
        Some(match connected.and_then(|agent| agent.member.version) {
            Some(runs) if attempt.target.is_some_and(|target| runs < target) => {
                failed(Cause::NotSettled(runs))
            }
            _ => Fare::Settled,
        })
    }
}

pub(crate) fn settlement(document: &Document, agent: AgentId) -> Option<crate::facts::Settled> {
    document.facts.settled.get(&agent).copied()
}
