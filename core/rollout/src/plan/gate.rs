//! The gate of a wave: how many of its members are in which state, and whether that lets
//! the next wave open, or halts the rollout.

use super::look::Look;
use super::state::AgentState;
use crate::definition::Wave;

/// How many agents are in which state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub struct Counts {
    pub current: usize,
    pub excluded: usize,
    pub unreachable: usize,
    pub unsupported: usize,
    pub waiting: usize,
    pub running: usize,
    pub soaking: usize,
    pub succeeded: usize,
    pub failed: usize,
    pub unknown: usize,
}

impl Counts {
    pub(crate) fn add(&mut self, state: AgentState) {
        *match state {
            AgentState::Current => &mut self.current,
            AgentState::Excluded => &mut self.excluded,
            AgentState::Unreachable => &mut self.unreachable,
            AgentState::Unsupported => &mut self.unsupported,
            AgentState::Waiting => &mut self.waiting,
            AgentState::Running { .. } => &mut self.running,
            AgentState::Soaking { .. } => &mut self.soaking,
            AgentState::Succeeded => &mut self.succeeded,
            AgentState::Failed { .. } => &mut self.failed,
            AgentState::Unknown { .. } => &mut self.unknown,
        } += 1;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.current += other.current;
        self.excluded += other.excluded;
        self.unreachable += other.unreachable;
        self.unsupported += other.unsupported;
        self.waiting += other.waiting;
        self.running += other.running;
        self.soaking += other.soaking;
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.unknown += other.unknown;
    }

    /// Those of which something is still to come.
    pub const fn unfinished(&self) -> usize {
        self.waiting + self.running + self.soaking + self.unknown
    }
}

/// What a gate sees of its wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// The members, by their state now.
    pub counts: Counts,
    /// All members.
    pub members: usize,
    /// Members that were begun, or failed.
    pub begun: usize,
    /// Members that failed, also those that succeeded when they were tried again.
    pub failed: usize,
    /// Members with an attempt that may not begin yet.
    pub(crate) queued: usize,
    /// Members that were begun or still could be.
    pub(crate) could: usize,
}

/// Whether a wave's gate is passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gate {
    /// Its wave is not open.
    NotOpen,
    /// It was passed before.
    Passed,
    /// It is passed now; why.
    Passes(String),
    /// It is not; what it waits for.
    Waits(String),
    /// There are more failures than may be; how many.
    Exceeded(String),
}

impl Tally {
    pub(crate) fn add(&mut self, look: &Look) {
        self.counts.add(look.state);
        self.members += 1;
        self.begun += usize::from(look.begun || look.failed);
        self.failed += usize::from(look.failed);
        self.queued += usize::from(look.queued.is_some());
        self.could += usize::from(look.could);
    }

    /// How many may fail.
    pub fn may_fail(&self, wave: &Wave) -> usize {
        wave.max_failures.of(self.members)
    }

    /// How many more may be put in flight in a strict wave: never more than would exceed
    /// the gate by one if all that are out failed.
    pub(crate) fn strict_room(&self, wave: &Wave) -> usize {
        let out = self.counts.running + self.counts.unknown + self.queued + self.failed;
        (self.may_fail(wave) + 1).saturating_sub(out)
    }

    pub(crate) fn exceeds(&self, wave: &Wave) -> bool {
        self.failed > self.may_fail(wave)
    }

    /// Whether a wave that is open is through.
    pub(crate) fn gate(&self, wave: &Wave, is_last: bool) -> Gate {
        let most = self.may_fail(wave);
        if self.exceeds(wave) {
            let (failed, members, name) = (self.failed, self.members, &wave.name);
            return Gate::Exceeded(format!(
                "{failed} of {members} agents of wave {name} failed, and {most} may"
            ));
        }
        let counts = &self.counts;
        for (count, what) in [
            (counts.unknown, "unknown"),
            (counts.running, "running"),
            (counts.soaking, "soaking"),
            (counts.waiting, "waiting"),
        ] {
            if count > 0 {
                return Gate::Waits(format!("{count} of {} are {what}", self.members));
            }
        }
        // Who can never be begun, since he was left out or runs the target already, does
        // not fill the sample and is not waited for either.
        let sample = (wave.min_sample as usize).min(self.could);
        if self.begun < sample {
            let (begun, away) = (self.begun, counts.unreachable + counts.failed);
            return Gate::Waits(format!(
                "{begun} were begun, {sample} must be; {away} are not connected"
            ));
        }
        if self.begun == 0 && is_last {
            return Gate::Waits("nobody is in it yet".to_owned());
        }
        if self.begun == 0 {
            return Gate::Passes(match self.members {
                0 => "nobody could ever be in it".to_owned(),
                members => format!("none of its {members} agents can be upgraded any more"),
            });
        }
        let (begun, failed) = (self.begun, self.failed);
        Gate::Passes(format!(
            "{begun} were begun and watched, {failed} failed, {most} may"
        ))
    }
}
