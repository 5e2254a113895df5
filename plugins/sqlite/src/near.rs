//! The short way for short questions. The newest task of a few agents is read
//! in some microseconds; handing that to a thread and back takes several times
//! as long. So a question of up to [`FEW`] agents is answered where it is
//! asked, on a connection that never waits: is none free, or does anything go
//! wrong, the question takes the usual way through the readers.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use rusqlite::Connection;
use wpk_api::{AgentId, StoreError, Task};

use crate::fault::Fault;
use crate::{open, read};

/// Agents that are few. Bounds the pages that may have to come from the disk
/// while a runtime thread waits.
const FEW: usize = 16;

/// Connections for questions that are answered where they are asked.
pub(crate) struct Near {
    connections: Vec<Mutex<Connection>>,
}

impl Near {
    /// Opens `count` connections. The writer must be open.
    pub(crate) fn open(file: &Path, count: usize) -> Result<Self, StoreError> {
        let connections = (0..count)
            .map(|_| {
                let connection = open::reader(file)?;
                connection
                    .busy_timeout(Duration::ZERO)
                    .map_err(|error| Fault::from(error).at(file))?;
                Ok(Mutex::new(connection))
            })
            .collect::<Result<_, StoreError>>()?;
        Ok(Self { connections })
    }

    /// Closes the connections; from then on there is no answer here.
    pub(crate) fn close(&mut self) {
        self.connections.clear();
    }

    /// The newest task of each agent, if that can be told at once.
    pub(crate) fn latest(&self, agents: &[AgentId]) -> Option<Vec<Option<Task>>> {
        if agents.len() > FEW {
            return None;
        }
        let free = self
            .connections
            .iter()
            .find_map(|connection| connection.try_lock().ok())?;
        // Of one agent the newest task is one statement, which needs no transaction around it.
        let begun = match agents.len() {
            1 => Ok(()),
            _ => begin(&free),
        };
        let answer = begun.and_then(|()| read::latest_of_all(&free, agents)).ok();
        if !free.is_autocommit() {
            // An unfinished transaction would show the same state for ever; one
            // that only read always ends.
            free.prepare_cached("COMMIT").ok()?.execute([]).ok()?;
        }
        answer
    }
}

fn begin(connection: &Connection) -> Result<(), Fault> {
    connection.prepare_cached("BEGIN")?.execute([])?;
    Ok(())
}
