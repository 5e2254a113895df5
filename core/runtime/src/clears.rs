//! Telling agents to stop repeating their word (`clear_upgrade_result`,
//! PROTOCOL.md, section 6). Nobody waits for it: agents may be slow, and one
//! that was not told comes again.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};
use wpk_api::{AgentId, TaskId, Transport};
use wpk_wire::{AgentCommand, CommandForm};

/// Agents that are told at the same time.
const AT_ONCE: usize = 64;

/// Tells agents, a few at a time.
pub(crate) struct Clears {
    transport: Arc<dyn Transport>,
    background: TaskTracker,
    slots: Arc<Semaphore>,
    /// The agents that are being told, or will be.
    pending: Mutex<HashSet<AgentId>>,
}

impl Clears {
    /// What is begun is waited for through `background`.
    pub(crate) fn new(transport: Arc<dyn Transport>, background: TaskTracker) -> Arc<Self> {
        Arc::new(Self {
            transport,
            background,
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            pending: Mutex::default(),
        })
    }

    /// Tells each of `agents` once, after the answer to the request. Where their
    /// word named a task, that is what it is about: they may have another result
    /// by the time they hear of it.
    pub(crate) fn tell(self: &Arc<Self>, mut agents: Vec<AgentId>, task: Option<TaskId>) {
        {
            let mut pending = (self.pending.lock()).unwrap_or_else(PoisonError::into_inner);
            // An agent that repeats itself meanwhile must not get hold of all slots.
            agents.retain(|agent| pending.insert(*agent));
        }
        if agents.is_empty() {
            return;
        }
        let clears = self.clone();
        self.background.spawn(async move {
            let mut command = BytesMut::new();
            AgentCommand::ClearUpgradeResult { task }.encode(CommandForm::Json, &mut command);
            let command = command.freeze();
            for agent in agents {
                // Closed never: the semaphore lives as long as the engine.
                let Ok(slot) = clears.slots.clone().acquire_owned().await else {
                    return;
                };
                let (told, command) = (clears.clone(), command.clone());
                clears.background.spawn(async move {
                    told.tell_one(agent, command).await;
                    drop(slot);
                });
            }
        });
    }

    async fn tell_one(&self, agent: AgentId, command: Bytes) {
        match self.transport.request(agent, command).await {
            Ok(_) => debug!(%agent, "told to stop repeating its result"),
            Err(error) => {
                warn!(%agent, %error, "could not be told to stop repeating its result")
            }
        }
        (self.pending.lock())
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&agent);
    }
}
