//! Our own file: what a worker must remember of its tasks and the master has no
//! place for. One row per agent, written before the master is asked for a task
//! and gone when the task has ended; nothing here is shown to anybody.
//!
//! Each function is one transaction, on disk when it returns.

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};
use wpk_api::{AgentId, Claimed, Command, NewTask, Status, StoreError, Task, TaskId, UnixTime};

use super::fault::fault;

/// How long another program's lock is waited for (a backup, a curious `sqlite3`).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The layout of the tables, in `METADATA`.
const LAYOUT: &str = "1";
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS METADATA (key TEXT PRIMARY KEY, value TEXT);
INSERT OR IGNORE INTO METADATA (key, value) VALUES ('layout', '1');
CREATE TABLE IF NOT EXISTS WORKER_TASKS (
    AGENT_ID INTEGER PRIMARY KEY,
    TASK_ID INTEGER,
    NODE TEXT NOT NULL,
    MODULE TEXT NOT NULL,
    COMMAND TEXT NOT NULL,
    CREATE_TIME INTEGER NOT NULL,
    UPDATE_TIME INTEGER,
    TASK_ORDER TEXT,
    STATE TEXT NOT NULL,
    TRIED INTEGER NOT NULL DEFAULT 0,
    INSTALLER_BEGUN INTEGER
);
CREATE INDEX IF NOT EXISTS WORKER_TASKS_ID ON WORKER_TASKS (TASK_ID);
CREATE INDEX IF NOT EXISTS WORKER_TASKS_STATE ON WORKER_TASKS (STATE, TRIED, TASK_ID);
";
/// The columns of a [`Known`], in its order.
macro_rules! columns {
    () => {
        "AGENT_ID, TASK_ID, NODE, MODULE, COMMAND, CREATE_TIME, UPDATE_TIME, TASK_ORDER, STATE, \
         INSTALLER_BEGUN"
    };
}

/// Where a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The master was, or is about to be, asked for it; its answer was not seen.
    Asked,
    /// It is Pending at the master, and ours to carry out.
    Waiting,
    /// It is In progress.
    Running,
    /// The caller was told that there is none, but the master may have it.
    Abandoned,
}

impl State {
    const fn word(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Abandoned => "abandoned",
        }
    }

    fn from_word(word: &str) -> Self {
        [Self::Asked, Self::Waiting, Self::Running]
            .into_iter()
            .find(|state| state.word() == word)
            .unwrap_or(Self::Abandoned)
    }
}

/// A row.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) agent: AgentId,
    /// `None` until the master's answer was seen.
    pub(super) task: Option<TaskId>,
    pub(super) node: String,
    module: String,
    command: String,
    pub(super) created: UnixTime,
    updated: Option<UnixTime>,
    order: Option<String>,
    pub(super) state: State,
    /// Whether its installer was begun.
    pub(super) begun: bool,
}

impl Known {
    /// The row as a task In progress, with its order.
    pub(super) fn claimed(self) -> Option<Claimed> {
        let id = self.task?;
        let order = serde_json::from_str(&self.order.unwrap_or_default())
            .map_err(|error| format!("the stored order of task {id} cannot be read: {error}"));
        let task = Task {
            id,
            agent: self.agent,
            node: self.node,
            module: self.module,
            command: Command::from_word(&self.command),
            created: self.created,
            updated: self.updated,
            status: Status::InProgress,
            error_msg: None,
            confirmation: None,
        };
        Some(Claimed {
            task,
            order,
            crashes: 0,
        })
    }
}

/// The file.
#[derive(Debug, Clone)]
pub(super) struct Local {
    file: Arc<PathBuf>,
    connection: Arc<Mutex<Connection>>,
}

impl Local {
    /// Opens the file or makes it, 0640, absent folders 0750. Blocks for the
    /// time that takes.
    pub(super) fn open(file: PathBuf) -> Result<Self, StoreError> {
        create(&file).map_err(|error| {
            StoreError::Unavailable(format!(
                "{}: cannot be created: {error}; the user of this program must be able to write its folder",
                file.display()
            ))
        })?;
        let open = || -> rusqlite::Result<(Connection, String)> {
            let connection = Connection::open(&file)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
            connection.execute_batch("PRAGMA synchronous = FULL;")?;
            connection.execute_batch(TABLES)?;
            connection.execute_batch(super::history::TABLES)?;
            let layout = get(&connection, "layout")?.unwrap_or_default();
            Ok((connection, layout))
        };
        let (connection, layout) = open().map_err(|error| fault(&file, &error))?;
        if layout != LAYOUT {
            return Err(StoreError::Damaged(format!(
                "{}: its layout is {layout:?} and this version knows {LAYOUT:?}; use the version \
                 of wpkd that wrote it, or move it away",
                file.display()
            )));
        }
        Ok(Self {
            file: Arc::new(file),
            connection: Arc::new(Mutex::new(connection)),
        })
    }

    /// Runs one transaction where it may block.
    pub(super) async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<R> + Send + 'static,
    ) -> Result<R, StoreError> {
        let (connection, file) = (Arc::clone(&self.connection), Arc::clone(&self.file));
        let done = tokio::task::spawn_blocking(move || {
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            let whole = connection.transaction()?;
            let result = work(&whole)?;
            whole.commit()?;
            Ok(result)
        });
        match done.await {
            Ok(result) => result.map_err(|error| fault(&file, &error)),
            Err(ended) => Err(StoreError::Unavailable(format!(
                "{}: {ended}",
                file.display()
            ))),
        }
    }

    /// Remembers that the master is about to be asked for these tasks.
    pub(super) async fn ask(&self, tasks: Vec<NewTask>) -> Result<(), StoreError> {
        self.run(move |connection| {
            for task in &tasks {
                put(connection, task, None, State::Asked)?;
            }
            Ok(())
        })
        .await
    }

    /// These tasks are at the master and are to be carried out.
    pub(super) async fn wait(&self, tasks: Vec<(NewTask, TaskId)>) -> Result<(), StoreError> {
        self.run(move |connection| {
            for (task, id) in &tasks {
                put(connection, task, Some(*id), State::Waiting)?;
            }
            Ok(())
        })
        .await
    }

    /// The caller was told that these tasks do not exist: those the master was
    /// asked for are abandoned, the others forgotten.
    pub(super) async fn give_up(
        &self,
        asked: Vec<AgentId>,
        others: Vec<AgentId>,
    ) -> Result<(), StoreError> {
        self.run(move |connection| {
            let mut abandon = connection.prepare_cached(
                "UPDATE WORKER_TASKS SET STATE = 'abandoned' \
                 WHERE AGENT_ID = ?1 AND STATE = 'asked'",
            )?;
            for agent in asked {
                abandon.execute([agent.get()])?;
            }
            let mut forget = connection.prepare_cached(
                "DELETE FROM WORKER_TASKS WHERE AGENT_ID = ?1 AND STATE = 'asked'",
            )?;
            for agent in others {
                forget.execute([agent.get()])?;
            }
            Ok(())
        })
        .await
    }

    /// The row of an `asked` or `abandoned` task, now that its id is known.
    pub(super) async fn found(
        &self,
        agent: AgentId,
        id: TaskId,
        state: State,
    ) -> Result<(), StoreError> {
        self.run(move |connection| {
            connection
                .execute(
                    "UPDATE WORKER_TASKS SET TASK_ID = ?2, STATE = ?3 \
                     WHERE AGENT_ID = ?1 AND STATE IN ('asked', 'abandoned')",
                    params![agent.get(), id.0, state.word()],
                )
                .map(|_| ())
        })
        .await
    }

    /// The rows of these agents.
    pub(super) async fn known(&self, agents: Vec<AgentId>) -> Result<Vec<Known>, StoreError> {
        self.run(move |connection| {
            let mut rows = Vec::new();
            let mut statement = connection.prepare_cached(concat!(
                "SELECT ",
                columns!(),
                " FROM WORKER_TASKS WHERE AGENT_ID = ?1"
            ))?;
            for agent in agents {
                rows.extend(statement.query_row([agent.get()], known).optional()?);
            }
            Ok(rows)
        })
        .await
    }

    /// The agent of a task; `None` if it is not ours or has ended.
    pub(super) async fn agent_of(&self, task: TaskId) -> Result<Option<AgentId>, StoreError> {
        self.run(move |connection| {
            let found: Option<u32> = connection
                .query_row(
                    "SELECT AGENT_ID FROM WORKER_TASKS WHERE TASK_ID = ?1",
                    [task.0],
                    |row| row.get(0),
                )
                .optional()?;
            Ok(found.and_then(|id| AgentId::new(i64::from(id)).ok()))
        })
        .await
    }

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

    /// Tasks of `node` that run and whose installer was never begun.
    pub(super) async fn interrupted(&self, node: &str) -> Result<Vec<Known>, StoreError> {
        let node = node.to_owned();
        self.run(move |connection| {
            let mut statement = connection.prepare_cached(concat!(
                "SELECT ",
                columns!(),
                " FROM WORKER_TASKS WHERE STATE = 'running' AND NODE = ?1 \
                 AND INSTALLER_BEGUN IS NULL AND TASK_ORDER IS NOT NULL ORDER BY TASK_ID"
            ))?;
            let rows = statement.query_map([node], known)?;
            rows.collect()
        })
        .await
    }

    /// See [`wpk_api::TaskStore::begin_installer`].
    pub(super) async fn begin(&self, task: TaskId, now: UnixTime) -> Result<bool, StoreError> {
        self.run(move |connection| {
            let begun = connection.execute(
                "UPDATE WORKER_TASKS SET INSTALLER_BEGUN = ?2 \
                 WHERE TASK_ID = ?1 AND STATE = 'running' AND INSTALLER_BEGUN IS NULL",
                params![task.0, now],
            )?;
            Ok(begun == 1)
        })
        .await
    }

    /// Forgets tasks that have ended.
    pub(super) async fn forget(&self, tasks: Vec<TaskId>) -> Result<(), StoreError> {
        if tasks.is_empty() {
            return Ok(());
        }
        self.run(move |connection| {
            let mut statement =
                connection.prepare_cached("DELETE FROM WORKER_TASKS WHERE TASK_ID = ?1")?;
            for id in tasks {
                statement.execute([id.0])?;
            }
            Ok(())
        })
        .await
    }

    /// Forgets a task whose id was never learned.
    pub(super) async fn forget_unseen(&self, agent: AgentId) -> Result<(), StoreError> {
        self.run(move |connection| {
            connection
                .execute(
                    "DELETE FROM WORKER_TASKS WHERE AGENT_ID = ?1 AND TASK_ID IS NULL",
                    [agent.get()],
                )
                .map(|_| ())
        })
        .await
    }

    /// Every row but those that wait.
    pub(super) async fn unsettled(&self) -> Result<Vec<Known>, StoreError> {
        self.run(|connection| {
            let mut statement = connection.prepare_cached(concat!(
                "SELECT ",
                columns!(),
                " FROM WORKER_TASKS WHERE STATE <> 'waiting'"
            ))?;
            let rows = statement.query_map([], known)?;
            rows.collect()
        })
        .await
    }

    /// Forgets what has not begun; returns how many waited. With `due` the
    /// master has still to be told.
    pub(super) async fn cancel(&self, due: bool) -> Result<u64, StoreError> {
        self.run(move |connection| {
            let waited: i64 = connection.query_row(
                "SELECT count(*) FROM WORKER_TASKS WHERE STATE = 'waiting'",
                [],
                |row| row.get(0),
            )?;
            connection.execute("DELETE FROM WORKER_TASKS WHERE STATE <> 'running'", [])?;
            if due {
                set(connection, "cancel", "due")?;
            }
            Ok(waited.unsigned_abs())
        })
        .await
    }

    /// Whether the master has still to be told to cancel what waited.
    pub(super) async fn cancel_is_due(&self) -> Result<bool, StoreError> {
        self.run(|connection| Ok(get(connection, "cancel")?.is_some()))
            .await
    }

    /// The master was told.
    pub(super) async fn cancel_is_done(&self) -> Result<(), StoreError> {
        self.run(|connection| {
            connection
                .execute("DELETE FROM METADATA WHERE key = 'cancel'", [])
                .map(|_| ())
        })
        .await
    }

    /// The dialect the master was last seen to speak, if it was remembered. May
    /// block; for the start.
    pub(super) fn dialect(&self) -> Result<Option<String>, StoreError> {
        let connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        get(&connection, "dialect").map_err(|error| fault(&self.file, &error))
    }

    /// Remembers the dialect; writes only if it is another one than before.
    pub(super) async fn set_dialect(&self, dialect: &'static str) -> Result<(), StoreError> {
        self.run(move |connection| {
            if get(connection, "dialect")?.as_deref() == Some(dialect) {
                return Ok(());
            }
            set(connection, "dialect", dialect)
        })
        .await
    }
}

fn put(
    connection: &Connection,
    task: &NewTask,
    id: Option<TaskId>,
    state: State,
) -> rusqlite::Result<()> {
    if let Some(id) = id {
        // A master that began its table anew gives old ids again.
        connection
            .prepare_cached("DELETE FROM WORKER_TASKS WHERE TASK_ID = ?1")?
            .execute([id.0])?;
    }
    let order = match &task.order {
        Some(order) => Some(
            serde_json::to_string(order)
                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?,
        ),
        None => None,
    };
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO WORKER_TASKS (AGENT_ID, TASK_ID, NODE, MODULE, COMMAND, \
             CREATE_TIME, TASK_ORDER, STATE) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            task.agent.get(),
            id.map(|id| id.0),
            task.node,
            task.module,
            task.command.as_str(),
            task.created,
            order,
            state.word(),
        ])
        .map(|_| ())
}

fn known(row: &Row<'_>) -> rusqlite::Result<Known> {
    let agent: i64 = row.get(0)?;
    let state: String = row.get(8)?;
    Ok(Known {
        agent: AgentId::new(agent)
            .map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, agent))?,
        task: row.get::<_, Option<i64>>(1)?.map(TaskId),
        node: row.get(2)?,
        module: row.get(3)?,
        command: row.get(4)?,
        created: row.get(5)?,
        updated: row.get(6)?,
        order: row.get(7)?,
        state: State::from_word(&state),
        begun: row.get::<_, Option<i64>>(9)?.is_some(),
    })
}

fn get(connection: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    connection
        .query_row("SELECT value FROM METADATA WHERE key = ?1", [key], |row| {
            row.get(0)
        })
        .optional()
}

fn set(connection: &Connection, key: &str, value: &str) -> rusqlite::Result<()> {
    connection
        .execute(
            "INSERT OR REPLACE INTO METADATA (key, value) VALUES (?1, ?2)",
            [key, value],
        )
        .map(|_| ())
}

/// Makes an empty file, which SQLite takes for an empty database. The log
/// beside it gets the rights of the file.
fn create(file: &Path) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o750)
            .create(folder)?;
    }
    let new = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o640)
        .open(file);
    match new {
        // Whatever the umask.
        Ok(new) => new.set_permissions(Permissions::from_mode(0o640)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}
