//! One row per agent: written before the master is asked for a task, and gone
//! when the task has ended. Nothing here is shown to anybody.
//!
//! Each function is one transaction, on disk when it returns.

use rusqlite::{Connection, OptionalExtension, Row, params};
use wpk_api::{
    AgentId, Claimed, Command, KeptOrder, NewTask, Status, StoreError, Task, TaskId, UnixTime,
    Version,
};

use super::local::Local;

/// The columns of a [`Known`], in its order.
macro_rules! columns {
    () => {
        "AGENT_ID, TASK_ID, NODE, MODULE, COMMAND, CREATE_TIME, UPDATE_TIME, TASK_ORDER, STATE, \
         INSTALLER_BEGUN, \
         (SELECT TARGET FROM WORKER_BEGUN b WHERE b.TASK_ID = WORKER_TASKS.TASK_ID)"
    };
}

pub(super) use columns;

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
    pub(super) const fn word(self) -> &'static str {
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
    /// Which version it was begun with.
    pub(super) target: Option<Version>,
}

impl Known {
    /// The task that takes the place of this one, whose order stays here.
    pub(super) fn anew(&self, now: UnixTime) -> NewTask {
        NewTask {
            agent: self.agent,
            node: self.node.clone(),
            module: self.module.clone(),
            command: Command::from_word(&self.command),
            created: now,
            order: None,
            exclusive: true,
            held: true,
            fence: None,
        }
    }

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

impl Local {
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
    pub(super) async fn begin(
        &self,
        task: TaskId,
        target: Option<Version>,
        now: UnixTime,
    ) -> Result<bool, StoreError> {
        self.run(move |connection| {
            let begun = connection.execute(
                "UPDATE WORKER_TASKS SET INSTALLER_BEGUN = ?2 \
                 WHERE TASK_ID = ?1 AND STATE = 'running' AND INSTALLER_BEGUN IS NULL",
                params![task.0, now],
            )?;
            connection.execute(
                "INSERT OR IGNORE INTO WORKER_BEGUN (TASK_ID, AGENT_ID, TARGET) \
                 SELECT TASK_ID, AGENT_ID, ?2 FROM WORKER_TASKS \
                 WHERE TASK_ID = ?1 AND INSTALLER_BEGUN IS NOT NULL",
                params![task.0, target.map(String::from)],
            )?;
            Ok(begun == 1)
        })
        .await
    }

    /// See [`wpk_api::TaskStore::begun`].
    pub(super) async fn was_begun(&self, task: TaskId) -> Result<bool, StoreError> {
        self.run(move |connection| {
            let sql = "SELECT 1 FROM WORKER_BEGUN WHERE TASK_ID = ?1";
            connection.prepare_cached(sql)?.exists([task.0])
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
}

fn put(
    connection: &Connection,
    task: &NewTask,
    id: Option<TaskId>,
    state: State,
) -> rusqlite::Result<()> {
    if let Some(id) = id {
        make_room(connection, id)?;
    }
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
            task.order.as_ref().map(KeptOrder::to_json),
            state.word(),
        ])
        .map(|_| ())
}

/// A master that began its table anew gives old ids again.
pub(super) fn make_room(connection: &Connection, id: TaskId) -> rusqlite::Result<()> {
    for sql in [
        "DELETE FROM WORKER_TASKS WHERE TASK_ID = ?1",
        "DELETE FROM WORKER_BEGUN WHERE TASK_ID = ?1",
        "DELETE FROM WORKER_CONFIRMATIONS WHERE TASK_ID = ?1",
        "DELETE FROM WORKER_ENDED WHERE TASK_ID = ?1",
    ] {
        connection.prepare_cached(sql)?.execute([id.0])?;
    }
    Ok(())
}

pub(super) fn known(row: &Row<'_>) -> rusqlite::Result<Known> {
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
        target: (row.get::<_, Option<String>>(10)?).and_then(|target| target.parse().ok()),
    })
}
