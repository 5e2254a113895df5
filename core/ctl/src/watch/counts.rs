//! How many agents ended in which way, and what that means for the exit status.

use super::board::Board;
use crate::manager::state::State;
use crate::output::Ending;

/// How many agents.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) updated: usize,
    pub(super) unconfirmed: usize,
    pub(super) legacy: usize,
    pub(super) failed: usize,
    pub(super) timed_out: usize,
    pub(super) unknown: usize,
    pub(super) refused: usize,
    pub(super) confirming: usize,
    pub(super) under_way: usize,
}

impl Counts {
    pub(super) fn of(board: &Board) -> Self {
        let mut counts = Self::default();
        for entry in board.entries() {
            *match entry.state {
                State::Updated => &mut counts.updated,
                State::Unconfirmed => &mut counts.unconfirmed,
                State::Legacy => &mut counts.legacy,
                State::Error | State::Cancelled => &mut counts.failed,
                State::Timeout => &mut counts.timed_out,
                State::Unknown => &mut counts.unknown,
                State::Refused => &mut counts.refused,
                State::Confirming => &mut counts.confirming,
                State::Queued | State::Updating => &mut counts.under_way,
            } += 1;
        }
        counts
    }

    /// How watching ended for all of them together.
    pub(super) fn ending(board: &Board) -> Ending {
        Ending::of(board.entries().iter().map(|entry| match entry.state {
            state if state.well() => Ending::Well,
            state if state.open() => Ending::Unknown,
            _ => Ending::Badly,
        }))
    }

    pub(super) fn sentence(&self) -> String {
        let parts = [
            (self.updated, "updated"),
            (self.unconfirmed, "updated but not confirmed"),
            (self.legacy, "delivered to agents that cannot report"),
            (self.failed, "failed"),
            (self.timed_out, "timed out"),
            (self.unknown, "unknown"),
            (self.refused, "refused"),
            (self.confirming, "updated and still to be confirmed"),
            (self.under_way, "still under way"),
        ];
        let total: usize = parts.iter().map(|(n, _)| n).sum();
        let told: Vec<String> = parts
            .iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, what)| format!("{n} {what}"))
            .collect();
        format!("{total} agents: {}", told.join(", "))
    }
}
