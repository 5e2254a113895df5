//! One claimed task to its end, whatever happens on the way: attempt after
//! attempt, and what each outcome means for the task and the log.

use std::sync::Arc;

use tracing::{debug, info, warn};
use wpk_api::{CancellationToken, Claimed, Status, Task};

use super::attempt::Attempt;
use super::ledger::Ledger;
use super::outcome::{Ended, Left, Next, Outcome, decide};
use super::pauses;
use super::slots::Slot;
use crate::failure::Failure;
use crate::in_hand::InHand;
use crate::workshop::Workshop;

/// A claimed task that is not timed out as long as this is there.
pub(super) struct Job {
    claimed: Claimed,
    in_hand: InHand,
    /// Whole deliveries it may take, at least one.
    attempts: u32,
}

impl Job {
    /// A task that was just claimed.
    pub(super) fn new(workshop: &Workshop, claimed: Claimed) -> Self {
        Self {
            in_hand: workshop.in_hand.take(&claimed.task),
            claimed,
            attempts: workshop.delivery().attempts.max(1),
        }
    }

    /// What an earlier run of the daemon was writing may still reach the agent
    /// and spoil the file; that attempt does not count.
    pub(super) fn begun_before(workshop: &Workshop, claimed: Claimed) -> Self {
        let job = Self::new(workshop, claimed);
        Self {
            attempts: job.attempts.saturating_add(1),
            ..job
        }
    }

    pub(super) fn task(&self) -> &Task {
        &self.claimed.task
    }
}

/// Carries out one claimed task to its end.
pub(super) async fn carry_out(
    workshop: Arc<Workshop>,
    mut job: Box<Job>,
    mut slot: Slot,
    stop: CancellationToken,
) {
    // Held to the very end: as long as this runs the task is not timed out.
    let Job {
        claimed: Claimed { task, order, .. },
        in_hand,
        attempts,
    } = &mut *job;
    let ledger = Ledger::of(&workshop, task, &stop);
    loop {
        *attempts = attempts.saturating_sub(1);
        let ended = match order {
            Err(cause) => unreadable(cause),
            Ok(order) => {
                let attempt = Attempt {
                    ledger: &ledger,
                    order,
                    in_hand,
                    slot: &mut slot,
                };
                attempt.run().await
            }
        };
        match decide(ended, *attempts, stop.is_cancelled()) {
            Next::Over(outcome) => return Box::pin(conclude(&ledger, outcome)).await,
            Next::Again(failure) => {
                warn!(task = %task.id, agent = %task.agent, attempts_left = *attempts, %failure, "delivery failed, will be tried again");
                in_hand.waits();
                slot.leave();
                Box::pin(ledger.note([ledger.failure(&failure)])).await;
                let ended = in_hand.until_ended();
                let pause = pauses::between_attempts(&stop);
                // One that ended meanwhile is left at once by the next attempt.
                if let Some(Err(_stopped)) = ended.run_until_cancelled(pause).await {
                    return;
                }
            }
        }
    }
}

fn unreadable(cause: &str) -> Ended {
    Ended::for_good(Failure::local(format!("{}: {cause}", Failure::UNREADABLE)))
}

/// Writes the end of a task down, and into the log.
async fn conclude(ledger: &Ledger<'_>, outcome: Outcome) {
    let (id, agent) = (ledger.task.id, ledger.task.agent);
    match outcome {
        Outcome::AwaitsWord => {
            info!(task = %id, %agent, "the agent runs the installer");
            ledger.awaits_word().await;
        }
        Outcome::Silent(failure) => {
            warn!(task = %id, %agent, %failure, "the agent did not say whether it runs the installer; its word or the time-out decides");
            ledger.note([ledger.failure(&failure)]).await;
            ledger.awaits_word().await;
        }
        Outcome::Legacy => {
            info!(task = %id, %agent, "the agent runs the installer, and is too old to say how that ends");
            ledger.ends(Status::Legacy, None, None).await;
        }
        Outcome::Failed(failure) => {
            warn!(task = %id, %agent, code = failure.code.code(), %failure, "upgrade failed");
            let error_msg = Some(failure.error_msg());
            let entry = ledger.failure(&failure);
            ledger.ends(Status::Failed, error_msg, Some(entry)).await;
        }
        Outcome::Left(Left::Interrupted) => {
            debug!(task = %id, %agent, "delivery interrupted, it goes on at the next start");
        }
        Outcome::Left(Left::Unanswered) => {
            info!(task = %id, %agent, "stopping before the agent answered; its word is awaited after the next start");
        }
        Outcome::Left(Left::NotOurs) => {
            warn!(task = %id, %agent, "the task ended meanwhile, or another node took it over; the installer was not run here");
        }
        Outcome::Left(Left::TakenBack) => {
            info!(task = %id, %agent, "the task was taken back; its delivery ends, and the installer was not run");
        }
        Outcome::Left(Left::GivenAway) => {
            info!(task = %id, %agent, "the agent is at another node, which carries the task out");
        }
    }
}
