//! Whether agents run what they were sent. The master has no place for it, so it
//! lies in our own file; what is awaited with the task as it ended, since its row
//! is gone then.

use rusqlite::{OptionalExtension, params};
use wpk_api::{Awaiting, Confirmation, StoreError, Task, TaskId};

use super::history::{json, read};
use super::local::Local;

impl Local {
    /// Remembers the confirmations of tasks that have just ended.
    pub(super) async fn ended(&self, tasks: &[Task]) -> Result<(), StoreError> {
        let confirmed = |task: &&Task| task.confirmation.is_some();
        let tasks: Vec<Task> = tasks.iter().filter(confirmed).cloned().collect();
        if tasks.is_empty() {
            return Ok(());
        }
        self.run(move |connection| {
            let mut insert = connection.prepare_cached(
                "INSERT OR REPLACE INTO WORKER_CONFIRMATIONS (TASK_ID, CONFIRMATION, AWAITED) \
                 VALUES (?1, ?2, ?3)",
            )?;
            for task in tasks {
                let awaited = task.confirmation == Some(Confirmation::Awaited);
                let awaited = awaited.then(|| json(&task)).transpose()?;
                insert.execute(params![task.id.0, json(&task.confirmation)?, awaited])?;
            }
            Ok(())
        })
        .await
    }

    /// See [`wpk_api::TaskStore::awaiting`].
    pub(super) async fn awaiting(
        &self,
        node: &str,
        after: TaskId,
        limit: usize,
    ) -> Result<Vec<Awaiting>, StoreError> {
        let (node, limit) = (node.to_owned(), i64::try_from(limit).unwrap_or(i64::MAX));
        self.run(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT c.AWAITED, b.TARGET, (SELECT min(n.TASK_ID) FROM WORKER_BEGUN n \
                     WHERE n.AGENT_ID = b.AGENT_ID AND n.TASK_ID > b.TASK_ID) \
                 FROM WORKER_CONFIRMATIONS c JOIN WORKER_BEGUN b ON b.TASK_ID = c.TASK_ID \
                 WHERE c.AWAITED IS NOT NULL AND c.TASK_ID > ?1 \
                 AND json_extract(c.AWAITED, '$.node') = ?2 ORDER BY c.TASK_ID LIMIT ?3",
            )?;
            let rows = statement.query_map(params![after.0, node, limit], |row| {
                let task: String = row.get(0)?;
                let target: Option<String> = row.get(1)?;
                let next: Option<i64> = row.get(2)?;
                Ok((task, target, next))
            })?;
            let mut awaiting = Vec::new();
            for row in rows {
                let (task, target, next) = row?;
                let target = target.and_then(|target| target.parse().ok());
                let next = next.map(TaskId);
                awaiting.extend(read(&task).zip(target).map(|(task, target)| Awaiting {
                    task,
                    target,
                    next,
                }));
            }
            Ok(awaiting)
        })
        .await
    }

    /// Remembers a verdict; the task as it is now, `None` if its agent's version
    /// is not awaited.
    pub(super) async fn confirm(
        &self,
        id: TaskId,
        what: Confirmation,
    ) -> Result<Option<Task>, StoreError> {
        self.run(move |connection| {
            let sql = "SELECT AWAITED FROM WORKER_CONFIRMATIONS WHERE TASK_ID = ?1";
            let awaited = connection.query_row(sql, [id.0], |row| row.get::<_, Option<String>>(0));
            let awaited = awaited.optional()?.flatten();
            let Some(mut task) = awaited.and_then(|task| read::<Task>(&task)) else {
                return Ok(None);
            };
            connection.execute(
                "UPDATE WORKER_CONFIRMATIONS SET CONFIRMATION = ?2, AWAITED = NULL \
                 WHERE TASK_ID = ?1",
                params![id.0, json(&what)?],
            )?;
            task.confirmation = Some(what);
            Ok(Some(task))
        })
        .await
    }

    /// What is known of the versions of these tasks' agents, put into them.
    pub(super) async fn confirmed(&self, mut tasks: Vec<Task>) -> Result<Vec<Task>, StoreError> {
        self.run(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT CONFIRMATION FROM WORKER_CONFIRMATIONS WHERE TASK_ID = ?1",
            )?;
            for task in &mut tasks {
                let found: Option<String> = statement
                    .query_row([task.id.0], |row| row.get(0))
                    .optional()?;
                task.confirmation = found.and_then(|found| read(&found));
            }
            Ok(tasks)
        })
        .await
    }
}
