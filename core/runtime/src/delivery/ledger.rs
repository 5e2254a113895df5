//! What is written down about a task while it is carried out: that its installer
//! is begun, and how it ended. Again and again until the store takes it: a full
//! disk must not make the table lie.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::{debug, error, info, warn};
use wpk_api::{
    AttemptChange, AttemptWrite, CancellationToken, Mover, Selector, Status, StoreError, Task,
    TimelineEntry, TimelineStep, Transition, TransitionResult, Version,
};

use super::outcome::Ended;
use super::pauses::Growing;
use crate::failure::Failure;
use crate::workshop::Workshop;

/// The place of one task in the store.
pub(super) struct Ledger<'a> {
    pub(super) workshop: &'a Workshop,
    pub(super) task: &'a Task,
    pub(super) stop: &'a CancellationToken,
    /// Steps that went well, until the next write: an agent is not made to wait for
    /// each.
    steps: Mutex<Vec<TimelineEntry>>,
}

impl<'a> Ledger<'a> {
    /// The place of a task that was just taken.
    pub(super) fn of(workshop: &'a Workshop, task: &'a Task, stop: &'a CancellationToken) -> Self {
        let claimed = TimelineEntry::new(workshop.now(), TimelineStep::Claimed);
        let claimed = claimed.asked(&format!("node {}", workshop.node()));
        Self {
            workshop,
            task,
            stop,
            steps: Mutex::new(vec![claimed]),
        }
    }

    /// The place of a task that is not taken yet.
    pub(super) fn ahead_of(
        workshop: &'a Workshop,
        task: &'a Task,
        stop: &'a CancellationToken,
    ) -> Self {
        Self {
            workshop,
            task,
            stop,
            steps: Mutex::default(),
        }
    }

    /// A step with the agent went well. It is written down with the next one that is
    /// waited for.
    pub(super) fn went_well(&self, step: TimelineStep, detail: Option<String>) {
        let entry = TimelineEntry::new(self.workshop.now(), step);
        let mut entry = entry.asked(&format!("agent {}", self.task.agent));
        if let Some(detail) = detail {
            entry = entry.detail(&detail);
        }
        self.steps().push(entry);
    }

    fn steps(&self) -> MutexGuard<'_, Vec<TimelineEntry>> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Writes down that the installer is begun, and which version the agent will tell
    /// after it, if that is known. Only then, and only once, may the
    /// agent be told to.
    ///
    /// # Errors
    /// The installer must not be run.
    pub(super) async fn installer_begins(&self, target: Option<Version>) -> Result<(), Ended> {
        Box::pin(self.note([])).await;
        let store = self.workshop.store();
        let doubt = AtomicBool::new(false);
        let begin = || async {
            let begun = store.begin_installer(self.task.id, target, self.workshop.now());
            match begun.await {
                // Whose it is now can be said by the store alone: this delivery asks once at
                // a time, and no other has the task.
                Ok(false) if doubt.load(Ordering::Relaxed) => {
                    let begun = store.begun(self.task.id).await?;
                    Ok(begun == Some(self.workshop.membership.incarnation()))
                }
                Err(error) => {
                    let uncertain = matches!(error, StoreError::Uncertain(_));
                    doubt.fetch_or(uncertain, Ordering::Relaxed);
                    Err(error)
                }
                begun => begun,
            }
        };
        match self.persist(begin).await {
            None => Err(Ended::Stopped),
            Some(false) => Err(Ended::NotOurs),
            Some(true) => Ok(()),
        }
    }

    /// The agent has the file; whoever plans counts on it.
    pub(super) async fn staged(&self) {
        let write = AttemptWrite {
            task: self.task.id,
            change: AttemptChange::Staged(true),
        };
        if let Err(error) = self
            .workshop
            .store()
            .write_attempts(vec![write], None)
            .await
        {
            debug!(task = %self.task.id, %error, "that a file was sent ahead cannot be written down");
        }
    }

    /// From now on the agent's word is awaited.
    pub(super) async fn awaits_word(&self) {
        let (store, now) = (self.workshop.store(), self.workshop.now());
        if let Err(error) = store.touch(&[self.task.id], now).await {
            // The time-out then counts from the moment the installer was begun.
            warn!(task = %self.task.id, %error, "the time of the task could not be updated");
        }
    }

    /// Steps of the task, behind those that went well. They are told to nobody's cost:
    /// where the store does not take them, the delivery goes on.
    pub(super) async fn note(&self, entries: impl IntoIterator<Item = TimelineEntry>) {
        let mut steps = std::mem::take(&mut *self.steps());
        steps.extend(entries);
        if steps.is_empty() {
            return;
        }
        let steps = steps.into_iter().map(|entry| (self.task.id, entry));
        if let Err(error) = self.workshop.store().note(steps.collect()).await {
            debug!(task = %self.task.id, %error, "a step cannot be written into the timeline");
        }
    }

    /// A failure, with who was asked where that is the agent.
    pub(super) fn failure(&self, failure: &Failure) -> TimelineEntry {
        let entry = failure.entry(self.workshop.now());
        match entry.step {
            TimelineStep::LockRestart
            | TimelineStep::Open
            | TimelineStep::Write
            | TimelineStep::Close
            | TimelineStep::Sha1
            | TimelineStep::Upgrade => entry.asked(&format!("agent {}", self.task.agent)),
            _ => entry,
        }
    }

    /// The task ends.
    pub(super) async fn ends(
        &self,
        to: Status,
        error_msg: Option<String>,
        entry: Option<TimelineEntry>,
    ) {
        Box::pin(self.note([])).await;
        let (store, task) = (self.workshop.store(), self.task);
        let ending = || Transition {
            select: Selector::Task(task.id),
            to: to.clone(),
            node: self.workshop.node().to_owned(),
            error_msg: error_msg.clone(),
            at: self.workshop.now(),
            by: Mover::Delivery,
            entry: entry.clone(),
        };
        let ended = self
            .persist(|| async { store.transition(vec![ending()]).await })
            .await;
        match ended.as_deref() {
            Some([TransitionResult::Moved(_)]) => {}
            Some([TransitionResult::Refused(now)]) => {
                let now = now.as_ref().map_or("gone", |task| task.status.as_str());
                info!(task = %task.id, agent = %task.agent, %to, now, "the task had ended already");
            }
            Some(_) => error!(task = %task.id, "the task store answered nothing for a move"),
            None => {
                error!(task = %task.id, %to, "stopped before the end of the task could be stored")
            }
        }
    }

    /// `None` if the daemon stops first, or is shut out of the store.
    async fn persist<T, F>(&self, mut write: impl FnMut() -> F) -> Option<T>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut pauses = Growing::new();
        loop {
            match write().await {
                Ok(value) => return Some(value),
                Err(StoreError::Fenced(why)) => {
                    self.workshop.membership.is_shut_out(&why);
                    return None;
                }
                Err(error) => {
                    error!(%error, retry_in = ?pauses.next(), "the task store refused a write")
                }
            }
            pauses.wait(self.stop).await.ok()?;
        }
    }
}
