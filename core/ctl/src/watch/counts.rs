//! How many agents are or ended in which way, and what that means for the exit status.

use wpk_wire::own::TaskPhase;

use super::board::Board;
use super::entry::Entry;
use super::paint::Paint;
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
    /// Of those under way: what they are at.
    installing: usize,
    sending: usize,
    waiting: usize,
    queued: usize,
}

/// How many agents are in a state, for a picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) count: usize,
    pub(super) what: &'static str,
    pub(super) paint: Paint,
    /// In the bar.
    pub(super) sign: char,
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
                State::Queued | State::Updating => counts.at(entry),
            } += 1;
        }
        counts
    }

    fn at(&mut self, entry: &Entry) -> &mut usize {
        let known = match (entry.state, entry.phase) {
            (State::Queued, _) => Some(&mut self.queued),
            (_, Some(TaskPhase::Installing)) => Some(&mut self.installing),
            (_, Some(TaskPhase::Sending)) => Some(&mut self.sending),
            (_, Some(TaskPhase::Waiting)) => Some(&mut self.waiting),
            _ => None,
        };
        if let Some(known) = known {
            *known += 1;
        }
        &mut self.under_way
    }

    /// How many have not ended.
    pub(super) const fn going_on(&self) -> usize {
        self.under_way + self.confirming
    }

    /// For a picture: all that is, those that ended first.
    pub(super) fn parts(&self) -> Vec<Part> {
        let other = self.under_way - self.installing - self.sending - self.waiting - self.queued;
        let part = |count, what, paint, sign| Part {
            count,
            what,
            paint,
            sign,
        };
        vec![
            part(self.updated, "updated", Paint::Good, '='),
            part(self.legacy, "delivered, cannot report", Paint::Doubt, '?'),
            part(self.confirming, "to be confirmed", Paint::Work, '-'),
            part(self.installing, "installing", Paint::Work, '>'),
            part(self.sending, "sending", Paint::Work, '>'),
            part(self.waiting, "waiting", Paint::Plain, '>'),
            part(other, "updating", Paint::Work, '>'),
            part(self.failed, "failed", Paint::Bad, '!'),
            part(self.refused, "refused", Paint::Bad, '!'),
            part(self.unconfirmed, "unconfirmed", Paint::Doubt, '?'),
            part(self.timed_out, "timed out", Paint::Doubt, '?'),
            part(self.unknown, "unknown", Paint::Doubt, '?'),
            part(self.queued, "in queue", Paint::Plain, ' '),
        ]
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
