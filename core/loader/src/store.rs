//! A task store behind the border.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use wpk_abi::Operation;
use wpk_api::border::{
    Agents, AwaitingAfter, BeginInstaller, CancelTasks, ChangesAfter, Claim, Confirm, Expire,
    ForeignTasks, Interrupted, Moves, NewTasks, Note, Nothing, OneTask, Opened, Purge, Reader,
    SetPlace, Tasks, TasksAfter, TasksNow,
};
use wpk_api::{
    AgentId, Awaiting, Cancel, Change, Claimed, Confirmation, Created, Imported, NewTask, Overdue,
    Revision, StoreError, StoreResult, Task, TaskId, TaskStore, TimelineEntry, Transition,
    TransitionResult, UnixTime, Version,
};

use crate::failure::CallError;
use crate::instance::Instance;

/// The minor version since which stores know of tasks that others made.
const IMPORTS: u16 = 2;

struct Store(Instance);

pub(crate) fn make(instance: Instance, _: Opened) -> Arc<dyn TaskStore> {
    Arc::new(Store(instance))
}

impl Store {
    async fn ask<T: DeserializeOwned>(
        &self,
        operation: Operation,
        question: impl Serialize + Sync,
    ) -> Result<T, StoreError> {
        let answer = self.0.ask_for(operation, &question).await;
        answer.map_err(CallError::store)
    }

    /// Whatever is answered says that it is done.
    async fn tell(
        &self,
        operation: Operation,
        question: impl Serialize + Sync,
    ) -> Result<(), StoreError> {
        self.ask::<Value>(operation, question).await.map(drop)
    }

    /// An answer with one entry for each that was asked about.
    async fn ask_each<T: DeserializeOwned>(
        &self,
        operation: Operation,
        question: impl Serialize + Sync,
        asked: usize,
    ) -> Result<Vec<T>, StoreError> {
        let answers = self.ask(operation, question).await?;
        self.each(answers, asked)
    }

    fn each<T>(&self, answers: Vec<T>, asked: usize) -> Result<Vec<T>, StoreError> {
        if answers.len() == asked {
            Ok(answers)
        } else {
            let name = self.0.border().name();
            Err(StoreError::Damaged(format!(
                "plugin {name} gave {} answers to {asked} questions",
                answers.len()
            )))
        }
    }
}

#[async_trait]
impl TaskStore for Store {
    async fn create(&self, tasks: Vec<NewTask>) -> StoreResult<Vec<Created>> {
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

    async fn transition(&self, moves: Vec<Transition>) -> StoreResult<Vec<TransitionResult>> {
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
