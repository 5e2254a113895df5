//! What every running delivery is doing right now, for `upgrade_progress`, and
//! which tasks are in our hands, for the time-outs. Lives in memory only: after
//! a restart the task table tells the truth.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use wpk_api::{AgentId, TaskId};
use wpk_wire::Step;
use wpk_wire::own::DeliveryStep;

use crate::engine::Shared;

/// Where one delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The task.
    pub(crate) task: TaskId,
    /// What is being done.
    pub(crate) step: DeliveryStep,
    /// Bytes of the WPK the agent has.
    pub(crate) sent: u64,
    /// Bytes of the WPK; 0 until it is known.
    pub(crate) total: u64,
}

impl Progress {
    /// Whether the agent has not been told to run the installer yet, so that
    /// nothing it reports can be about this delivery.
    pub(crate) fn is_before_installer(&self) -> bool {
        self.step != DeliveryStep::Agent(Step::Upgrade)
    }
}

/// All running deliveries.
#[derive(Default)]
pub(crate) struct ProgressBoard {
    running: Mutex<HashMap<AgentId, Progress>>,
    held: Mutex<HashSet<TaskId>>,
}

impl ProgressBoard {
    /// Enters a delivery; it leaves the board when the entry is dropped.
    pub(crate) fn enter(&self, agent: AgentId, task: TaskId) -> Entry<'_> {
        let progress = Progress {
            task,
            step: DeliveryStep::Download,
            sent: 0,
            total: 0,
        };
        self.set(agent, progress);
        Entry {
            board: self,
            agent,
            progress,
        }
    }

    /// Where the delivery to this agent is, if one runs.
    pub(crate) fn get(&self, agent: AgentId) -> Option<Progress> {
        self.running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&agent)
            .copied()
    }

    /// The tasks that are being carried out, or are about to be.
    pub(crate) fn tasks(&self) -> Vec<TaskId> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter().copied().collect()
    }

    fn set(&self, agent: AgentId, progress: Progress) {
        self.running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(agent, progress);
    }
}

/// A task in our hands; given up when dropped.
pub(crate) struct Held {
    shared: Arc<Shared>,
    task: TaskId,
}

impl Held {
    pub(crate) fn new(shared: &Arc<Shared>, task: TaskId) -> Self {
        let mut held = (shared.board.held.lock()).unwrap_or_else(PoisonError::into_inner);
        held.insert(task);
        Self {
            shared: shared.clone(),
            task,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = (self.shared.board.held.lock()).unwrap_or_else(PoisonError::into_inner);
        held.remove(&self.task);
    }
}

/// One running delivery's line on the board.
pub(crate) struct Entry<'a> {
    board: &'a ProgressBoard,
    agent: AgentId,
    progress: Progress,
}

impl Entry<'_> {
    /// A new step begins.
    pub(crate) fn step(&mut self, step: Step) {
        self.progress.step = step.into();
        self.board.set(self.agent, self.progress);
    }

    /// The agent has `sent` of `total` bytes.
    pub(crate) fn bytes(&mut self, sent: u64, total: u64) {
        (self.progress.sent, self.progress.total) = (sent, total);
        self.board.set(self.agent, self.progress);
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.board
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.agent);
    }
}
