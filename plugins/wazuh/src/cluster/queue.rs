//! The rows that wait: the queue of this node.
//!
//! Each function is one transaction, on disk when it returns.

use rusqlite::params;
use wpk_api::{NewTask, StoreError, Task, TaskId, TimelineEntry, TimelineStep, UnixTime};

use super::history;
use super::local::Local;
use super::rows::{Known, columns, known, make_room};

impl Local {
    /// Up to `limit` tasks of `node` that wait, oldest first; those that could
    /// not be claimed before come last.
    pub(super) async fn waiting(&self, node: &str, limit: usize) -> Result<Vec<Known>, StoreError> {
        let (node, limit) = (node.to_owned(), i64::try_from(limit).unwrap_or(i64::MAX));
        self.run(move |connection| {
            let mut statement = connection.prepare_cached(concat!(
                "SELECT ",
                columns!(),
                " FROM WORKER_TASKS WHERE STATE = 'waiting' AND NODE = ?1 \
                 AND TASK_ORDER IS NOT NULL ORDER BY TRIED, TASK_ID LIMIT ?2"
            ))?;
            let rows = statement.query_map(params![node, limit], known)?;
            rows.collect()
        })
        .await
    }

    /// These waiting tasks are In progress now; those could not be claimed.
    pub(super) async fn claim(
        &self,
        claimed: Vec<TaskId>,
        not: Vec<TaskId>,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        self.run(move |connection| {
            let mut take = connection.prepare_cached(
                "UPDATE WORKER_TASKS SET STATE = 'running', UPDATE_TIME = ?2 WHERE TASK_ID = ?1",
            )?;
            for id in claimed {
                take.execute(params![id.0, now])?;
            }
            let mut pass = connection
                .prepare_cached("UPDATE WORKER_TASKS SET TRIED = TRIED + 1 WHERE TASK_ID = ?1")?;
            for id in not {
                pass.execute([id.0])?;
            }
            Ok(())
        })
        .await
    }

    /// Whether this node holds orders of tasks that it has not begun to carry out.
    pub(super) async fn holds_orders(&self, node: &str) -> Result<bool, StoreError> {
        let node = node.to_owned();
        self.run(move |connection| {
            connection
                .prepare_cached(
                    "SELECT 1 FROM WORKER_TASKS WHERE STATE <> 'running' AND NODE = ?1",
                )?
                .exists([node])
        })
        .await
    }

    /// The newest task that waits, if any does.
    pub(super) async fn newest_waiting(&self) -> Result<Option<TaskId>, StoreError> {
        self.run(|connection| {
            let sql = "SELECT max(TASK_ID) FROM WORKER_TASKS WHERE STATE = 'waiting'";
            let newest: Option<i64> = connection.query_row(sql, [], |row| row.get(0))?;
            Ok(newest.map(TaskId))
        })
        .await
    }

    /// Up to `limit` of the rows that wait, with ids above `after` and up to `last`,
    /// ascending.
    pub(super) async fn waiting_between(
        &self,
        after: TaskId,
        last: TaskId,
        limit: usize,
    ) -> Result<Vec<Known>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.run(move |connection| {
            let mut statement = connection.prepare_cached(concat!(
                "SELECT ",
                columns!(),
                " FROM WORKER_TASKS WHERE STATE = 'waiting' AND TASK_ID > ?1 \
                 AND TASK_ID <= ?2 ORDER BY TASK_ID LIMIT ?3"
            ))?;
            let rows = statement.query_map(params![after.0, last.0, limit], known)?;
            rows.collect()
        })
        .await
    }

    /// These waiting tasks were cancelled at the master, which is about to be asked for
    /// others in their place.
    pub(super) async fn ask_anew(
        &self,
        cancelled: Vec<Task>,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        self.run(move |connection| {
            for task in &cancelled {
                connection
                    .prepare_cached(
                        "UPDATE WORKER_TASKS SET STATE = 'asked', CREATE_TIME = ?2 \
                         WHERE TASK_ID = ?1 AND STATE = 'waiting'",
                    )?
                    .execute(params![task.id.0, now])?;
                // Told once, however often the master has to be asked.
                let told = history::of(connection, task.id)?;
                let is_told = |entry: &TimelineEntry| entry.step == TimelineStep::Cancelled;
                if !told.last().is_some_and(is_told) {
                    let entry = TimelineEntry::new(now, TimelineStep::Cancelled)
                        .detail("at the master, as a built-in upgrade module does when it starts");
                    history::add(connection, task.id, &entry)?;
                    history::tell(connection, task)?;
                }
            }
            Ok(())
        })
        .await
    }

    /// The master has this task now in the place of an earlier one, which waits on
    /// under its id.
    pub(super) async fn wait_anew(
        &self,
        anew: Vec<(TaskId, NewTask, TaskId)>,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        self.run(move |connection| {
            for (old, new, id) in &anew {
                make_room(connection, *id)?;
                connection
                    .prepare_cached(
                        "UPDATE WORKER_TASKS SET TASK_ID = ?3, STATE = 'waiting', TRIED = 0 \
                         WHERE AGENT_ID = ?1 AND TASK_ID = ?2 AND STATE = 'asked'",
                    )?
                    .execute(params![new.agent.get(), old.0, id.0])?;
                let waits = format!("it waits again as task {id}");
                let waits = TimelineEntry::new(now, TimelineStep::Wait).detail(&waits);
                history::add(connection, *old, &waits)?;
                let created =
                    format!("in the place of task {old}, which was cancelled at the master");
                let created =
                    TimelineEntry::new(new.created, TimelineStep::Created).detail(&created);
                history::add(connection, *id, &created)?;
                history::tell(connection, &new.task(*id))?;
            }
            Ok(())
        })
        .await
    }

    /// The master has none in the place of these: they are looked at anew.
    pub(super) async fn wait_still(&self, tasks: Vec<TaskId>) -> Result<(), StoreError> {
        self.run(move |connection| {
            for id in tasks {
                connection
                    .prepare_cached(
                        "UPDATE WORKER_TASKS SET STATE = 'waiting' \
                         WHERE TASK_ID = ?1 AND STATE = 'asked'",
                    )?
                    .execute([id.0])?;
            }
            Ok(())
        })
        .await
    }
}
