//! An agent directory behind the border.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use wpk_abi::codes::operation as op;
use wpk_api::{AgentDirectory, AgentId, AgentInfo, AgentPage, DirectoryError, Enrollment};

use crate::failure::CallError;
use crate::instance::Instance;

struct Directory(Instance);

pub(crate) fn make(instance: Instance, _: Value) -> Arc<dyn AgentDirectory> {
    Arc::new(Directory(instance))
}

#[async_trait]
impl AgentDirectory for Directory {
    async fn lookup(&self, ids: &[AgentId]) -> Result<Vec<AgentInfo>, DirectoryError> {
        let question = json!({"agents": ids});
        let answer = self.0.ask_for(op::LOOKUP, &question).await;
        answer.map_err(CallError::directory)
    }

    async fn list(
        &self,
        after: Option<AgentId>,
        limit: usize,
    ) -> Result<AgentPage, DirectoryError> {
        let question = json!({"after": after, "limit": limit});
        let answer = self.0.ask_for(op::LIST, &question).await;
        answer.map_err(CallError::directory)
    }

    async fn enroll(&self, name: &str) -> Result<Enrollment, DirectoryError> {
        let answer = self.0.ask_for(op::ENROLL, &json!({"name": name})).await;
        answer.map_err(CallError::directory)
    }
}
