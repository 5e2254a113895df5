//! What a rehearsal came to.

use std::collections::BTreeMap;

use wpk_api::UnixTime;

use crate::Name;
use crate::facts::RolloutKey;
use crate::plan::RolloutStatus;

/// What a rehearsal came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearsal {
    /// What happened, in order; at most 1,000 of it.
    pub events: Vec<Event>,
    /// When every rollout had converged; `None` if one was halted or a year was not
    /// enough.
    pub ended: Option<UnixTime>,
    /// The most agents that were down at once.
    pub most_down: usize,
    /// The most bytes per second that went to each site, about.
    pub peak: BTreeMap<Name, u64>,
    /// Installations that failed.
    pub failed: usize,
    /// How many agents a bad release can break in each wave, at most.
    pub bounds: Vec<WaveBound>,
    /// How every rollout ended.
    pub rollouts: Vec<RolloutStatus>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: UnixTime,
    /// In which rollout.
    pub rollout: RolloutKey,
    /// What.
    pub what: Happened,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// A wave opened, with so many agents.
    Opened(Name, usize),
    /// A wave's gate was passed.
    Passed(Name, String),
    /// It was halted.
    Halted(String),
}

/// How many agents of a wave a bad release can break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaveBound {
    /// The rollout.
    pub rollout: RolloutKey,
    /// The wave.
    pub wave: Name,
    /// What may fail, and what was in flight with it: one in a strict wave, else as many
    /// as were down at once.
    pub most: usize,
}
