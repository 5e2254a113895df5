//! The statements. A row is ours if it is the same task as one of ours
//! ([`Task::is_same_as`]); all others are left alone. Where another program gave our
//! task's id to a task of its own, ours stands under another id.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};
use wpk_api::{Change, Changed, Status, Task, TaskId};
use wpk_sqlite_file::tasks::{columns_of, missing, task_of};
use wpk_sqlite_file::{Faults, Place, fault};

/// The manager's table in a file, open or not.
pub(super) struct Table {
    file: PathBuf,
    open: Option<Open>,
}

struct Open {
    connection: Connection,
    place: Place,
}

/// Why nothing could be read or written.
#[derive(Debug, thiserror::Error)]
pub(super) enum TableError {
    /// There is no file.
    #[error(
        "{}: is not there; the manager's database daemon makes it: start it, or set observer.path",
        .0.display()
    )]
    Absent(PathBuf),
    /// It is no task table.
    #[error("{}: has no column TASKS.{column}; set observer.path to the task database of a 4.x manager", file.display())]
    Unknown {
        /// The file.
        file: PathBuf,
        /// What is missing.
        column: &'static str,
    },
    /// Another program keeps it.
    #[error("{}: another program keeps it locked", .0.display())]
    Locked(PathBuf),
    /// SQLite refused.
    #[error("{0}")]
    Sqlite(String),
}

impl TableError {
    pub(super) const fn is_locked(&self) -> bool {
        matches!(self, Self::Locked(_))
    }

    fn of(file: &Path, error: &rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
        match error.sqlite_error_code() {
            Some(DatabaseBusy | DatabaseLocked) => Self::Locked(file.to_owned()),
            _ => {
                let damaged = "it is the manager's: repair it with its tools";
                Self::Sqlite(fault(file, error, Faults { damaged }).to_string())
            }
        }
    }
}

const COLUMNS: &str = "TASK_ID, AGENT_ID, NODE, MODULE, COMMAND, CREATE_TIME, \
    LAST_UPDATE_TIME, STATUS, ERROR_MESSAGE";
/// Rows that a [`Task`] can be made of; the table may hold other modules' too.
const TASKS: &str = "FROM TASKS WHERE AGENT_ID BETWEEN 0 AND 2147483647 \
    AND COMMAND IN ('upgrade', 'upgrade_custom')";

impl Table {
    pub(super) const fn at(file: PathBuf) -> Self {
        Self { file, open: None }
    }

    /// Up to `limit` rows with ids above `after`, ascending.
    pub(super) fn rows(&mut self, after: TaskId, limit: usize) -> Result<Vec<Task>, TableError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.with(|connection| {
            let sql =
                format!("SELECT {COLUMNS} {TASKS} AND TASK_ID > ?1 ORDER BY TASK_ID LIMIT ?2");
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map(params![after.0, limit], task_of)?;
            rows.collect()
        })
    }

    /// Writes changes, all or none.
    pub(super) fn write(&mut self, changes: &[Change]) -> Result<(), TableError> {
        self.with(|connection| {
            let behavior = TransactionBehavior::Immediate;
            let transaction = connection.transaction_with_behavior(behavior)?;
            for change in changes {
                match (&change.changed, &change.was) {
                    (Changed::Task(task), _) => put(&transaction, task)?,
                    (Changed::Deleted(_), Some(was)) => delete(&transaction, was)?,
                    // Others made it, and keep it.
                    (Changed::Foreign(_), _) | (Changed::Deleted(_), None) => {}
                }
            }
            transaction.commit()
        })
    }

    /// How many tasks stand there; that they can be written is tried and taken back.
    pub(super) fn examine(&mut self) -> Result<u64, TableError> {
        self.with(|connection| {
            let behavior = TransactionBehavior::Immediate;
            let transaction = connection.transaction_with_behavior(behavior)?;
            let count = format!("SELECT count(*) {TASKS}");
            let tasks: i64 = transaction.query_row(&count, [], |row| row.get(0))?;
            transaction.rollback()?;
            Ok(tasks.unsigned_abs())
        })
    }

    /// Works with the open table. One that makes trouble is opened anew next time.
    fn with<T>(
        &mut self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, TableError> {
        if (self.open.as_ref()).is_some_and(|open| open.place.check().is_err()) {
            self.open = None;
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => Open::file(&self.file)?,
        };
        let done = work(&mut open.connection).map_err(|error| TableError::of(&self.file, &error));
        if matches!(&done, Ok(_) | Err(TableError::Locked(_))) {
            self.open = Some(open);
        }
        done
    }
}

impl Open {
    fn file(file: &Path) -> Result<Self, TableError> {
        if !file.exists() {
            return Err(TableError::Absent(file.to_owned()));
        }
        let failed = |error: rusqlite::Error| TableError::of(file, &error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(file, flags).map_err(failed)?;
        // Whoever waits does so outside, where it can be told to stop.
        connection.busy_timeout(Duration::ZERO).map_err(failed)?;
        let columns = columns_of(&connection, "TASKS").map_err(failed)?;
        if let Some(column) = missing(&columns) {
            let file = file.to_owned();
            return Err(TableError::Unknown { file, column });
        }
        let place = Place::of(file).map_err(|error| {
            TableError::Sqlite(format!("{}: cannot be looked at: {error}", file.display()))
        })?;
        Ok(Self { connection, place })
    }
}

/// Makes the row of a task what the task is.
fn put(connection: &Connection, task: &Task) -> rusqlite::Result<()> {
    let (id, there) = place_of(connection, task)?;
    let text = task.error_msg.as_deref();
    let status = task.status.as_str();
    if let Some(there) = there {
        let same = there.status == task.status
            && there.updated == task.updated
            && there.error_msg == task.error_msg;
        if !same {
            connection
                .prepare_cached(
                    "UPDATE TASKS SET STATUS = ?2, LAST_UPDATE_TIME = ?3, ERROR_MESSAGE = ?4 \
                     WHERE TASK_ID = ?1",
                )?
                .execute(params![there.id.0, status, task.updated, text])?;
        }
        return Ok(());
    }
    connection
        .prepare_cached(
            "INSERT INTO TASKS (TASK_ID, AGENT_ID, NODE, MODULE, COMMAND, CREATE_TIME, \
             LAST_UPDATE_TIME, STATUS, ERROR_MESSAGE) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            id.map(|id| id.0),
            task.agent.get(),
            task.node,
            task.module,
            task.command.as_str(),
            task.created,
            task.updated,
            status,
            text,
        ])?;
    Ok(())
}

/// Deletes the row of a task that is no longer there.
fn delete(connection: &Connection, task: &Task) -> rusqlite::Result<()> {
    if let (_, Some(there)) = place_of(connection, task)? {
        connection
            .prepare_cached("DELETE FROM TASKS WHERE TASK_ID = ?1")?
            .execute([there.id.0])?;
    }
    Ok(())
}

/// The id that a new row of a task gets (`None`: any), and the row that is there.
fn place_of(
    connection: &Connection,
    task: &Task,
) -> rusqlite::Result<(Option<TaskId>, Option<Task>)> {
    let taken: bool = connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM TASKS WHERE TASK_ID = ?1)")?
        .query_row([task.id.0], |row| row.get(0))?;
    // Where its row was deleted by somebody else it may stand under another id.
    if !taken && task.status == Status::Pending {
        return Ok((Some(task.id), None));
    }
    let there = connection
        .prepare_cached(&format!("SELECT {COLUMNS} {TASKS} AND TASK_ID = ?1"))?
        .query_row([task.id.0], task_of)
        .optional()?;
    if let Some(there) = there.filter(|there| there.is_same_as(task)) {
        return Ok((Some(task.id), Some(there)));
    }
    // Rare, and slow: the table has no index for it.
    let elsewhere = connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} {TASKS} AND TASK_ID > ?1 AND AGENT_ID = ?2 AND CREATE_TIME = ?3 \
             AND NODE = ?4 AND MODULE = ?5 AND COMMAND = ?6 ORDER BY TASK_ID LIMIT 1"
        ))?
        .query_row(
            params![
                task.id.0,
                task.agent.get(),
                task.created,
                task.node,
                task.module,
                task.command.as_str(),
            ],
            task_of,
        )
        .optional()?;
    if elsewhere.is_none() && taken {
        tracing::warn!(
            task = %task.id, agent = %task.agent,
            "another program gave this id to a task of its own; ours is shown under another one"
        );
    }
    Ok(((!taken).then_some(task.id), elsewhere))
}
