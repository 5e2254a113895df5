//! The task table of the manager, as its own task manager writes it: a row for each
//! request, and at each start waiting rows of the node become Cancelled, whoever made
//! them (PROTOCOL.md, sections 3 and 14).

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, params};
use serde_json::Value;

/// How long it waits for whoever has the table.
const PATIENCE: Duration = Duration::from_secs(10);

/// A table that is there.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) path: PathBuf,
    pub(super) node: String,
}

impl Table {
    fn open(&self) -> rusqlite::Result<Connection> {
        let connection = Connection::open(&self.path)?;
        connection.busy_timeout(PATIENCE)?;
        Ok(connection)
    }

    /// A waiting task for an agent; its id.
    pub(super) fn enter(&self, agent: &Value, command: &str) -> rusqlite::Result<i64> {
        let connection = self.open()?;
        connection.execute(
            "INSERT INTO TASKS (AGENT_ID, NODE, MODULE, COMMAND, CREATE_TIME, STATUS) \
             VALUES (?1, ?2, 'upgrade_module', ?3, ?4, 'Pending')",
            params![agent.as_i64(), self.node, command, now()],
        )?;
        Ok(connection.last_insert_rowid())
    }

    /// Cancels what waits.
    pub(super) fn cancel(&self) -> rusqlite::Result<usize> {
        self.open()?.execute(
            "UPDATE TASKS SET STATUS = 'Cancelled', LAST_UPDATE_TIME = ?2 \
             WHERE STATUS = 'Pending' AND NODE = ?1",
            params![self.node, now()],
        )
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(0))
}
