//! What the planner is given.

use std::collections::BTreeMap;
use std::sync::Arc;

use wpk_api::{AgentId, UnixTime};

use crate::apply::Desired;
use crate::attempt::Attempt;
use crate::member::Agent;

/// Everything that a plan is made from. Whoever gathers it reads `desired` first and
/// `attempts` last: a permit of an epoch that is over cannot be used any more then.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// What is stored.
    pub desired: &'a Desired,
    /// All agents of the directory, in any order.
    pub agents: &'a [Agent],
    /// All attempts of rollouts that are not over, all others that are live, and those of
    /// releases that are rolled out; in any order.
    pub attempts: &'a [Attempt],
    /// Agents that are held, each with the reason.
    pub holds: &'a BTreeMap<AgentId, Arc<str>>,
    /// Now, in seconds since 1970.
    pub now: UnixTime,
}

/// Remembers when something changes by itself.
#[derive(Debug)]
pub(crate) struct Clock {
    now: UnixTime,
    pub(crate) next: Option<UnixTime>,
}

impl Clock {
    pub(crate) const fn new(now: UnixTime) -> Self {
        Self { now, next: None }
    }

    /// Something changes then.
    pub(crate) fn at(&mut self, at: UnixTime) {
        if at > self.now {
            self.next = Some(self.next.map_or(at, |next| next.min(at)));
        }
    }
}
