//! The channel as the engine's [`AgentDirectory`]: answered from memory, enrolment
//! and changes on disk before they are told.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use rcgen::KeyPair;
use tokio::runtime::Handle;
use wpk_api::{
    AgentChange, AgentDetails, AgentDirectory, AgentId, AgentInfo, AgentPage, CaReport, CaWish,
    ConnectionStatus, DirectoryError, Enrollment, IssuedToken, Labels, Platform, TaskStore,
    TokenInfo, TokenWish,
};
use wpk_wire::channel::EnrollToken;

use crate::announcing;
use crate::authorities;
use crate::certificate::fingerprint;
use crate::channel::Channel;
use crate::clock::now;
use crate::goodbye::{Ending, Goodbye};
use crate::record::Record;
use crate::registry::{NewAgent, nobody, unavailable};
use crate::settings::Place;
use crate::sharing;

impl Channel {
    /// Takes an agent's certificate back: it leaves the directory, its
    /// connection ends, its certificate opens nothing any more, its name is
    /// free and its id is not given out again. False if there is no such agent.
    ///
    /// # Errors
    /// [`DirectoryError::Unavailable`] if the list of revoked agents cannot be
    /// written; then the agent stays as it was.
    pub async fn revoke(&self, agent: AgentId) -> Result<bool, DirectoryError> {
        let core = Arc::clone(&self.core);
        let revoked = blocking(move || core.registry.revoke(agent, now())).await;
        // It may be revoked here although others cannot be told.
        if !self.core.registry.is_enrolled(agent) {
            self.cut_off(agent);
        }
        let revoked = revoked?;
        if revoked {
            tracing::info!(%agent, "the agent was revoked");
        }
        Ok(revoked)
    }

    /// Revokes an agent and forgets what was known of it.
    async fn remove(&self, agent: AgentId) -> Result<(), DirectoryError> {
        let core = Arc::clone(&self.core);
        let removed = blocking(move || core.registry.remove(agent, now())).await;
        // It may be revoked although it could not be removed.
        if !self.core.registry.is_enrolled(agent) {
            self.cut_off(agent);
        }
        if !removed? {
            return Err(nobody(agent));
        }
        tracing::info!(%agent, "the agent was removed");
        Ok(())
    }

    /// Looks for an agent that is not known here.
    async fn look(&self) -> Result<(), DirectoryError> {
        match sharing::look(&self.core).await {
            true => Ok(()),
            false => Err(DirectoryError::Unavailable(
                "an agent is not known here, and what other managers know cannot be read now: \
                 does the database answer?"
                    .to_owned(),
            )),
        }
    }

    fn cut_off(&self, agent: AgentId) {
        if let Some(link) = self.core.links.get(agent) {
            link.end(Ending::Ours(Goodbye::revoked()));
        }
    }

    /// `living`: the nodes that live, where several keep their agents together.
    fn describe(
        &self,
        record: &Record,
        here: bool,
        living: Option<&BTreeSet<String>>,
    ) -> AgentInfo {
        let own = &self.node.name;
        let elsewhere = |living: &BTreeSet<String>| {
            let node = record.node.as_ref().filter(|node| *node != own);
            record.connected && node.is_some_and(|node| living.contains(node))
        };
        let connected = here || living.is_some_and(elsewhere);
        let node = match living {
            Some(_) if !here => record.node.clone(),
            _ => record.last_seen.map(|_| own.clone()),
        };
        AgentInfo {
            id: record.id,
            name: Some(record.name.clone()),
            platform: record.platform.clone(),
            version: record.version.clone(),
            connection: match record.last_seen {
                _ if connected => ConnectionStatus::Active,
                Some(_) => ConnectionStatus::Disconnected,
                None => ConnectionStatus::NeverConnected,
            },
            group: None,
            node,
        }
    }

    /// The manager itself, which is in every directory as agent 0.
    fn manager(&self) -> AgentInfo {
        AgentInfo {
            id: AgentId::MANAGER,
            name: Some(self.node.name.clone()),
            platform: Platform::default(),
            version: self.node.version.map(|version| version.to_string()),
            connection: ConnectionStatus::Active,
            group: None,
            node: Some(self.node.name.clone()),
        }
    }
}

#[async_trait]
impl AgentDirectory for Channel {
    /// From 1 on, whatever other managers do, unless all keep them in one store.
    fn numbers_agents(&self) -> bool {
        self.core.settings.registry == Place::File
    }

    async fn entered(&self, store: Arc<dyn TaskStore>) -> Result<(), DirectoryError> {
        if self.core.settings.registry == Place::File {
            let core = Arc::clone(&self.core);
            blocking(move || sharing::own(&core)).await?;
            return sharing::resign(&*store, &self.node.name).await;
        }
        let (core, node) = (Arc::clone(&self.core), self.node.name.clone());
        let runtime = Handle::current();
        blocking(move || sharing::join(&core, store, runtime, &node)).await
    }

    /// Answered from memory. Agent 0 is the manager itself.
    async fn lookup(&self, ids: &[AgentId]) -> Result<Vec<AgentInfo>, DirectoryError> {
        let registry = &self.core.registry;
        if !ids
            .iter()
            .all(|id| *id == AgentId::MANAGER || registry.is_enrolled(*id))
        {
            self.look().await?;
        }
        let living = registry.living();
        let mut found = self.core.links.with_connected(|connected| {
            registry.lookup(ids, |record| {
                self.describe(record, connected(record.id), living.as_deref())
            })
        });
        if ids.contains(&AgentId::MANAGER) {
            found.push(self.manager());
        }
        Ok(found)
    }

    async fn list(
        &self,
        after: Option<AgentId>,
        limit: usize,
    ) -> Result<AgentPage, DirectoryError> {
        let living = self.core.registry.living();
        let (agents, more) = self.core.links.with_connected(|connected| {
            self.core.registry.page(after, limit, |record| {
                self.describe(record, connected(record.id), living.as_deref())
            })
        });
        Ok(AgentPage { agents, more })
    }

    async fn enroll(&self, name: &str) -> Result<Enrollment, DirectoryError> {
        let core = Arc::clone(&self.core);
        let wanted = name.to_owned();
        let enrolling = move || {
            sharing::may_certify(&core)?;
            let failed = |error: rcgen::Error| DirectoryError::Unavailable(error.to_string());
            let key = KeyPair::generate().map_err(failed)?;
            let agent = NewAgent {
                name: &wanted,
                labels: Labels::new(),
                token: None,
                trusts: announcing::trusted(&core),
            };
            let issue = |id: AgentId| core.authority.issue_for_key(id, &key);
            let (id, issued) = core.registry.enroll(agent, now(), issue)?;
            Ok((id, issued, key.serialize_pem()))
        };
        let (id, issued, key_pem) = blocking(enrolling).await?;
        tracing::info!(agent = %id, name, "the agent was enrolled");
        Ok(Enrollment {
            id,
            name: name.to_owned(),
            key_pem,
            certificate_pem: issued.certificate_pem,
            ca_pem: self.core.authority.ca_pem(),
            address: Some(self.advertised.clone()),
        })
    }

    async fn change(&self, agent: AgentId, change: &AgentChange) -> Result<(), DirectoryError> {
        if !self.core.registry.is_enrolled(agent) {
            self.look().await?;
        }
        let core = Arc::clone(&self.core);
        match change {
            AgentChange::Revoke => match self.revoke(agent).await? {
                true => Ok(()),
                false => Err(nobody(agent)),
            },
            AgentChange::Remove => self.remove(agent).await,
            AgentChange::Rename(name) => {
                let wanted = name.clone();
                blocking(move || core.registry.rename(agent, &wanted)).await?;
                tracing::info!(%agent, name, "the agent was renamed");
                Ok(())
            }
            AgentChange::Label { set, unset } => {
                let (set, unset) = (set.clone(), unset.clone());
                blocking(move || core.registry.label(agent, &set, &unset)).await?;
                tracing::info!(%agent, "the agent was labelled");
                Ok(())
            }
        }
    }

    /// Also of agents that were revoked and not removed.
    async fn details(&self, ids: &[AgentId]) -> Result<Vec<AgentDetails>, DirectoryError> {
        Ok(self.core.registry.known(ids, Record::details))
    }

    async fn issue_token(&self, wish: &TokenWish) -> Result<IssuedToken, DirectoryError> {
        let core = Arc::clone(&self.core);
        let wish = wish.clone();
        let (token, expires) = blocking(move || {
            sharing::may_certify(&core)?;
            let mut token = EnrollToken {
                id: [0; 8],
                secret: [0; 32],
                ca: fingerprint(&core.authority.ca()),
            };
            let random = core.authority.provider().secure_random;
            random
                .fill(&mut token.id)
                .and_then(|()| random.fill(&mut token.secret))
                .map_err(|_| {
                    DirectoryError::Unavailable("this machine gives no random numbers".to_owned())
                })?;
            let expires = core.registry.issue_token(&token, &wish, now())?;
            Ok((token, expires))
        })
        .await?;
        let id = token.id_text();
        tracing::info!(token = id, expires, "an enrolment token was issued");
        Ok(IssuedToken {
            id,
            text: token.to_string(),
            expires,
            address: Some(self.advertised.clone()),
        })
    }

    async fn tokens(&self) -> Result<Vec<TokenInfo>, DirectoryError> {
        let core = Arc::clone(&self.core);
        blocking(move || core.registry.tokens()).await
    }

    async fn revoke_token(&self, id: &str) -> Result<(), DirectoryError> {
        let core = Arc::clone(&self.core);
        let token = id.to_owned();
        blocking(move || core.registry.revoke_token(&token, now())).await?;
        tracing::info!(token = id, "an enrolment token was revoked");
        Ok(())
    }

    async fn authority(&self, wish: CaWish) -> Result<CaReport, DirectoryError> {
        let core = Arc::clone(&self.core);
        blocking(move || {
            core.registry.catch_up().map_err(unavailable)?;
            authorities::carry_out(&core, wish)
        })
        .await
    }
}

/// Runs what waits for the disk on a thread that may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DirectoryError> + Send + 'static,
) -> Result<T, DirectoryError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(DirectoryError::Unavailable(error.to_string())))
}
