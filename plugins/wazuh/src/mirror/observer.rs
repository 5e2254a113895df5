//! The observer: changes go into the table, rows come out of it. The work is done on
//! threads that may wait; whoever is no longer waited for stops waiting.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use wpk_api::{Change, ObserverError, Task, TaskId, TaskObserver};

use super::lock::{Locked, Stop};
use super::table::{Table, TableError};

/// How long the table's lock is waited for before this is said. It is waited for
/// again after that.
const LONGEST_WAIT: Duration = Duration::from_secs(120);
/// How long a reader waits: readers are kept out for the moment of a commit only.
const LONGEST_LOOK: Duration = Duration::from_secs(10);

/// The manager's task table. It is opened when there is something to write, and again
/// whenever another file lies there.
pub struct WazuhTasks {
    /// `None`: there is nothing to show here.
    table: Option<Arc<Mutex<Table>>>,
}

impl WazuhTasks {
    /// Shows tasks in the table in this file.
    pub fn new(file: PathBuf) -> Self {
        Self {
            table: Some(Arc::new(Mutex::new(Table::at(file)))),
        }
    }

    /// Shows nothing.
    pub const fn idle() -> Self {
        Self { table: None }
    }

    /// Works with the table on a thread of its own; `idle` without one.
    async fn work<T: Send + 'static>(
        &self,
        within: Duration,
        idle: T,
        work: impl Fn(&mut Table) -> Result<T, TableError> + Send + 'static,
    ) -> Result<T, ObserverError> {
        let Some(table) = self.table.clone() else {
            return Ok(idle);
        };
        let stop = Stop::new();
        let stopped = stop.token();
        let working = tokio::task::spawn_blocking(move || {
            // What a panic left is a connection whose transaction is rolled back.
            let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
            let locked = Locked::within(within, stopped);
            while locked.is_waited_for() {
                match work(&mut table) {
                    Err(error) if error.is_locked() && locked.wait() => {}
                    other => return other.map_err(|error| locked.told(error)),
                }
            }
            Err(ObserverError("nobody waits for it any more".to_owned()))
        });
        let done = working.await;
        drop(stop);
        done.unwrap_or_else(|crash| Err(ObserverError(format!("writing crashed: {crash}"))))
    }
}

#[async_trait]
impl TaskObserver for WazuhTasks {
    async fn observe(&self, changes: &[Change]) -> Result<(), ObserverError> {
        if changes.is_empty() {
            return Ok(());
        }
        let changes = changes.to_vec();
        self.work(LONGEST_WAIT, (), move |table| table.write(&changes))
            .await
    }

    async fn shown(&self, after: TaskId, limit: usize) -> Result<Vec<Task>, ObserverError> {
        self.work(LONGEST_LOOK, Vec::new(), move |table| {
            table.rows(after, limit)
        })
        .await
    }
}
