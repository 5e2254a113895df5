//! TaskObserver: who is told of every change of a task.

use async_trait::async_trait;

use crate::{Change, Task, TaskId};

/// Is told of every change of every task: the table of a 4.x manager that shows
/// our tasks, a webhook, an audit trail.
///
/// It reads the store's feed ([`TaskStore::changes`](crate::TaskStore::changes))
/// through the engine, which keeps its place in that feed in the store, under the
/// observer's name. One that fails or is slow is behind; it is never in the way of
/// a request or a delivery.
///
/// Two kinds of tasks are told apart by [`Changed`](crate::Changed): those that live
/// in our store, and those that somebody else made and that were only imported from
/// what [`shown`](Self::shown) gave.
#[async_trait]
pub trait TaskObserver: Send + Sync {
    /// Some changes, in the order of the feed: all of it is done when this returns
    /// `Ok`, and the next changes come; after an error the same ones come again, after
    /// a pause that grows to a minute. A change may come more than once, also long
    /// after later ones of the same task when the engine puts something right; what
    /// [`Change::changed`] says then is how the task is now.
    ///
    /// May wait as long as what it writes to needs; there is no deadline but the one of a
    /// plugin library.
    ///
    /// # Errors
    /// [`ObserverError`]; its text is shown in the log and by the doctor.
    async fn observe(&self, changes: &[Change]) -> Result<(), ObserverError>;

    /// For an observer that writes where others write too: up to `limit` of the tasks
    /// that stand there, with ids above `after`, ascending. The engine compares them
    /// with the store at the start and every minute after it has caught up. What others
    /// made is imported ([`TaskStore::import`](crate::TaskStore::import)), an agent's
    /// word that others wrote there counts, and anything else that
    /// differs is sent to [`observe`](Self::observe) once more.
    ///
    /// By default there is nothing to compare.
    ///
    /// # Errors
    /// As for [`observe`](Self::observe).
    async fn shown(&self, after: TaskId, limit: usize) -> Result<Vec<Task>, ObserverError> {
        let _ = (after, limit);
        Ok(Vec::new())
    }
}

/// Why an observer did not take changes. It is asked again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ObserverError(pub String);
