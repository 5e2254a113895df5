//! A task store behind the border.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use wpk_abi::codes::operation as op;
use wpk_api::{
    AgentId, Claimed, Created, NewTask, StoreError, Task, TaskId, TaskStore, Transition,
    TransitionResult, UnixTime,
};

use crate::failure::CallError;
use crate::instance::Instance;

struct Store(Instance);

pub(crate) fn make(instance: Instance, _: Value) -> Arc<dyn TaskStore> {
    Arc::new(Store(instance))
}

impl Store {
    async fn ask<T: DeserializeOwned>(
        &self,
        what: u32,
        question: impl Serialize + Sync,
    ) -> Result<T, StoreError> {
        let answer = self.0.ask_for(what, &question).await;
        answer.map_err(CallError::store)
    }

    /// An answer with one entry for each that was asked about.
    async fn ask_each<T: DeserializeOwned>(
        &self,
        what: u32,
        question: impl Serialize + Sync,
        asked: usize,
    ) -> Result<Vec<T>, StoreError> {
        let answers: Vec<T> = self.ask(what, question).await?;
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

#[derive(Serialize)]
struct Tasks {
    tasks: Vec<NewTask>,
}

#[derive(Serialize)]
struct Moves {
    moves: Vec<Transition>,
}

#[async_trait]
impl TaskStore for Store {
    async fn create(&self, tasks: Vec<NewTask>) -> Result<Vec<Created>, StoreError> {
        let asked = tasks.len();
        self.ask_each(op::CREATE, Tasks { tasks }, asked).await
    }

    async fn latest(&self, agents: &[AgentId]) -> Result<Vec<Option<Task>>, StoreError> {
        let question = json!({"agents": agents});
        self.ask_each(op::LATEST, question, agents.len()).await
    }

    async fn transition(
        &self,
        moves: Vec<Transition>,
    ) -> Result<Vec<TransitionResult>, StoreError> {
        let asked = moves.len();
        self.ask_each(op::TRANSITION, Moves { moves }, asked).await
    }

    async fn claim(
        &self,
        node: &str,
        limit: usize,
        now: UnixTime,
    ) -> Result<Vec<Claimed>, StoreError> {
        let question = json!({"node": node, "limit": limit, "now": now});
        self.ask(op::CLAIM, question).await
    }

    async fn interrupted(&self, node: &str) -> Result<Vec<Claimed>, StoreError> {
        self.ask(op::INTERRUPTED, json!({"node": node})).await
    }

    async fn begin_installer(&self, task: TaskId, now: UnixTime) -> Result<bool, StoreError> {
        let question = json!({"task": task, "now": now});
        self.ask(op::BEGIN_INSTALLER, question).await
    }

    async fn touch(&self, tasks: &[TaskId], now: UnixTime) -> Result<(), StoreError> {
        let question = json!({"tasks": tasks, "now": now});
        self.ask::<Value>(op::TOUCH, question).await.map(drop)
    }

    async fn cancel(&self, node: &str, now: UnixTime) -> Result<u64, StoreError> {
        let question = json!({"node": node, "now": now});
        self.ask(op::CANCEL, question).await
    }

    async fn withdraw(&self, tasks: &[TaskId]) -> Result<u64, StoreError> {
        self.ask(op::WITHDRAW, json!({"tasks": tasks})).await
    }

    async fn expire(&self, not_since: UnixTime, now: UnixTime) -> Result<Vec<Task>, StoreError> {
        let question = json!({"not_since": not_since, "now": now});
        self.ask(op::EXPIRE, question).await
    }

    async fn purge(&self, created_until: UnixTime) -> Result<u64, StoreError> {
        let question = json!({"created_until": created_until});
        self.ask(op::PURGE, question).await
    }
}
