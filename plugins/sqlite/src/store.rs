//! The store as the engine sees it: every call is handed to a thread.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::sync::mpsc;
use wpk_api::{
    AgentId, Attempt, Awaiting, Cancel, Change, Claimed, Confirmation, Created, Document,
    DocumentWrite, Entered, Entrance, Entry, Guard, Imported, Incarnation, NewTask, Overdue,
    Revision, StoreError, StoreResult, Task, TaskId, TaskStore, TimelineEntry, Transition,
    TransitionResult, UnixTime, Version,
};

use crate::entries::{self, Mine};
use crate::fault::Fault;
use crate::lock::Lock;
use crate::near::Near;
use crate::worker::{Call, Reader, WAITING, Writer, ask, start};
use crate::{documents, feed, fenced, imports, moves, open, orphans, read, rows, timeline};

type Thread = mpsc::Sender<Box<dyn Call>>;

/// Tasks in a SQLite file (PROTOCOL.md, section 3).
///
/// Dropping it carries out what was handed over, closes the file and ends the
/// threads before it returns.
pub struct SqliteStore {
    file: PathBuf,
    writer: Option<Thread>,
    readers: Option<Thread>,
    near: Near,
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
            near: Near::open(&file, cores)?,
            writing: None,
            reading: Vec::new(),
            file: file.clone(),
            mine: Mutex::new(None),
            _lock: lock,
        };
        let thread = Writer {
            connection,
            place,
            file: file.clone(),
            calls,
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

    fn mine(&self) -> MutexGuard<'_, Option<Arc<Mine>>> {
        self.mine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read<R, W>(&self, work: W) -> StoreResult<R>
    where
        R: Send + 'static,
        W: FnMut(&Connection) -> Result<R, Fault> + Send + 'static,
    {
        ask(self.readers.as_ref(), work).await
    }

    /// Writes, as the entry that this store is, unless a newer one shut it out.
    async fn write<R, W>(&self, mut work: W) -> StoreResult<R>
    where
        R: Send + 'static,
        W: FnMut(&Connection, Option<&Mine>) -> Result<R, Fault> + Send + 'static,
    {
        let mine = self.mine().clone();
        ask(self.writer.as_ref(), move |connection| {
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

#[async_trait]
impl TaskStore for SqliteStore {
    async fn enter(&self, entry: &Entry) -> StoreResult<Entrance> {
        let entry = entry.clone();
        let entered = ask(self.writer.as_ref(), move |connection| {
            entries::enter(connection, &entry)
        });
        let entered = entered.await?;
        let incarnation = entered.incarnation;
        *self.mine() = Some(Arc::new(entered));
        Ok(Entrance::Entered(Entered {
            incarnation,
            lease: None,
        }))
    }

    async fn renew(&self) -> StoreResult<()> {
        self.write(|_, _| Ok(())).await
    }

    async fn leave(&self) -> StoreResult<()> {
        self.write(|_, _| Ok(())).await
    }

    async fn orphans(&self, after: TaskId, limit: usize) -> StoreResult<Vec<Task>> {
        let Some(mine) = self.mine().clone() else {
            return Ok(Vec::new());
        };
        self.read(move |connection| orphans::orphans(connection, &mine.node, after, limit))
            .await
    }

    async fn take_over(&self, tasks: &[TaskId]) -> StoreResult<Vec<TaskId>> {
        let tasks = tasks.to_vec();
        self.write(move |connection, mine| match mine {
            Some(mine) => orphans::take_over(connection, &mine.node, &tasks),
            None => Ok(Vec::new()),
        })
        .await
    }

    async fn hand_over(&self, _tasks: &[TaskId], _to: &str) -> StoreResult<Vec<TaskId>> {
        // Nobody else lives here.
        self.write(|_, _| Ok(Vec::new())).await
    }

    async fn begun(&self, task: TaskId) -> StoreResult<Option<Incarnation>> {
        self.read(move |connection| entries::begun(connection, task))
            .await
    }

    async fn documents(
        &self,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> StoreResult<Vec<Document>> {
        let (prefix, after) = (prefix.to_owned(), after.to_owned());
        self.read(move |connection| documents::after(connection, &prefix, &after, limit))
            .await
    }

    async fn write_documents(
        &self,
        writes: Vec<DocumentWrite>,
        guard: Option<Guard>,
    ) -> StoreResult<Option<Vec<u64>>> {
        self.write(move |connection, _| fenced::write(connection, &writes, guard.as_ref()))
            .await
    }

    async fn create_guarded(
        &self,
        tasks: Vec<NewTask>,
        guard: Guard,
    ) -> StoreResult<Option<Vec<Created>>> {
        self.write(move |connection, _| rows::create_guarded(connection, &tasks, &guard))
            .await
    }

    async fn attempts(&self, key: &str, after: TaskId, limit: usize) -> StoreResult<Vec<Attempt>> {
        let key = key.to_owned();
        self.read(move |connection| fenced::attempts(connection, &key, after, limit))
            .await
    }

    async fn create(&self, tasks: Vec<NewTask>) -> StoreResult<Vec<Created>> {
        self.write(move |connection, _| rows::create(connection, &tasks))
            .await
    }

    async fn staging(&self, node: &str, after: TaskId, limit: usize) -> StoreResult<Vec<Claimed>> {
        if !moves::carries_out(self.mine().as_deref(), node) {
            return Ok(Vec::new());
        }
        let node = node.to_owned();
        self.read(move |connection| fenced::staging(connection, &node, after, limit))
            .await
    }

    async fn latest(&self, agents: &[AgentId]) -> StoreResult<Vec<Option<Task>>> {
        if let Some(answer) = self.near.latest(agents) {
            return Ok(answer);
        }
        let agents = agents.to_vec();
        self.read(move |connection| read::latest_of_all(connection, &agents))
            .await
    }

    async fn tasks(&self, ids: &[TaskId]) -> StoreResult<Vec<Option<Task>>> {
        let ids = ids.to_vec();
        self.read(move |connection| ids.iter().map(|id| read::by_id(connection, *id)).collect())
            .await
    }

    async fn transition(&self, moves: Vec<Transition>) -> StoreResult<Vec<TransitionResult>> {
        self.write(move |connection, mine| moves::transition(connection, mine, &moves))
            .await
    }

    async fn claim(&self, node: &str, limit: usize, now: UnixTime) -> StoreResult<Vec<Claimed>> {
        let node = node.to_owned();
        self.write(move |connection, mine| moves::claim(connection, mine, &node, limit, now))
            .await
    }

    async fn interrupted(&self, node: &str, crashed: bool) -> StoreResult<Vec<Claimed>> {
        let node = node.to_owned();
        self.write(move |connection, mine| moves::interrupted(connection, mine, &node, crashed))
            .await
    }

    async fn begin_installer(
        &self,
        task: TaskId,
        target: Option<Version>,
        now: UnixTime,
    ) -> StoreResult<bool> {
        self.write(move |connection, mine| {
            moves::begin_installer(connection, mine, task, target, now)
        })
        .await
    }

    async fn touch(&self, tasks: &[TaskId], now: UnixTime) -> StoreResult<()> {
        let tasks = tasks.to_vec();
        self.write(move |connection, mine| moves::touch(connection, mine, &tasks, now))
            .await
    }

    async fn cancel(&self, node: &str, which: Cancel, now: UnixTime) -> StoreResult<u64> {
        let node = node.to_owned();
        self.write(move |connection, mine| moves::cancel(connection, mine, &node, which, now))
            .await
    }

    async fn withdraw(&self, tasks: &[TaskId]) -> StoreResult<u64> {
        let tasks = tasks.to_vec();
        self.write(move |connection, _| rows::withdraw(connection, &tasks))
            .await
    }

    async fn in_progress(&self, after: TaskId, limit: usize) -> StoreResult<Vec<Task>> {
        self.read(move |connection| read::in_progress(connection, after, limit))
            .await
    }

    async fn expire(&self, overdue: &[Overdue], now: UnixTime) -> StoreResult<Vec<Task>> {
        let overdue = overdue.to_vec();
        self.write(move |connection, _| moves::expire(connection, &overdue, now))
            .await
    }

    async fn purge(&self, created_until: UnixTime) -> StoreResult<u64> {
        self.write(move |connection, _| rows::purge(connection, created_until))
            .await
    }

    async fn note(&self, entries: Vec<(TaskId, TimelineEntry)>) -> StoreResult<()> {
        self.write(move |connection, _| timeline::note(connection, &entries))
            .await
    }

    async fn timeline(&self, task: TaskId) -> StoreResult<Vec<TimelineEntry>> {
        self.read(move |connection| timeline::of(connection, task))
            .await
    }

    async fn awaiting(
        &self,
        node: &str,
        after: TaskId,
        limit: usize,
    ) -> StoreResult<Vec<Awaiting>> {
        let node = node.to_owned();
        self.read(move |connection| read::awaiting(connection, &node, after, limit))
            .await
    }

    async fn confirm(
        &self,
        task: TaskId,
        what: Confirmation,
        entry: TimelineEntry,
    ) -> StoreResult<bool> {
        self.write(move |connection, _| moves::confirm(connection, task, &what, &entry))
            .await
    }

    async fn changes(&self, after: Revision, limit: usize) -> StoreResult<Vec<Change>> {
        self.read(move |connection| feed::changes(connection, after, limit))
            .await
    }

    async fn revision(&self) -> StoreResult<Revision> {
        self.read(feed::revision).await
    }

    async fn place(&self, reader: &str) -> StoreResult<Revision> {
        let reader = reader.to_owned();
        self.read(move |connection| feed::place(connection, &reader))
            .await
    }

    async fn set_place(&self, reader: &str, place: Revision) -> StoreResult<()> {
        let reader = reader.to_owned();
        self.write(move |connection, _| feed::set_place(connection, &reader, place))
            .await
    }

    async fn keep_readers(&self, names: &[String]) -> StoreResult<()> {
        let names = names.to_vec();
        self.write(move |connection, _| feed::keep_readers(connection, &names))
            .await
    }

    async fn import(&self, tasks: Vec<Task>) -> StoreResult<Vec<Imported>> {
        self.write(move |connection, _| imports::import(connection, &tasks))
            .await
    }
}
