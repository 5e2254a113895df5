//! An observer and what can be seen of it, as its author describes them, and the changes
//! that the stories tell of.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use wpk_api::{
    AgentId, Change, Changed, Command, ObserverError, Revision, Status, Task, TaskId, TaskObserver,
};

use crate::suite::{Keep, Opener, within};

/// The most changes that an observer is told at once.
pub const MANY: usize = 10_000;

/// The time the suite's stories start.
const START: i64 = 1_700_000_000;

/// What an author finds where the observer writes.
type Look = Box<dyn Fn() -> BTreeMap<TaskId, Status> + Send + Sync>;
/// Keeps an observer from its work, and lets it work again.
type Break = Box<dyn Fn(bool) + Send + Sync>;

/// An observer and what can be seen of it.
pub struct Stand {
    pub(super) open: Opener<dyn TaskObserver>,
    look: Option<Look>,
    pub(super) break_it: Option<Break>,
    keep: Keep,
}

impl fmt::Debug for Stand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stand")
            .field("look", &self.look.is_some())
            .field("break_it", &self.break_it.is_some())
            .finish_non_exhaustive()
    }
}

impl Stand {
    /// `open` opens the observer, each time on what it wrote before.
    pub fn new<F, Fut>(open: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Arc<dyn TaskObserver>> + Send + 'static,
    {
        Self {
            open: Opener::new(open),
            look: None,
            break_it: None,
            keep: None,
        }
    }

    /// How tasks stand where the observer writes, by the last word of each; what was
    /// deleted is not there. Tasks that the suite did not tell of do not matter, nor do
    /// those that it told of as somebody else's. An observer that nobody can look behind
    /// leaves this out.
    #[must_use]
    pub fn look(
        mut self,
        look: impl Fn() -> BTreeMap<TaskId, Status> + Send + Sync + 'static,
    ) -> Self {
        self.look = Some(Box::new(look));
        self
    }

    /// Keeps the observer from its work (`true`): its server is down, its file cannot be
    /// written; and lets it work again (`false`).
    #[must_use]
    pub fn break_it(mut self, break_it: impl Fn(bool) + Send + Sync + 'static) -> Self {
        self.break_it = Some(Box::new(break_it));
        self
    }

    /// What must live as long as the stand.
    #[must_use]
    pub fn keep(mut self, keep: impl std::any::Any + Send + Sync) -> Self {
        self.keep = Some(Box::new(keep));
        self
    }

    /// Where the author lets it be seen: the tasks stand like this.
    #[track_caller]
    pub(super) fn shows(&self, when: &str, expected: &[(i64, Option<Status>)]) {
        let Some(look) = &self.look else { return };
        let found = look();
        for (id, status) in expected {
            let there = found.get(&TaskId(*id));
            assert_eq!(
                there,
                status.as_ref(),
                "{when}: task {id} stands there like this"
            );
        }
    }
}

/// A task of agent `id` with that id.
pub(super) fn task(id: i64, status: Status) -> Task {
    let created = START.saturating_add(id % 1_000_000);
    Task {
        id: TaskId(id),
        agent: AgentId::new(id).unwrap_or(AgentId::MANAGER),
        node: "node01".to_owned(),
        module: "upgrade_module".to_owned(),
        command: Command::Upgrade,
        created,
        updated: (status != Status::Pending).then_some(created + 60),
        error_msg: (status == Status::Failed).then(|| "it has no space left".to_owned()),
        confirmation: None,
        status,
    }
}

/// A task is new, or like this now.
pub(super) fn is(revision: u64, id: i64, status: Status) -> Change {
    Change {
        revision: Revision(revision),
        changed: Changed::Task(task(id, status)),
        was: None,
    }
}

/// A task of somebody else.
pub(super) fn foreign(revision: u64, id: i64, status: Status) -> Change {
    Change {
        revision: Revision(revision),
        changed: Changed::Foreign(task(id, status)),
        was: None,
    }
}

/// A task is gone; `was` says how it was, where that is known.
pub(super) fn gone(revision: u64, id: i64, was: Option<Status>) -> Change {
    Change {
        revision: Revision(revision),
        changed: Changed::Deleted(TaskId(id)),
        was: was.map(|status| task(id, status)),
    }
}

/// What an observer says to these changes.
pub(super) async fn told(
    observer: &dyn TaskObserver,
    changes: &[Change],
) -> Result<(), ObserverError> {
    within("observe", observer.observe(changes)).await
}

/// The observer takes these changes.
pub(super) async fn takes(what: &str, observer: &dyn TaskObserver, changes: &[Change]) {
    if let Err(error) = told(observer, changes).await {
        panic!("{what} was to be taken, and was not: {error}");
    }
}
