//! Files that cannot be had: a repository that is down, or lacks the file. That is no agent's
//! failure and uses up nobody's tries; the agents that are to get it wait, and one of them
//! at a time tries, less and less often.

use std::sync::Arc;

use wpk_api::{TaskId, UnixTime, Version};

use super::fare::Fare;
use super::ground::Ground;
use crate::member::Member;

/// Seconds between two tries at least and at most; in between, as long as it has lasted.
const PAUSE: (i64, i64) = (60, 3_600);

/// All files that cannot be had.
#[derive(Default)]
pub(crate) struct Sources(Vec<Trouble>);

/// The file of one release for one kind of agents.
pub(crate) struct Trouble {
    hop: Version,
    platform: Option<String>,
    arch: Option<String>,
    /// The newest attempt for which it could be had.
    had: Option<TaskId>,
    /// Since when it cannot, and when that was seen last.
    since: Option<(UnixTime, UnixTime)>,
    pub(crate) cause: Arc<str>,
    newest: TaskId,
    /// Attempts that may begin, each of which will show it.
    pub(crate) trying: usize,
}

impl Trouble {
    fn is_of(&self, hop: Version, agent: &Member) -> bool {
        self.hop == hop && self.platform == agent.platform && self.arch == agent.arch
    }

    /// When it is tried again.
    pub(crate) fn again(&self) -> UnixTime {
        let (first, last) = self.since.unwrap_or_default();
        last.saturating_add(last.saturating_sub(first).clamp(PAUSE.0, PAUSE.1))
    }
}

impl Sources {
    /// `fares` are those of the ground's attempts.
    pub(crate) fn new(ground: &Ground<'_>, fares: &[Fare]) -> Self {
        let mut sources = Self::default();
        if !(fares.iter()).any(|fare| matches!(fare, Fare::NoFile { .. })) {
            return sources;
        }
        let each = || {
            let known = ground.attempts.iter().zip(fares);
            known.filter_map(|(known, fare)| {
                let agent = ground.agent(Some(known.agent? as usize))?;
                Some((known.attempt, known.attempt.target?, &agent.member, fare))
            })
        };
        for (_, hop, agent, fare) in each() {
            if matches!(fare, Fare::NoFile { .. }) && sources.of(hop, agent).is_none() {
                sources.0.push(Trouble {
                    hop,
                    platform: agent.platform.clone(),
                    arch: agent.arch.clone(),
                    had: None,
                    since: None,
                    cause: Arc::default(),
                    newest: TaskId(i64::MIN),
                    trying: 0,
                });
            }
        }
        if sources.0.is_empty() {
            return sources;
        }
        for (attempt, hop, agent, _) in each() {
            if (attempt.staged || attempt.begun.is_some())
                && let Some(trouble) = sources.of_mut(hop, agent)
            {
                trouble.had = trouble.had.max(Some(attempt.id));
            }
        }
        for (attempt, hop, agent, fare) in each() {
            let Some(trouble) = sources.of_mut(hop, agent) else {
                continue;
            };
            match fare {
                Fare::Permitted => trouble.trying += 1,
                Fare::NoFile { at, cause } if Some(attempt.id) > trouble.had => {
                    let (first, last) = trouble.since.unwrap_or((*at, *at));
                    trouble.since = Some((first.min(*at), last.max(*at)));
                    if attempt.id > trouble.newest {
                        (trouble.newest, trouble.cause) = (attempt.id, cause.clone());
                    }
                }
                _ => {}
            }
        }
        sources.0.retain(|trouble| trouble.since.is_some());
        sources
    }

    /// What is wrong with the file of a release for such an agent.
    pub(crate) fn of(&self, hop: Version, agent: &Member) -> Option<&Trouble> {
        self.0.iter().find(|one| one.is_of(hop, agent))
    }

    pub(crate) fn of_mut(&mut self, hop: Version, agent: &Member) -> Option<&mut Trouble> {
        self.0.iter_mut().find(|one| one.is_of(hop, agent))
    }
}
