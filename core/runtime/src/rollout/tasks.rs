//! All attempts as the planner sees them: read once, then kept up with the store's feed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use wpk_api::{
    AgentId, Attempt as Kept, Changed, Revision, Status, StoreError, StoreResult, Task, TaskId,
    TaskStore, UnixTime, Version,
};
use wpk_rollout::{Attempt, Outcome, Permit, RolloutKey};

use super::book::Book;
use crate::failure::Failure;

/// From when on a task may be begun that nobody gave leave to: the year 9999.
pub(super) const NEVER: UnixTime = 253_370_764_800;
/// Attempts, changes and agents asked for at a time.
const PAGE: usize = 5_000;
/// After how long all is read anew: what was purged is forgotten then.
const ANEW: Duration = Duration::from_secs(3_600);

/// What the planner keeps with a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// The version of its hop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) target: Option<Version>,
    /// When it was seen to run it first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) observed: Option<UnixTime>,
    /// When its soak was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) soaked: Option<UnixTime>,
}

impl Mark {
    /// As it is stored.
    pub(super) fn text(&self) -> String {
        // There is nothing in it that JSON cannot say.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What is known of tasks.
#[derive(Default)]
pub(super) struct Tasks {
    attempts: Arc<Vec<Attempt>>,
    at: HashMap<TaskId, usize>,
    /// Which are In progress: taken, or begun.
    taken: HashSet<TaskId>,
    rollouts: BTreeMap<String, RolloutKey>,
    place: Revision,
    /// Ends that are no success, seen since they were counted anew.
    failures: usize,
    read: Option<Instant>,
}

impl Tasks {
    /// All of them.
    pub(super) fn all(&self) -> Arc<Vec<Attempt>> {
        self.attempts.clone()
    }

    /// How far in the feed.
    pub(super) const fn place(&self) -> Revision {
        self.place
    }

    pub(super) fn of(&self, task: TaskId) -> Option<&Attempt> {
        self.attempts.get(*self.at.get(&task)?)
    }

    /// Whether somebody carries it out.
    pub(super) fn is_taken(&self, task: TaskId) -> bool {
        self.taken.contains(&task)
    }

    /// How many were seen to fail, fall silent, or run another version.
    pub(super) const fn failures(&self) -> usize {
        self.failures
    }

    pub(super) const fn count_failures_anew(&mut self) {
        self.failures = 0;
    }

    /// Nothing is known any more.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Reads what is new. Everything, where a rollout is new or it was long ago.
    pub(super) async fn follow(
        &mut self,
        store: &dyn TaskStore,
        book: &Book,
        agents: impl Iterator<Item = AgentId>,
    ) -> StoreResult<()> {
        let fresh = self.read.is_some_and(|read| read.elapsed() < ANEW);
        let keys = book.rollouts.iter();
        let keys: BTreeMap<_, _> = keys
            .map(|(key, one)| (key.clone(), one.key.clone()))
            .collect();
        if !fresh {
            self.forget();
            self.place = store.revision().await?;
            self.rollouts = keys;
            self.read_all(store, agents).await?;
            self.read = Some(Instant::now());
        } else if self.rollouts != keys {
            // A new one has no tasks that the feed would not tell of.
            self.rollouts = keys;
        }
        loop {
            let changes = store.changes(self.place, PAGE).await?;
            let Some(last) = changes.last() else {
                return Ok(());
            };
            let place = last.revision;
            let mut changed: BTreeMap<TaskId, Option<Task>> = BTreeMap::new();
            for change in changes {
                match change.changed {
                    Changed::Task(task) | Changed::Foreign(task) => {
                        changed.insert(task.id, Some(task))
                    }
                    Changed::Deleted(task) => changed.insert(task, None),
                };
            }
            let ids: Vec<TaskId> = changed.keys().copied().collect();
            let fenced = store.attempts_of(&ids).await?;
            for ((id, task), fenced) in changed.into_iter().zip(fenced) {
                match (fenced, task) {
                    (Some(kept), _) => {
                        let before = self.of(id).is_some_and(has_failed);
                        self.put_kept(kept);
                        let after = self.of(id).is_some_and(has_failed);
                        self.failures += usize::from(after && !before);
                    }
                    (None, Some(task)) => self.put_foreign(&task),
                    (None, None) => self.remove(id),
                }
            }
            self.place = place;
        }
    }

    async fn read_all(
        &mut self,
        store: &dyn TaskStore,
        agents: impl Iterator<Item = AgentId>,
    ) -> StoreResult<()> {
        let keys: Vec<String> = self.rollouts.keys().cloned().collect();
        for key in keys {
            let mut after = TaskId(0);
            loop {
                let page = store.attempts(&key, after, PAGE).await?;
                let Some(last) = page.last() else { break };
                after = last.task.id;
                page.into_iter().for_each(|kept| self.put_kept(kept));
            }
        }
        let agents: Vec<AgentId> = agents.collect();
        for some in agents.chunks(PAGE) {
            let newest = store.latest(some).await?;
            for task in newest.into_iter().flatten() {
                if !self.at.contains_key(&task.id) {
                    self.put_foreign(&task);
                }
            }
        }
        Ok(())
    }

    fn put_kept(&mut self, kept: Kept) {
        match kept.task.status {
            Status::InProgress => self.taken.insert(kept.task.id),
            _ => self.taken.remove(&kept.task.id),
        };
        let rollout = self.rollouts.get(&kept.key).cloned();
        self.put(attempt(kept, rollout));
    }

    /// A request of somebody: it counts as long as it is live.
    fn put_foreign(&mut self, task: &Task) {
        if !task.status.is_live() {
            return self.remove(task.id);
        }
        self.put(Attempt {
            id: task.id,
            agent: task.agent,
            rollout: None,
            target: None,
            permit: None,
            staged: false,
            begun: None,
            end: None,
            observed: None,
            soaked: None,
        });
    }

    fn put(&mut self, attempt: Attempt) {
        let attempts = Arc::make_mut(&mut self.attempts);
        match self.at.get(&attempt.id).copied() {
            Some(at) => {
                if let Some(known) = attempts.get_mut(at) {
                    *known = attempt;
                }
            }
            None => {
                self.at.insert(attempt.id, attempts.len());
                attempts.push(attempt);
            }
        }
    }

    fn remove(&mut self, task: TaskId) {
        self.taken.remove(&task);
        let Some(at) = self.at.remove(&task) else {
            return;
        };
        let attempts = Arc::make_mut(&mut self.attempts);
        if at < attempts.len() {
            attempts.swap_remove(at);
        }
        if let Some(moved) = attempts.get(at) {
            self.at.insert(moved.id, at);
        }
    }

    /// The planner's mark was written.
    pub(super) fn marked(&mut self, task: TaskId, mark: &Mark) {
        let Some(at) = self.at.get(&task).copied() else {
            return;
        };
        if let Some(known) = Arc::make_mut(&mut self.attempts).get_mut(at) {
            known.observed = mark.observed;
            known.soaked = mark.soaked;
        }
    }
}

const fn has_failed(attempt: &Attempt) -> bool {
    matches!(
        attempt.end,
        Some((
            _,
            Outcome::Failed(_) | Outcome::Unconfirmed(_) | Outcome::Silent
        ))
    )
}

/// Which of these tasks were made for a rollout. A store that keeps no rollouts, or knows no
/// attempts, has none of them.
///
/// # Errors
/// As [`TaskStore::attempts_of`].
pub(crate) async fn attempts_of(
    store: &dyn TaskStore,
    tasks: &[TaskId],
) -> StoreResult<HashMap<TaskId, Kept>> {
    let without = [
        StoreError::keeps_no_documents(),
        StoreError::changes_no_attempts(),
    ];
    match store.attempts_of(tasks).await {
        Ok(found) => {
            let found = found.into_iter().flatten();
            Ok(found.map(|kept| (kept.task.id, kept)).collect())
        }
        Err(error) if without.contains(&error) => Ok(HashMap::new()),
        Err(error) => Err(error),
    }
}

/// The version of the hop that a rollout made this task for; `None` where none did.
pub(crate) async fn target_of(store: &dyn TaskStore, task: TaskId) -> StoreResult<Option<Version>> {
    let kept = attempts_of(store, &[task]).await?.remove(&task);
    let mark = kept.and_then(|kept| serde_json::from_str::<Mark>(&kept.mark).ok());
    Ok(mark.and_then(|mark| mark.target))
}

fn attempt(kept: Kept, rollout: Option<RolloutKey>) -> Attempt {
    let mark: Mark = serde_json::from_str(&kept.mark).unwrap_or_default();
    let task = kept.task;
    let changed = task.updated.unwrap_or(task.created);
    let error = task.error_msg.as_deref();
    let end = Outcome::of(&task.status, task.confirmation.as_ref(), error);
    let end = end.map(|outcome| match outcome {
        Outcome::Failed(said) if !kept.begun && Failure::is_of_source(&said) => {
            Outcome::NoFile(said)
        }
        outcome => outcome,
    });
    Attempt {
        id: task.id,
        agent: task.agent,
        rollout,
        target: mark.target.or(kept.target),
        permit: (kept.opens < NEVER).then_some(Permit {
            epoch: kept.epoch,
            until: kept.closes,
        }),
        staged: kept.staged,
        begun: kept.begun.then(|| kept.begun_at.unwrap_or(changed)),
        end: end.map(|outcome| (changed, outcome)),
        observed: mark.observed,
        soaked: mark.soaked,
    }
}
