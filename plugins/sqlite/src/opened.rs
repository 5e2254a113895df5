//! The store as it is opened: its threads, its lock, and how a call reaches them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use tokio::sync::mpsc;
use wpk_api::{StoreError, StoreResult};

use crate::entries::{self, Mine};
use crate::fault::Fault;
use crate::lock::Lock;
use crate::near::Near;
use crate::open;
use crate::reserve::Reserve;
use crate::worker::{Call, Reader, WAITING, What, Writer, ask, start};

type Thread = mpsc::Sender<Box<dyn Call>>;

/// Tasks in a SQLite file (PROTOCOL.md, section 3).
///
/// Dropping it carries out what was handed over, closes the file and ends the
/// threads before it returns.
pub struct SqliteStore {
    file: PathBuf,
    pub(crate) writer: Option<Thread>,
    readers: Option<Thread>,
    pub(crate) near: Arc<Near>,
    writing: Option<JoinHandle<()>>,
    reading: Vec<JoinHandle<()>>,
    mine: Mutex<Option<Arc<Mine>>>,
    /// Given back last: after everything is written.
    _lock: Lock,
}

impl SqliteStore {
    /// Opens the file, or makes it: the file with mode 0660, absent folders
    /// with 0750. Rows that are there stay. Blocks for the time that takes.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if the file is no task database of a known
    /// layout (it is left as it is), [`StoreError::Unavailable`] or
    /// [`StoreError::Full`] if it cannot be opened, read or written, or another
    /// process has it open as its store.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let file = std::path::absolute(path).map_err(|error| {
            StoreError::Unavailable(format!("{}: is no path: {error}", path.display()))
        })?;
        let (writer, calls) = mpsc::channel(WAITING);
        let (readers, questions) = mpsc::channel(WAITING);
        // First, because it makes what the other connections need.
        let (connection, place, lock) = open::writer(&file)?;
        let cores = thread::available_parallelism()
            .map_or(2, usize::from)
            .clamp(2, 4);
        let mut store = Self {
            writer: Some(writer),
            readers: Some(readers),
            near: Arc::new(Near::open(&file, cores)?),
            writing: None,
            reading: Vec::new(),
            file: file.clone(),
            mine: Mutex::new(None),
            _lock: lock,
        };
        let thread = Writer {
            reserve: Reserve::open(&connection, &file),
            connection,
            place,
            file: file.clone(),
            calls,
            near: Arc::clone(&store.near),
        };
        store.writing = Some(start("wpk-tasks-write", || thread.run())?);
        let questions = Arc::new(Mutex::new(questions));
        for _ in 0..cores {
            let thread = Reader {
                connection: open::reader(&file)?,
                file: file.clone(),
                calls: Arc::clone(&questions),
            };
            store
                .reading
                .push(start("wpk-tasks-read", || thread.run())?);
        }
        Ok(store)
    }

    pub(crate) fn mine(&self) -> MutexGuard<'_, Option<Arc<Mine>>> {
        self.mine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn read<R, W>(&self, work: W) -> StoreResult<R>
    where
        R: Send + 'static,
        W: FnMut(&Connection) -> Result<R, Fault> + Send + 'static,
    {
        ask(self.readers.as_ref(), What::Else, work).await
    }

    /// Writes, as the entry that this store is, unless a newer one shut it out.
    pub(crate) async fn write<R, W>(&self, work: W) -> StoreResult<R>
    where
        R: Send + 'static,
        W: FnMut(&Connection, Option<&Mine>) -> Result<R, Fault> + Send + 'static,
    {
        self.write_as(What::Else, work).await
    }

    /// Writes new tasks, which get none of the room that is kept for others to end.
    pub(crate) async fn write_new<R, W>(&self, work: W) -> StoreResult<R>
    where
        R: Send + 'static,
        W: FnMut(&Connection, Option<&Mine>) -> Result<R, Fault> + Send + 'static,
    {
        self.write_as(What::New, work).await
    }

    async fn write_as<R, W>(&self, what: What, mut work: W) -> StoreResult<R>
    where
        R: Send + 'static,
        W: FnMut(&Connection, Option<&Mine>) -> Result<R, Fault> + Send + 'static,
    {
        let mine = self.mine().clone();
        ask(self.writer.as_ref(), what, move |connection| {
            let mine = mine.as_deref();
            entries::fence(connection, mine)?;
            work(connection, mine)
        })
        .await
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        // The writer last: only a connection that may write can put the log
        // back into the file when it is the last to close it.
        self.near.close();
        self.readers = None;
        let mut died = false;
        for thread in self.reading.drain(..) {
            died |= thread.join().is_err();
        }
        self.writer = None;
        died |= self
            .writing
            .take()
            .is_some_and(|thread| thread.join().is_err());
        if died {
            tracing::error!(file = %self.file.display(), "a thread of the task store had died");
        }
    }
}
