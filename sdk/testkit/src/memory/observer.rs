//! An observer that remembers what it was told. Where it writes, others may write too:
//! what stands there a test puts down.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use wpk_api::{Change, Changed, ObserverError, Status, Task, TaskId, TaskObserver};

/// What an observer does instead of what it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instead {
    /// It fails, for this reason, and did nothing.
    Fail(&'static str),
    /// It does everything, and says that it failed.
    FailAfterwards(&'static str),
    /// It does everything, and says so only after [`MemoryObserver::release`].
    HangAfterwards,
    /// It waits for [`MemoryObserver::release`], and then goes on.
    Hang,
    /// It panics with these words.
    Panic(&'static str),
}

#[derive(Debug)]
struct Rule {
    call: &'static str,
    instead: Instead,
    times: usize,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    /// How often `observe` and `shown` were called.
    calls: BTreeMap<&'static str, usize>,
    seen: Vec<Change>,
    there: BTreeMap<TaskId, Task>,
}

/// The observer.
#[derive(Debug, Default)]
pub struct MemoryObserver {
    state: Mutex<State>,
    moved: Notify,
    released: Notify,
    /// Whether it writes what it is told to where [`TaskObserver::shown`] reads.
    writes: bool,
}

impl MemoryObserver {
    /// One that writes down how tasks are, as the table of a 4.x manager: what it is told
    /// stands there, and what others made it leaves alone. The
    /// [default](Self::default) only remembers.
    pub fn that_writes() -> Self {
        Self {
            writes: true,
            ..Self::default()
        }
    }

    /// From now on it does this in a call (`observe` or `shown`), `times` times.
    pub fn rule(&self, call: &'static str, instead: Instead, times: usize) {
        let rule = Rule {
            call,
            instead,
            times,
        };
        self.state().rules.push(rule);
    }

    /// It does what it should again, and calls that hang go on.
    pub fn release(&self) {
        self.state().rules.clear();
        self.released.notify_waiters();
    }

    /// Everything that it took, in the order in which it came, what came twice twice.
    pub fn seen(&self) -> Vec<Change> {
        self.state().seen.clone()
    }

    /// How tasks are after all it took: what was deleted is not among them.
    pub fn picture(&self) -> BTreeMap<TaskId, Task> {
        let mut picture = BTreeMap::new();
        for change in self.seen() {
            match change.changed {
                Changed::Task(task) | Changed::Foreign(task) => {
                    picture.insert(task.id, task);
                }
                Changed::Deleted(id) => {
                    picture.remove(&id);
                }
            }
        }
        picture
    }

    /// The statuses that it took of one task, in the order in which they came.
    pub fn statuses(&self, id: TaskId) -> Vec<Status> {
        let seen = self.seen().into_iter();
        seen.filter_map(|change| match change.changed {
            Changed::Task(task) | Changed::Foreign(task) if task.id == id => Some(task.status),
            _ => None,
        })
        .collect()
    }

    /// Somebody else writes these tasks to where it writes.
    pub fn put(&self, tasks: impl IntoIterator<Item = Task>) {
        let tasks = tasks.into_iter().map(|task| (task.id, task));
        self.state().there.extend(tasks);
    }

    /// Somebody else deletes a task there.
    pub fn remove(&self, id: TaskId) {
        self.state().there.remove(&id);
    }

    /// What stands there.
    pub fn there(&self) -> BTreeMap<TaskId, Task> {
        self.state().there.clone()
    }

    /// How often it was called, `observe` or `shown`.
    pub fn count(&self, call: &str) -> usize {
        self.state().calls.get(call).copied().unwrap_or_default()
    }

    /// Waits until `look` finds something; it looks whenever a call begins or ended. The
    /// caller sets the deadline.
    pub async fn until<T>(&self, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        loop {
            let moved = self.moved.notified();
            if let Some(found) = look(self) {
                return found;
            }
            moved.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a call; says what it is to do although everything is done.
    async fn enter(&self, call: &'static str) -> Result<End<'_>, ObserverError> {
        let released = self.released.notified();
        let instead = {
            let mut state = self.state();
            *state.calls.entry(call).or_default() += 1;
            let mut rules = state.rules.iter_mut();
            let rule = rules.find(|rule| rule.call == call && rule.times > 0);
            rule.map(|rule| {
                rule.times -= 1;
                rule.instead.clone()
            })
        };
        self.moved.notify_waiters();
        let failed = |why: &str| ObserverError(why.to_owned());
        match instead {
            None => {}
            Some(Instead::Fail(why)) => return Err(failed(why)),
            Some(Instead::FailAfterwards(why)) => return Ok(End::Failed(failed(why))),
            Some(Instead::HangAfterwards) => return Ok(End::Late(released)),
            Some(Instead::Hang) => released.await,
            Some(Instead::Panic(words)) => panic!("{words}"),
        }
        Ok(End::Well)
    }
}

/// How a call ends that did everything.
enum End<'o> {
    Well,
    Failed(ObserverError),
    Late(Notified<'o>),
}

impl End<'_> {
    async fn come(self) -> Result<(), ObserverError> {
        match self {
            Self::Well => {}
            Self::Failed(error) => return Err(error),
            Self::Late(released) => released.await,
        }
        Ok(())
    }
}

impl State {
    fn write(&mut self, change: &Change) {
        match &change.changed {
            Changed::Task(task) => {
                self.there.insert(task.id, task.clone());
            }
            // It is there already.
            Changed::Foreign(_) => {}
            Changed::Deleted(id) => {
                if change.was.is_some() {
                    self.there.remove(id);
                }
            }
        }
    }
}

#[async_trait]
impl TaskObserver for MemoryObserver {
    async fn observe(&self, changes: &[Change]) -> Result<(), ObserverError> {
        let end = self.enter("observe").await?;
        {
            let mut state = self.state();
            if self.writes {
                changes.iter().for_each(|change| state.write(change));
            }
            state.seen.extend_from_slice(changes);
        }
        self.moved.notify_waiters();
        end.come().await
    }

    async fn shown(&self, after: TaskId, limit: usize) -> Result<Vec<Task>, ObserverError> {
        let end = self.enter("shown").await?;
        let shown = {
            let state = self.state();
            let rest = state.there.values().filter(|task| task.id > after);
            rest.take(limit).cloned().collect()
        };
        self.moved.notify_waiters();
        end.come().await.map(|()| shown)
    }
}
