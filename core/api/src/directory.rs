//! AgentDirectory: who the agents are.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    AgentChange, AgentDetails, AgentId, AgentInfo, CaReport, CaWish, IssuedToken, TaskStore,
    TokenInfo, TokenWish,
};

/// Who the agents are: platform, version, connection (PROTOCOL.md, section 9).
///
/// One question names all agents of a request, so that an implementation can
/// answer it in one go.
#[async_trait]
pub trait AgentDirectory: Send + Sync {
    /// The agents among `ids` that exist, in any order. An unknown id is left
    /// out; it is no error. `ids` holds no duplicates and may be empty.
    ///
    /// # Errors
    /// [`DirectoryError`] if the directory as a whole gives no answer. An agent
    /// whose record cannot be read is left out and logged.
    async fn lookup(&self, ids: &[AgentId]) -> Result<Vec<AgentInfo>, DirectoryError>;

    /// Up to `limit` agents with ids above `after` (`None`: from the start), in
    /// ascending order of id. The manager itself (id 0) is not listed.
    ///
    /// # Errors
    /// [`DirectoryError`] if the directory gives no answer.
    async fn list(&self, after: Option<AgentId>, limit: usize)
    -> Result<AgentPage, DirectoryError>;

    /// Whether it gives agents their numbers for this manager alone, so that agent 1 may be
    /// another one at another manager. By default it does not.
    fn numbers_agents(&self) -> bool {
        false
    }

    /// The store was entered under this node's name: told once, at the start, before anything
    /// is asked. A directory may keep its agents there ([`TaskStore::documents`]), so that all
    /// managers that share the store have the same ones. By default it does nothing.
    ///
    /// # Errors
    /// [`DirectoryError`]: the daemon does not start; the text says why and what to do.
    async fn entered(&self, store: Arc<dyn TaskStore>) -> Result<(), DirectoryError> {
        let _ = store;
        Ok(())
    }

    /// Enrolls a new agent and returns what it needs to connect.
    ///
    /// # Errors
    /// [`DirectoryError::NotSupported`] where agents are enrolled elsewhere
    /// (this is the default), [`DirectoryError::Refused`] for a bad or taken name.
    async fn enroll(&self, name: &str) -> Result<Enrollment, DirectoryError> {
        let _ = name;
        Err(DirectoryError::NotSupported)
    }

    /// Changes an agent. On disk before this returns.
    ///
    /// # Errors
    /// [`DirectoryError::NotSupported`] where agents are changed elsewhere (this is
    /// the default), [`DirectoryError::Refused`] for an agent that is not there, a bad
    /// or taken name, bad labels.
    async fn change(&self, agent: AgentId, change: &AgentChange) -> Result<(), DirectoryError> {
        let _ = (agent, change);
        Err(DirectoryError::NotSupported)
    }

    /// What else is known of those of `ids` that exist or were revoked, in any order.
    /// The default is nothing.
    ///
    /// # Errors
    /// [`DirectoryError`] if the directory gives no answer.
    async fn details(&self, ids: &[AgentId]) -> Result<Vec<AgentDetails>, DirectoryError> {
        let _ = ids;
        Ok(Vec::new())
    }

    /// Issues a token with which agents enroll over the network. On disk before this
    /// returns, its secret as a hash.
    ///
    /// # Errors
    /// [`DirectoryError::NotSupported`] where that is not possible (this is the
    /// default), [`DirectoryError::Refused`] for a wish out of range.
    async fn issue_token(&self, wish: &TokenWish) -> Result<IssuedToken, DirectoryError> {
        let _ = wish;
        Err(DirectoryError::NotSupported)
    }

    /// The tokens that were issued, oldest first; those that ended long ago may be
    /// forgotten.
    ///
    /// # Errors
    /// As [`issue_token`](Self::issue_token).
    async fn tokens(&self) -> Result<Vec<TokenInfo>, DirectoryError> {
        Err(DirectoryError::NotSupported)
    }

    /// Makes a token worthless; agents that enrolled with it stay. On disk before this
    /// returns.
    ///
    /// # Errors
    /// As [`issue_token`](Self::issue_token); [`DirectoryError::Refused`] where there is
    /// no such token.
    async fn revoke_token(&self, id: &str) -> Result<(), DirectoryError> {
        let _ = id;
        Err(DirectoryError::NotSupported)
    }

    /// Takes a step of the replacement of the CA that certifies agents, on disk before
    /// this returns, and tells how things stand then.
    ///
    /// # Errors
    /// [`DirectoryError::NotSupported`] where agents have no certificates of ours (this is
    /// the default), [`DirectoryError::Refused`] where it is not the step to take, or
    /// agents would be cut off and the wish does not say that they may.
    async fn authority(&self, wish: CaWish) -> Result<CaReport, DirectoryError> {
        let _ = wish;
        Err(DirectoryError::NotSupported)
    }
}

/// One page of agents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentPage {
    /// The agents, ascending by id.
    pub agents: Vec<AgentInfo>,
    /// Whether there are more behind the last one.
    pub more: bool,
}

/// What a newly enrolled agent needs to connect. Holds a private key: never
/// logged, and `Debug` leaves it out.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrollment {
    /// The id it was given.
    pub id: AgentId,
    /// Its name.
    pub name: String,
    /// Its private key, PEM (PKCS#8).
    pub key_pem: String,
    /// Its certificate, PEM.
    pub certificate_pem: String,
    /// The certificate of the CA that signs agents and the manager, PEM.
    pub ca_pem: String,
    /// Where to dial, `host:port`, if the directory knows it.
    pub address: Option<String>,
}

impl std::fmt::Debug for Enrollment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Enrollment")
            .field("id", &self.id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Why a directory gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// Not reachable, or broke off.
    #[error("the agent directory cannot be reached: {0}")]
    Unavailable(String),
    /// Answered something that makes no sense.
    #[error("the agent directory gave an answer that cannot be read: {0}")]
    Malformed(String),
    /// This directory cannot do that.
    #[error(
        "not supported here: this agent directory does not enroll or change agents; do it with the \
         tools of the manager that owns it"
    )]
    NotSupported,
    /// The directory refuses; the text says why and what to do.
    #[error("{0}")]
    Refused(String),
}
