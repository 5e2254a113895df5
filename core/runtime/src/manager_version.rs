//! The manager's own version: the limit for upgrades without force, and in the
//! dialect of 4.x the target of those that name none (PROTOCOL.md, sections 2 and 9).
//!
//! What the settings say counts. Where they say nothing it is that of agent 0 of the
//! agent directory, which is asked in the same question as the agents of a request:
//! a manager may be upgraded while we run. The intake, the queue and the start enter
//! here.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info};
use wpk_api::{AgentDirectory, AgentId, AgentInfo, Version};

/// How long what was seen counts where there is no question to put it into.
const FRESH: Duration = Duration::from_secs(60);

/// The version, as far as it is known.
pub(crate) struct ManagerVersion {
    configured: Option<Version>,
    seen: Mutex<Seen>,
}

#[derive(Default, Clone, Copy)]
struct Seen {
    version: Option<Version>,
    when: Option<Instant>,
}

impl ManagerVersion {
    /// `configured`: what the settings say.
    pub(crate) fn new(configured: Option<Version>) -> Self {
        Self {
            configured,
            seen: Mutex::default(),
        }
    }

    /// The agent whose record is to be asked for as well; `None`: nobody's.
    pub(crate) fn asks(&self) -> Option<AgentId> {
        self.configured.is_none().then_some(AgentId::MANAGER)
    }

    /// Takes in what the directory answered about [`asks`](Self::asks). A directory
    /// that does not know its manager leaves what was seen before.
    pub(crate) fn learn(&self, manager: Option<&AgentInfo>) -> Option<Version> {
        if self.configured.is_some() {
            return self.configured;
        }
        let found = manager.and_then(AgentInfo::parsed_version);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, before) = (seen.when.is_none(), seen.version);
        seen.when = Some(Instant::now());
        seen.version = found.or(before);
        let now = seen.version;
        drop(seen);
        match now {
            Some(version) if now != before => {
                info!("manager version: {version} (from the agent directory)");
            }
            None if first => info!(
                "manager version: unknown, so there is no limit for upgrades; set node.version to have one"
            ),
            _ => {}
        }
        now
    }

    /// The version, asked for if it was not seen just now.
    pub(crate) async fn get(&self, directory: &dyn AgentDirectory) -> Option<Version> {
        let Some(manager) = self.asks() else {
            return self.configured;
        };
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = seen.when.is_some_and(|when| when.elapsed() < FRESH);
        if let (true, Some(version)) = (fresh, seen.version) {
            return Some(version);
        }
        match directory.lookup(&[manager]).await {
            Ok(found) => self.learn(found.iter().find(|agent| agent.id == manager)),
            Err(error) => {
                debug!(%error, "the manager's version cannot be asked for");
                seen.version
            }
        }
    }

    /// Says at the start which version counts.
    pub(crate) async fn announce(&self, directory: &dyn AgentDirectory) {
        match self.configured {
            Some(version) => info!("manager version: {version} (from node.version)"),
            None => {
                // What is found is told by itself.
                let _ = self.get(directory).await;
            }
        }
    }
}
