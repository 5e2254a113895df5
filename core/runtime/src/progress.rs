//! What every running delivery is doing right now, for `upgrade_progress`.
//! Lives in memory only: after a restart the task table tells the truth.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use wpk_api::{AgentId, TaskId};

/// Where one delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The task.
    pub(crate) task: TaskId,
    /// The step: `download` or one of section 5.
    pub(crate) step: &'static str,
    /// Bytes of the WPK the agent has.
    pub(crate) sent: u64,
    /// Bytes of the WPK; 0 until it is known.
    pub(crate) total: u64,
}

/// All running deliveries.
#[derive(Default)]
pub(crate) struct ProgressBoard(Mutex<HashMap<AgentId, Progress>>);

impl ProgressBoard {
    /// Enters a delivery; it leaves the board when the entry is dropped.
    pub(crate) fn enter(&self, agent: AgentId, task: TaskId) -> Entry<'_> {
        let progress = Progress {
            task,
            step: "download",
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
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&agent)
            .copied()
    }

    /// The tasks that are being delivered.
    pub(crate) fn tasks(&self) -> Vec<TaskId> {
        let board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        board.values().map(|progress| progress.task).collect()
    }

    fn set(&self, agent: AgentId, progress: Progress) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(agent, progress);
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
    pub(crate) fn step(&mut self, step: &'static str) {
        self.progress.step = step;
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
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.agent);
    }
}
