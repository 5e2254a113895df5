//! Which agents were sent their file before its installer may be begun, and which are being
//! sent it now. In memory only: what a restart forgets is found out by the agent's digest.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use wpk_api::{CancellationToken, Sha1, TaskId};

/// The most tasks that are remembered; others are sent their file when it is installed.
const MOST: usize = 65_536;
/// How long a file that could not be sent waits for its next try, and the longest wait.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// All that is known.
#[derive(Default)]
pub(crate) struct Staged {
    tasks: Mutex<HashMap<TaskId, State>>,
    /// Whether there is anything to look for, and a wake-up.
    wanted: AtomicBool,
    changed: Notify,
}

enum State {
    /// It is being sent; ends when told, and then says so.
    Sending(CancellationToken, Arc<Notify>),
    /// It is there; whether the task was missing at the last look.
    There(Sha1, bool),
    /// It could not be sent.
    Later(Instant, Duration),
    /// A delivery carries it out: whoever still has it in a list that was read before must
    /// not send the file beside it. Whether the task was missing at the last look.
    Taken(bool),
}

impl Staged {
    /// Whether tasks are to be looked for whose files can be sent ahead.
    pub(crate) fn want(&self, wanted: bool) {
        let before = self.wanted.swap(wanted, Ordering::Relaxed);
        if wanted && !before {
            self.changed.notify_one();
        }
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    pub(super) async fn until_changed(&self) {
        self.changed.notified().await;
    }

    /// Whether [`begin`](Self::begin) would, now.
    pub(super) fn may_begin(&self, task: TaskId) -> bool {
        is_free(&self.tasks(), task)
    }

    /// Begins to send, unless that was done, is being done, or has to wait.
    pub(super) fn begin(self: &Arc<Self>, task: TaskId) -> Option<Sending> {
        let mut tasks = self.tasks();
        if !is_free(&tasks, task) {
            return None;
        }
        let stop = CancellationToken::new();
        let over = Arc::new(Notify::new());
        let pause = match tasks.insert(task, State::Sending(stop.clone(), over.clone())) {
            Some(State::Later(_, pause)) => (pause * 2).min(LONGEST_PAUSE),
            _ => FIRST_PAUSE,
        };
        Some(Sending {
            staged: self.clone(),
            task,
            stop,
            over,
            pause,
            becomes: None,
        })
    }

    /// The task is carried out now: what is being sent ends, and is waited for. The digest
    /// of what is there, if it is.
    pub(super) async fn take(&self, task: TaskId) -> Option<Sha1> {
        loop {
            let over = {
                let mut tasks = self.tasks();
                match tasks.get(&task) {
                    Some(State::Sending(stop, over)) => {
                        stop.cancel();
                        over.clone()
                    }
                    // Nobody looks for anything.
                    None if !self.is_wanted() => return None,
                    _ => {
                        return match tasks.insert(task, State::Taken(false)) {
                            Some(State::There(sha1, _)) => Some(sha1),
                            _ => None,
                        };
                    }
                }
            };
            // One permit is kept for whoever comes too late.
            over.notified().await;
        }
    }

    /// Forgets all tasks but these and what is being sent: they ended otherwise. One that
    /// was just taken is in no list for a moment, so it has to be missing twice.
    pub(super) fn keep(&self, tasks: &HashSet<TaskId>) {
        self.tasks().retain(|task, state| match state {
            State::Sending(..) => true,
            State::There(_, missing) | State::Taken(missing) => {
                let before = std::mem::replace(missing, !tasks.contains(task));
                !(before && *missing)
            }
            State::Later(..) => tasks.contains(task),
        });
    }

    fn tasks(&self) -> MutexGuard<'_, HashMap<TaskId, State>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_free(tasks: &HashMap<TaskId, State>, task: TaskId) -> bool {
    match tasks.get(&task) {
        None => tasks.len() < MOST,
        Some(State::Later(at, _)) => *at <= Instant::now(),
        Some(_) => false,
    }
}

/// A file that is being sent ahead; over when dropped.
pub(super) struct Sending {
    staged: Arc<Staged>,
    task: TaskId,
    /// Told when the task is to be carried out.
    pub(super) stop: CancellationToken,
    over: Arc<Notify>,
    pause: Duration,
    becomes: Option<Sha1>,
}

impl Sending {
    /// The agent has it.
    pub(super) fn arrived(mut self, sha1: Sha1) {
        self.becomes = Some(sha1);
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        let state = match self.becomes {
            Some(sha1) => State::There(sha1, false),
            None => State::Later(Instant::now() + self.pause, self.pause),
        };
        self.staged.tasks().insert(self.task, state);
        self.over.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nothing_is_sent_ahead_beside_a_delivery() {
        let staged = Arc::new(Staged::default());
        staged.want(true);
        let (task, none) = (TaskId(7), HashSet::new());
        assert_eq!(staged.take(task).await, None);
        // Who looked before it was taken has it in his list still.
        assert!(staged.begin(task).is_none());
        staged.keep(&none);
        assert!(staged.begin(task).is_none());
        // Another attempt of the same delivery.
        assert_eq!(staged.take(task).await, None);
        staged.keep(&none);
        staged.keep(&none);
        assert!(staged.begin(task).is_some(), "it is forgotten at last");
    }

    #[tokio::test(start_paused = true)]
    async fn a_delivery_waits_for_what_is_being_sent_and_has_what_arrived() {
        let staged = Arc::new(Staged::default());
        staged.want(true);
        let sha1 = Sha1([7; 20]);
        let sending = staged.begin(TaskId(1)).unwrap();
        let taking = tokio::spawn({
            let staged = staged.clone();
            async move { staged.take(TaskId(1)).await }
        });
        sending.stop.cancelled().await;
        sending.arrived(sha1);
        assert_eq!(taking.await.unwrap(), Some(sha1));
        assert!(staged.begin(TaskId(1)).is_none());
    }
}
