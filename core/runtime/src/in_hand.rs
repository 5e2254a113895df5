//! The tasks in this daemon's hands: one record for each, from its claim to its
//! end, held by one guard.
//!
//! Who asks: housekeeping, so that nothing in hand is timed out; the intake, to
//! know whether an agent's word can be about its task, and for
//! `upgrade_progress` and `upgrade_changes`. Who writes: the delivery that holds the guard. Who learns that a task
//! ended otherwise tells it ([`TasksInHand::ended`]). All of it
//! lives in memory only: after a restart the task table tells the truth.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wpk_api::{AgentId, CancellationToken, Task, TaskId, UnixTime};
use wpk_wire::Step;
use wpk_wire::own::DeliveryStep;

/// Where one task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The task.
    pub(crate) task: TaskId,
    /// What is being done about it; `None` while it waits for a slot, or for its
    /// next attempt.
    pub(crate) step: Option<DeliveryStep>,
    /// Whether its installer was begun.
    pub(crate) installer: Installer,
    /// Bytes of the WPK the agent has.
    pub(crate) sent: u64,
    /// Bytes of the WPK; 0 until it is known.
    pub(crate) total: u64,
    /// When the task was created.
    pub(crate) created: UnixTime,
}

/// Whether the agent was told to run the installer. Until then nothing that it
/// reports can be about this task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Installer {
    /// Not yet.
    NotBegun,
    /// It was told, or is being told right now.
    Begun,
}

type Record = Arc<OneInHand>;

struct OneInHand {
    progress: Mutex<Progress>,
    /// Cancelled once the task has ended otherwise.
    ended: CancellationToken,
}

/// All tasks in hand. One agent has one task, as long as nobody ends it behind
/// our back: then the next may begin while the last delivery gives up.
#[derive(Default)]
pub(crate) struct TasksInHand {
    records: Mutex<BTreeMap<(AgentId, TaskId), Record>>,
    /// Those that were given up since somebody asked.
    given_up: Mutex<Vec<TaskId>>,
}

impl TasksInHand {
    /// Takes a task in hand; it is given up when the guard is dropped.
    pub(crate) fn take(self: &Arc<Self>, task: &Task) -> InHand {
        let record = Arc::new(OneInHand {
            progress: Mutex::new(Progress {
                task: task.id,
                step: None,
                installer: Installer::NotBegun,
                sent: 0,
                total: 0,
                created: task.created,
            }),
            ended: CancellationToken::new(),
        });
        let key = (task.agent, task.id);
        lock(&self.records).insert(key, record.clone());
        InHand {
            all: self.clone(),
            key,
            record,
        }
    }

    /// The agent's newest task in hand, if there is one.
    pub(crate) fn of(&self, agent: AgentId) -> Option<Progress> {
        let records = lock(&self.records);
        let own = (agent, TaskId(i64::MIN))..=(agent, TaskId(i64::MAX));
        let (_, record) = records.range(own).next_back()?;
        Some(*lock(&record.progress))
    }

    /// The task ended behind the back of whoever carries it out here, if somebody does: what
    /// of it can be left is left.
    pub(crate) fn ended(&self, task: &Task) {
        if let Some(record) = lock(&self.records).get(&(task.agent, task.id)) {
            record.ended.cancel();
        }
    }

    /// Up to `most` of all, first those whose agents are sent something.
    pub(crate) fn some(&self, most: usize) -> Vec<(AgentId, Progress)> {
        let records = lock(&self.records);
        let is_sent = |progress: &Progress| matches!(progress.step, Some(DeliveryStep::Agent(_)));
        let mut some = Vec::new();
        for sent in [true, false] {
            let all =
                (records.iter()).map(|((agent, _), record)| (*agent, *lock(&record.progress)));
            let such = all.filter(|(_, progress)| is_sent(progress) == sent);
            some.extend(such.take(most - some.len()));
        }
        some
    }

    /// How many are in hand, and how many of them have a step under way.
    pub(crate) fn count(&self) -> (usize, usize) {
        let records = lock(&self.records);
        let under_way = |record: &&Record| lock(&record.progress).step.is_some();
        (records.len(), records.values().filter(under_way).count())
    }

    /// When the oldest of those was created that wait. The store gives the oldest first, so
    /// that none waits there for longer.
    pub(crate) fn oldest_waiting(&self) -> Option<UnixTime> {
        let records = lock(&self.records);
        let waits = |progress: &Progress| {
            progress.step.is_none() && progress.installer == Installer::NotBegun
        };
        let progress = records.values().map(|record| *lock(&record.progress));
        progress.filter(waits).map(|waiting| waiting.created).min()
    }

    /// The ids of all tasks in hand.
    pub(crate) fn ids(&self) -> Vec<TaskId> {
        lock(&self.records).keys().map(|(_, task)| *task).collect()
    }

    /// The ids of all tasks that were given up since this was asked last. One that is not
    /// among [`ids`](Self::ids), and was in hand before, is told here.
    pub(crate) fn given_up(&self) -> Vec<TaskId> {
        std::mem::take(&mut *lock(&self.given_up))
    }
}

/// One task in hand: whoever holds this carries it out.
pub(crate) struct InHand {
    all: Arc<TasksInHand>,
    key: (AgentId, TaskId),
    record: Record,
}

impl InHand {
    /// Cancelled once the task has ended otherwise.
    pub(crate) fn until_ended(&self) -> CancellationToken {
        self.record.ended.clone()
    }

    /// An attempt begins, with nothing sent yet.
    pub(crate) fn begins(&mut self) {
        let mut record = lock(&self.record.progress);
        (record.step, record.sent, record.total) = (Some(DeliveryStep::Download), 0, 0);
    }

    /// It waits for a slot or for its next attempt: no step is under way.
    pub(crate) fn waits(&mut self) {
        lock(&self.record.progress).step = None;
    }

    /// The agent is asked for a step.
    pub(crate) fn step(&mut self, step: Step) {
        lock(&self.record.progress).step = Some(step.into());
    }

    /// The agent has `sent` of `total` bytes.
    pub(crate) fn bytes(&mut self, sent: u64, total: u64) {
        let mut record = lock(&self.record.progress);
        (record.sent, record.total) = (sent, total);
    }

    /// The store was told that the installer is begun: from now on a word of the
    /// agent is about this task.
    pub(crate) fn installer_begins(&mut self) {
        lock(&self.record.progress).installer = Installer::Begun;
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        lock(&self.all.given_up).push(self.key.1);
        let mut records = lock(&self.all.records);
        if records
            .get(&self.key)
            .is_some_and(|record| Arc::ptr_eq(record, &self.record))
        {
            records.remove(&self.key);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use wpk_api::{Command, Status};

    use super::*;

    fn task(agent: i64, id: i64) -> Task {
        Task {
            id: TaskId(id),
            agent: AgentId::new(agent).unwrap(),
            node: "node01".into(),
            module: "upgrade_module".into(),
            command: Command::Upgrade,
            created: 1,
            updated: None,
            status: Status::InProgress,
            error_msg: None,
            confirmation: None,
        }
    }

    #[test]
    fn a_task_is_in_hand_from_its_claim_to_its_end() {
        let all = Arc::new(TasksInHand::default());
        let agent = task(7, 1).agent;
        let mut held = all.take(&task(7, 1));
        let progress = all.of(agent).unwrap();
        assert_eq!((progress.task, progress.step), (TaskId(1), None));
        held.begins();
        held.bytes(3, 5);
        held.step(Step::Write);
        let progress = all.of(agent).unwrap();
        assert_eq!(progress.step, Some(Step::Write.into()));
        assert_eq!((progress.sent, progress.total), (3, 5));
        assert_eq!(progress.installer, Installer::NotBegun);
        held.waits();
        held.begins();
        let progress = all.of(agent).unwrap();
        assert_eq!((progress.sent, progress.total), (0, 0));
        held.installer_begins();
        assert_eq!(all.of(agent).unwrap().installer, Installer::Begun);
        assert_eq!(all.given_up(), []);
        drop(held);
        assert_eq!((all.of(agent), all.ids()), (None, Vec::new()));
        assert_eq!(all.given_up(), [TaskId(1)]);
        assert_eq!(all.given_up(), []);
    }

    /// A client may end a task that is being delivered, and ask for another.
    #[test]
    fn the_end_of_an_old_delivery_leaves_the_new_one_alone() {
        let all = Arc::new(TasksInHand::default());
        let (old, new) = (all.take(&task(7, 1)), all.take(&task(7, 2)));
        let other = all.take(&task(8, 3));
        let newest = || all.of(task(7, 0).agent).map(|progress| progress.task);
        assert_eq!(newest(), Some(TaskId(2)));
        assert_eq!(all.ids(), [TaskId(1), TaskId(2), TaskId(3)]);
        drop(old);
        assert_eq!(newest(), Some(TaskId(2)));
        drop(new);
        assert_eq!((newest(), all.ids()), (None, vec![TaskId(3)]));
        drop(other);
    }
}
