//! How long tasks have been as they are, measured by a clock that nobody sets.
//! Only what an earlier run left is judged by the times that were stored.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;
use wpk_api::{Task, TaskId, UnixTime};

/// The ages of tasks since their last update, from look to look.
pub(super) struct Ages {
    /// An age that is old enough for whoever asks.
    enough: Duration,
    seen: HashMap<TaskId, Age>,
    /// Whether this run has looked before: what it meets later is new to it.
    looked: bool,
}

/// How long a task has been without an update.
#[derive(Clone, Copy)]
struct Age {
    updated: Option<UnixTime>,
    since: Instant,
    /// How long it had lasted when it was first seen.
    before: Duration,
}

impl Ages {
    /// No age is told as more than it has to be: what an earlier run left counts as
    /// `enough` at the most.
    pub(super) fn new(enough: Duration) -> Self {
        Self {
            enough,
            seen: HashMap::new(),
            looked: false,
        }
    }

    /// These were updated meanwhile, whatever time was stored: a clock that was put back
    /// may have stored the same one again.
    pub(super) fn updated(&mut self, tasks: &[TaskId]) {
        for task in tasks {
            self.seen.remove(task);
        }
    }

    /// Takes in the tasks that there are now, and forgets all others; the age of
    /// each, in their order.
    pub(super) fn look<'t>(
        &mut self,
        tasks: impl Iterator<Item = &'t Task>,
        now: UnixTime,
    ) -> Vec<Duration> {
        let (mut seen, mut ages) = (HashMap::new(), Vec::new());
        for task in tasks {
            let known = self.seen.get(&task.id).copied();
            let age = known
                .filter(|age| age.updated == task.updated)
                .unwrap_or_else(|| self.begins(task, now));
            ages.push(age.before.saturating_add(age.since.elapsed()));
            seen.insert(task.id, age);
        }
        self.seen = seen;
        self.looked = true;
        ages
    }

    fn begins(&self, task: &Task, now: UnixTime) -> Age {
        let last_word = task.updated.unwrap_or(task.created);
        let left_over = now.saturating_sub(last_word).max(0).unsigned_abs();
        Age {
            updated: task.updated,
            since: Instant::now(),
            before: match self.looked {
                true => Duration::ZERO,
                false => Duration::from_secs(left_over).min(self.enough),
            },
        }
    }
}
