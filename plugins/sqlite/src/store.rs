//! The store as the engine sees it: every call is handed to a thread.

use std::sync::Arc;

use async_trait::async_trait;
use wpk_api::{
    AgentId, Attempt, AttemptWrite, Awaiting, Cancel, Change, Claimed, Confirmation, Created,
    Document, DocumentWrite, Entered, Entrance, Entry, Guard, Imported, Incarnation, NewTask,
    Overdue, Revision, StoreResult, Task, TaskId, TaskPage, TaskQuery, TaskStore, TimelineEntry,
    Transition, TransitionResult, UnixTime, Version,
};

use crate::entries;
use crate::opened::SqliteStore;
use crate::worker::{What, ask};
use crate::{
    attempts, create, documents, feed, fenced, history, imports, moves, orphans, read, rows,
    timeline,
};

#[async_trait]
impl TaskStore for SqliteStore {
    async fn enter(&self, entry: &Entry) -> StoreResult<Entrance> {
        let entry = entry.clone();
        let entered = ask(self.writer.as_ref(), What::Else, move |connection| {
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
        self.write_new(move |connection, _| create::create_guarded(connection, &tasks, &guard))
            .await
    }

    async fn attempts(&self, key: &str, after: TaskId, limit: usize) -> StoreResult<Vec<Attempt>> {
        let key = key.to_owned();
        self.read(move |connection| attempts::after(connection, &key, after, limit))
            .await
    }

    async fn create(&self, tasks: Vec<NewTask>) -> StoreResult<Vec<Created>> {
        self.write_new(move |connection, _| create::create(connection, &tasks))
            .await
    }

    async fn write_attempts(
        &self,
        writes: Vec<AttemptWrite>,
        guard: Option<Guard>,
    ) -> StoreResult<Option<u64>> {
        self.write(move |connection, _| attempts::write(connection, &writes, guard.as_ref()))
            .await
    }

    async fn attempts_of(&self, tasks: &[TaskId]) -> StoreResult<Vec<Option<Attempt>>> {
        let tasks = tasks.to_vec();
        self.read(move |connection| attempts::of(connection, &tasks))
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

    async fn history(&self, query: &TaskQuery) -> StoreResult<TaskPage> {
        let query = query.clone();
        self.read(move |connection| history::page(connection, &query))
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
        self.write_new(move |connection, _| imports::import(connection, &tasks))
            .await
    }
}
