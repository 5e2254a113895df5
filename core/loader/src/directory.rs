//! An agent directory behind the border.

use std::sync::Arc;

use async_trait::async_trait;
use wpk_abi::Operation;
use wpk_api::border::{Agents, ChangeAgent, Name, Nothing, Opened, Page};
use wpk_api::{
    AgentChange, AgentDetails, AgentDirectory, AgentId, AgentInfo, AgentPage, CaReport, CaWish,
    DirectoryError, Enrollment, IssuedToken, TokenInfo, TokenWish,
};

use crate::failure::CallError;
use crate::instance::Instance;

struct Directory(Instance);

pub(crate) fn make(instance: Instance, _: Opened) -> Arc<dyn AgentDirectory> {
    Arc::new(Directory(instance))
}

#[async_trait]
impl AgentDirectory for Directory {
    async fn lookup(&self, ids: &[AgentId]) -> Result<Vec<AgentInfo>, DirectoryError> {
        let agents = ids.to_vec();
        let answer = self.0.ask_for(Operation::Lookup, &Agents { agents }).await;
        answer.map_err(CallError::directory)
    }

    async fn list(
        &self,
        after: Option<AgentId>,
        limit: usize,
    ) -> Result<AgentPage, DirectoryError> {
        let answer = self
            .0
            .ask_for(Operation::List, &Page { after, limit })
            .await;
        answer.map_err(CallError::directory)
    }

    async fn enroll(&self, name: &str) -> Result<Enrollment, DirectoryError> {
        let name = name.to_owned();
        let answer = self.0.ask_for(Operation::Enroll, &Name { name }).await;
        answer.map_err(CallError::directory)
    }

    async fn change(&self, agent: AgentId, change: &AgentChange) -> Result<(), DirectoryError> {
        let change = change.clone();
        let question = ChangeAgent { agent, change };
        let answer = self.0.ask_for(Operation::ChangeAgent, &question).await;
        answer.map(|Nothing {}| ()).map_err(CallError::directory)
    }

    async fn details(&self, ids: &[AgentId]) -> Result<Vec<AgentDetails>, DirectoryError> {
        let agents = ids.to_vec();
        let answer = self.0.ask_for(Operation::Details, &Agents { agents }).await;
        match answer.map_err(CallError::directory) {
            // A library that was made before knows no more.
            Err(DirectoryError::NotSupported) => Ok(Vec::new()),
            answer => answer,
        }
    }

    async fn issue_token(&self, wish: &TokenWish) -> Result<IssuedToken, DirectoryError> {
        let answer = self.0.ask_for(Operation::IssueToken, wish).await;
        answer.map_err(CallError::directory)
    }

    async fn tokens(&self) -> Result<Vec<TokenInfo>, DirectoryError> {
        let answer = self.0.ask_for(Operation::Tokens, &Nothing {}).await;
        answer.map_err(CallError::directory)
    }

    async fn revoke_token(&self, id: &str) -> Result<(), DirectoryError> {
        let name = id.to_owned();
        let answer = self.0.ask_for(Operation::RevokeToken, &Name { name }).await;
        answer.map(|Nothing {}| ()).map_err(CallError::directory)
    }

    async fn authority(&self, wish: CaWish) -> Result<CaReport, DirectoryError> {
        let answer = self.0.ask_for(Operation::Authority, &wish).await;
        answer.map_err(CallError::directory)
    }
}
