//! The short way for short questions. The newest task of a few agents is read
//! in some microseconds; handing that to a thread and back takes several times
//! as long. So a question of up to [`FEW`] agents is answered where it is
//! asked, on a connection that never waits: is none free, or does anything go
//! wrong, the question takes the usual way through the readers.
//!
//! To begin and end a transaction takes as long as the question itself. Where many come
//! one after the other, one transaction answers them, for as long as it shows what is
//! there: until the writer writes, and for [`KEPT`] at most, since another program may
//! write as well. The writer ends it before it begins ([`Near::writing`]): what is read
//! keeps the log from being put back into the file, and so from being used anew.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use wpk_api::{AgentId, StoreError, Task};

use crate::fault::Fault;
use crate::{open, read};

/// Agents that are few. Bounds the pages that may have to come from the disk
/// while a runtime thread waits.
const FEW: usize = 16;
/// How long a transaction is kept for the next question, and how soon that must have come
/// for it to be kept at all.
const KEPT: Duration = Duration::from_millis(2);

/// Connections for questions that are answered where they are asked.
pub(crate) struct Near {
    places: Vec<Mutex<Place>>,
    /// Odd while the writer writes, and another number after each time that it did.
    writes: AtomicU64,
}

struct Place {
    /// `None`: closed.
    connection: Option<Connection>,
    /// The transaction that is open.
    kept: Option<Kept>,
    asked: Option<Instant>,
}

struct Kept {
    /// The state that it shows, as [`Near::writes`] counts them.
    writes: u64,
    since: Instant,
}

/// The writer writes for as long as this is there.
pub(crate) struct Writing<'a>(&'a Near);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.0.writes.fetch_add(1, Ordering::SeqCst);
    }
}

impl Near {
    /// Opens `count` connections. The writer must be open.
    pub(crate) fn open(file: &Path, count: usize) -> Result<Self, StoreError> {
        let places = (0..count)
            .map(|_| {
                let connection = open::reader(file)?;
                connection
                    .busy_timeout(Duration::ZERO)
                    .map_err(|error| Fault::from(error).at(file))?;
                Ok(Mutex::new(Place {
                    connection: Some(connection),
                    kept: None,
                    asked: None,
                }))
            })
            .collect::<Result<_, StoreError>>()?;
        Ok(Self {
            places,
            writes: AtomicU64::new(0),
        })
    }

    /// Closes the connections; from then on there is no answer here.
    pub(crate) fn close(&self) {
        for place in &self.places {
            lock(place).connection = None;
        }
    }

    /// Ends what is kept; nothing is until the writer has written.
    pub(crate) fn writing(&self) -> Writing<'_> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        // Whoever answers just now does so for some microseconds.
        for place in &self.places {
            lock(place).end();
        }
        Writing(self)
    }

    /// The newest task of each agent, if that can be told at once.
    pub(crate) fn latest(&self, agents: &[AgentId]) -> Option<Vec<Option<Task>>> {
        if agents.len() > FEW {
            return None;
        }
        let mut free = self.places.iter().find_map(|place| place.try_lock().ok())?;
        // Counted before anything is read: what is read is not older than that.
        let writes = self.writes.load(Ordering::SeqCst);
        free.latest(agents, writes)
    }
}

fn lock(place: &Mutex<Place>) -> MutexGuard<'_, Place> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Place {
    fn latest(&mut self, agents: &[AgentId], writes: u64) -> Option<Vec<Option<Task>>> {
        let now = Instant::now();
        let again = (self.asked.replace(now)).is_some_and(|asked| now - asked < KEPT);
        let keep = again && writes.is_multiple_of(2);
        let shows = |kept: &Kept| keep && kept.writes == writes && now - kept.since < KEPT;
        if !self.kept.as_ref().is_some_and(shows) {
            self.end();
        }
        let connection = self.connection.as_ref()?;
        // Of one agent the newest task is one statement, which needs no transaction around it.
        if self.kept.is_none() && (keep || agents.len() > 1) {
            say(connection, "BEGIN").ok()?;
            self.kept = Some(Kept { writes, since: now });
        }
        let answer = read::latest_of_all(connection, agents).ok();
        if !keep || answer.is_none() {
            self.end();
        }
        answer
    }

    /// An unfinished transaction would show the same state for ever; one that only read
    /// always ends.
    fn end(&mut self) {
        self.kept = None;
        let Some(connection) = &self.connection else {
            return;
        };
        if !connection.is_autocommit()
            && let Err(error) = say(connection, "COMMIT")
        {
            tracing::error!(%error, "a question to the task store did not end; its connection is closed");
            self.connection = None;
        }
    }
}

fn say(connection: &Connection, sql: &str) -> Result<(), rusqlite::Error> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}
