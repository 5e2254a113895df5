//! A task store behind the border.

mod ask;

use std::sync::Arc;

use async_trait::async_trait;
use wpk_abi::Operation;
use wpk_api::border::{
    Agents, AttemptsAfter, AwaitingAfter, BeginInstaller, CancelTasks, ChangesAfter, Claim,
    Confirm, CreateGuarded, DocumentsAfter, Expire, ForeignTasks, HandOver, Interrupted, Moves,
    NewTasks, Note, Nothing, OneTask, Opened, Purge, Reader, Readers, SetPlace, Tasks, TasksAfter,
    TasksNow, WriteAttempts, WriteDocuments,
};
use wpk_api::{
    AgentId, Attempt, AttemptWrite, Awaiting, Cancel, Change, Claimed, Confirmation, Created,
    Document, DocumentWrite, Entered, Entrance, Entry, Guard, Imported, Incarnation, Mover,
    NewTask, NodeState, Overdue, Revision, StoreError, StoreResult, Task, TaskId, TaskPage,
    TaskQuery, TaskStore, TimelineEntry, Transition, TransitionResult, UnixTime, Version,
};

use crate::failure::CallError;
use crate::instance::Instance;

use self::ask::{ATTEMPTS, OPERATORS, Store};

/// The minor version since which stores know of tasks that others made.
const IMPORTS: u16 = 2;

pub(crate) fn make(instance: Instance, _: Opened) -> Arc<dyn TaskStore> {
    Arc::new(Store(instance))
}

#[async_trait]
impl TaskStore for Store {
    async fn enter(&self, entry: &Entry) -> StoreResult<Entrance> {
        let unheeded = Entrance::Entered(Entered {
            incarnation: 0,
            lease: None,
        });
        self.ask_newer(Operation::Enter, entry.clone(), Ok(unheeded))
            .await
    }

    async fn renew(&self) -> StoreResult<()> {
        self.tell_newer(Operation::Renew, Nothing {}).await
    }

    async fn leave(&self) -> StoreResult<()> {
        self.tell_newer(Operation::Leave, Nothing {}).await
    }

    async fn clock(&self) -> StoreResult<Option<UnixTime>> {
        self.ask_newer(Operation::Clock, Nothing {}, Ok(None)).await
    }

    async fn nodes(&self) -> StoreResult<Vec<NodeState>> {
        self.ask_newer(Operation::Nodes, Nothing {}, Ok(Vec::new()))
            .await
    }

    async fn orphans(&self, after: TaskId, limit: usize) -> StoreResult<Vec<Task>> {
        let question = TasksAfter { after, limit };
        self.ask_newer(Operation::Orphans, question, Ok(Vec::new()))
            .await
    }

    async fn take_over(&self, tasks: &[TaskId]) -> StoreResult<Vec<TaskId>> {
        let tasks = tasks.to_vec();
        self.ask_newer(Operation::TakeOver, Tasks { tasks }, Ok(Vec::new()))
            .await
    }

    async fn hand_over(&self, tasks: &[TaskId], to: &str) -> StoreResult<Vec<TaskId>> {
        let (tasks, to) = (tasks.to_vec(), to.to_owned());
        self.ask_newer(Operation::HandOver, HandOver { tasks, to }, Ok(Vec::new()))
            .await
    }

    async fn begun(&self, task: TaskId) -> StoreResult<Option<Incarnation>> {
        self.ask_newer(Operation::Begun, OneTask { task }, Ok(None))
            .await
    }

    async fn documents(
        &self,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> StoreResult<Vec<Document>> {
        let question = DocumentsAfter {
            prefix: prefix.to_owned(),
            after: after.to_owned(),
            limit,
        };
        let none = Err(StoreError::keeps_no_documents());
        self.ask_newer(Operation::Documents, question, none).await
    }

    async fn write_documents(
        &self,
        writes: Vec<DocumentWrite>,
        guard: Option<Guard>,
    ) -> StoreResult<Option<Vec<u64>>> {
        let asked = writes.len();
        let question = WriteDocuments { writes, guard };
        let none = Err(StoreError::keeps_no_documents());
        let written = self.ask_newer(Operation::WriteDocuments, question, none);
        let written: Option<Vec<u64>> = written.await?;
        written.map(|written| self.each(written, asked)).transpose()
    }

    async fn create_guarded(
        &self,
        tasks: Vec<NewTask>,
        guard: Guard,
    ) -> StoreResult<Option<Vec<Created>>> {
        let asked = tasks.len();
        let question = CreateGuarded { tasks, guard };
        let none = Err(StoreError::keeps_no_documents());
        let created = self.ask_newer(Operation::CreateGuarded, question, none);
        let created: Option<Vec<Created>> = created.await?;
        created.map(|created| self.each(created, asked)).transpose()
    }

    async fn attempts(&self, key: &str, after: TaskId, limit: usize) -> StoreResult<Vec<Attempt>> {
        let key = key.to_owned();
        let question = AttemptsAfter { key, after, limit };
        let none = Err(StoreError::keeps_no_documents());
        self.ask_newer(Operation::Attempts, question, none).await
    }

    async fn write_attempts(
        &self,
        writes: Vec<AttemptWrite>,
        guard: Option<Guard>,
    ) -> StoreResult<Option<u64>> {
        let question = WriteAttempts { writes, guard };
        let none = Err(StoreError::changes_no_attempts());
        self.ask_since(ATTEMPTS, Operation::WriteAttempts, question, none)
            .await
    }

    async fn attempts_of(&self, tasks: &[TaskId]) -> StoreResult<Vec<Option<Attempt>>> {
        let asked = tasks.len();
        let tasks = tasks.to_vec();
        let none = Err(StoreError::changes_no_attempts());
        let found = self.ask_since(ATTEMPTS, Operation::AttemptsOf, Tasks { tasks }, none);
        self.each(found.await?, asked)
    }

    async fn staging(&self, node: &str, after: TaskId, limit: usize) -> StoreResult<Vec<Claimed>> {
        let node = node.to_owned();
        let question = AwaitingAfter { node, after, limit };
        self.ask_newer(Operation::Staging, question, Ok(Vec::new()))
            .await
    }

    async fn keep_readers(&self, names: &[String]) -> StoreResult<()> {
        let names = names.to_vec();
        self.tell_newer(Operation::KeepReaders, Readers { names })
            .await
    }

    async fn create(&self, mut tasks: Vec<NewTask>) -> StoreResult<Vec<Created>> {
        if tasks.iter().any(|task| task.fence.is_some()) && !self.keeps_documents().await? {
            let fenced: Vec<bool> = tasks.iter().map(|task| task.fence.is_some()).collect();
            tasks.retain(|task| task.fence.is_none());
            let mut created = match tasks.is_empty() {
                true => Vec::new(),
                false => self.create(tasks).await?,
            }
            .into_iter();
            let each = |fenced: &bool| match fenced {
                true => Some(Created::Fenced),
                false => created.next(),
            };
            return Ok(fenced.iter().filter_map(each).collect());
        }
        let asked = tasks.len();
        let question = NewTasks { tasks };
        self.ask_each(Operation::Create, question, asked).await
    }

    async fn latest(&self, agents: &[AgentId]) -> StoreResult<Vec<Option<Task>>> {
        let question = Agents {
            agents: agents.to_vec(),
        };
        self.ask_each(Operation::Latest, question, agents.len())
            .await
    }

    async fn tasks(&self, ids: &[TaskId]) -> StoreResult<Vec<Option<Task>>> {
        let question = Tasks {
            tasks: ids.to_vec(),
        };
        self.ask_each(Operation::Tasks, question, ids.len()).await
    }

    async fn history(&self, query: &TaskQuery) -> StoreResult<TaskPage> {
        let none = Err(StoreError::lists_no_tasks());
        self.ask_since(OPERATORS, Operation::History, query, none)
            .await
    }

    async fn transition(&self, moves: Vec<Transition>) -> StoreResult<Vec<TransitionResult>> {
        let operators = moves.iter().any(|one| one.by == Mover::Operator);
        if operators && !self.0.border().speaks(OPERATORS) {
            return Err(StoreError::takes_nothing_back());
        }
        let asked = moves.len();
        let question = Moves { moves };
        self.ask_each(Operation::Transition, question, asked).await
    }

    async fn claim(&self, node: &str, limit: usize, now: UnixTime) -> StoreResult<Vec<Claimed>> {
        let node = node.to_owned();
        self.ask(Operation::Claim, Claim { node, limit, now }).await
    }

    async fn interrupted(&self, node: &str, crashed: bool) -> StoreResult<Vec<Claimed>> {
        let node = node.to_owned();
        let question = Interrupted { node, crashed };
        self.ask(Operation::Interrupted, question).await
    }

    async fn begin_installer(
        &self,
        task: TaskId,
        target: Option<Version>,
        now: UnixTime,
    ) -> StoreResult<bool> {
        let question = BeginInstaller { task, target, now };
        self.ask(Operation::BeginInstaller, question).await
    }

    async fn touch(&self, tasks: &[TaskId], now: UnixTime) -> StoreResult<()> {
        let tasks = tasks.to_vec();
        self.tell(Operation::Touch, TasksNow { tasks, now }).await
    }

    async fn cancel(&self, node: &str, which: Cancel, now: UnixTime) -> StoreResult<u64> {
        let node = node.to_owned();
        // A library that imports nothing does not know the word either, and to it the two
        // are the same.
        let which = match which {
            Cancel::Abandoned if !self.0.border().speaks(IMPORTS) => Cancel::WithoutOrder,
            which => which,
        };
        let question = CancelTasks { node, which, now };
        self.ask(Operation::Cancel, question).await
    }

    async fn withdraw(&self, tasks: &[TaskId]) -> StoreResult<u64> {
        let tasks = tasks.to_vec();
        self.ask(Operation::Withdraw, Tasks { tasks }).await
    }

    async fn in_progress(&self, after: TaskId, limit: usize) -> StoreResult<Vec<Task>> {
        let question = TasksAfter { after, limit };
        self.ask(Operation::InProgress, question).await
    }

    async fn expire(&self, overdue: &[Overdue], now: UnixTime) -> StoreResult<Vec<Task>> {
        let overdue = overdue.to_vec();
        self.ask(Operation::Expire, Expire { overdue, now }).await
    }

    async fn purge(&self, created_until: UnixTime) -> StoreResult<u64> {
        self.ask(Operation::Purge, Purge { created_until }).await
    }

    async fn note(&self, entries: Vec<(TaskId, TimelineEntry)>) -> StoreResult<()> {
        self.tell(Operation::Note, Note { entries }).await
    }

    async fn timeline(&self, task: TaskId) -> StoreResult<Vec<TimelineEntry>> {
        self.ask(Operation::Timeline, OneTask { task }).await
    }

    async fn awaiting(
        &self,
        node: &str,
        after: TaskId,
        limit: usize,
    ) -> StoreResult<Vec<Awaiting>> {
        let node = node.to_owned();
        let question = AwaitingAfter { node, after, limit };
        self.ask(Operation::Awaiting, question).await
    }

    async fn confirm(
        &self,
        task: TaskId,
        what: Confirmation,
        entry: TimelineEntry,
    ) -> StoreResult<bool> {
        let question = Confirm {
            task,
            confirmation: what,
            entry,
        };
        self.ask(Operation::Confirm, question).await
    }

    async fn changes(&self, after: Revision, limit: usize) -> StoreResult<Vec<Change>> {
        let question = ChangesAfter { after, limit };
        self.ask(Operation::Changes, question).await
    }

    async fn revision(&self) -> StoreResult<Revision> {
        self.ask(Operation::Revision, Nothing {}).await
    }

    async fn place(&self, reader: &str) -> StoreResult<Revision> {
        let reader = reader.to_owned();
        self.ask(Operation::Place, Reader { reader }).await
    }

    async fn set_place(&self, reader: &str, place: Revision) -> StoreResult<()> {
        let reader = reader.to_owned();
        self.tell(Operation::SetPlace, SetPlace { reader, place })
            .await
    }

    async fn import(&self, tasks: Vec<Task>) -> StoreResult<Vec<Imported>> {
        let asked = tasks.len();
        let question = ForeignTasks { tasks };
        let answer = self.0.ask_for(Operation::Import, &question).await;
        match answer {
            Err(error) if error.is_unsupported() => Err(StoreError::imports_nothing()),
            answer => self.each(answer.map_err(CallError::store)?, asked),
        }
    }
}
