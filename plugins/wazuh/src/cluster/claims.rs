//! Tasks are taken up: claimed, begun anew after a stop, their installers begun.
//! Each time the master is asked whether the task is still what our row says.

use std::collections::HashSet;

use tracing::warn;
use wpk_api::{AgentId, Claimed, Status, StoreError, Task, TaskId, UnixTime, Version};

use super::anew::is_cancelled;
use super::inner::Inner;
use super::rows::Known;

/// What the master has for the rows at the head of the queue.
#[derive(Debug, Default)]
struct Look {
    waiting: Vec<Known>,
    /// They are Pending there.
    to_move: Vec<AgentId>,
    /// They are In progress there.
    moved: HashSet<AgentId>,
    /// They are over.
    ended: Vec<TaskId>,
    /// Somebody cancelled them.
    cancelled: Vec<AgentId>,
}

impl Inner {
    /// See [`wpk_api::TaskStore::claim`].
    pub(super) async fn claim(
        &self,
        node: &str,
        limit: usize,
        now: UnixTime,
    ) -> Result<Vec<Claimed>, StoreError> {
        let _claiming = self.claiming.lock().await;
        self.pay_cancel().await?;
        let mut look = self.look(node, limit).await?;
        if !look.cancelled.is_empty() {
            // Once: what is cancelled again meanwhile waits for the next call.
            if let Err(error) = self.create_anew(now).await {
                warn!(%error, "tasks that were cancelled at the master cannot be created anew; trying again");
            }
            look = self.look(node, limit).await?;
        }
        let Look {
            waiting,
            to_move,
            mut moved,
            ended,
            cancelled,
        } = look;
        if !ended.is_empty() {
            warn!(tasks = ?ended, "tasks that waited here have ended at the master");
            self.local.forget(ended).await?;
        }
        if !to_move.is_empty() {
            let updated = self
                .master
                .update(node, &to_move, &Status::InProgress, None)
                .await?;
            moved.extend(updated.moved);
        }
        let refused = to_move.into_iter().filter(|agent| !moved.contains(agent));
        let refused: HashSet<AgentId> = refused.chain(cancelled).collect();
        let ids = |of: &HashSet<AgentId>| {
            let rows = waiting.iter().filter(|row| of.contains(&row.agent));
            rows.filter_map(|row| row.task).collect::<Vec<_>>()
        };
        self.local.claim(ids(&moved), ids(&refused), now).await?;
        let claimed = waiting
            .into_iter()
            .filter(|row| moved.contains(&row.agent))
            .filter_map(|row| row.claimed())
            .map(|mut claimed| {
                claimed.task.updated = Some(now);
                claimed
            });
        Ok(claimed.collect())
    }

    /// Compares the head of the queue with the master's tasks.
    async fn look(&self, node: &str, limit: usize) -> Result<Look, StoreError> {
        let waiting = self.local.waiting(node, limit).await?;
        let agents: Vec<AgentId> = waiting.iter().map(|row| row.agent).collect();
        let newest = self.master.results(&agents).await?;
        let mut look = Look::default();
        for row in &waiting {
            match newest.get(&row.agent) {
                Some(task) if is_cancelled(row, task, node) => look.cancelled.push(row.agent),
                Some(task) if Some(task.id) == row.task && task.node == node => {
                    match task.status {
                        Status::Pending => look.to_move.push(row.agent),
                        // Claimed before, and this program ended before it noted it.
                        Status::InProgress => drop(look.moved.insert(row.agent)),
                        _ => look.ended.extend(row.task),
                    }
                }
                _ => look.ended.extend(row.task),
            }
        }
        look.waiting = waiting;
        Ok(look)
    }

    /// See [`wpk_api::TaskStore::interrupted`].
    pub(super) async fn interrupted(
        &self,
        node: &str,
        crashed: bool,
    ) -> Result<Vec<Claimed>, StoreError> {
        let rows = self.local.interrupted(node).await?;
        let agents: Vec<AgentId> = rows.iter().map(|row| row.agent).collect();
        // Asked before an agent gets a file for nothing. A master that is away
        // is no reason not to start: it is asked again before the installer is begun.
        let newest = match self.master.results(&agents).await {
            Ok(newest) => Some(newest),
            Err(error) => {
                warn!(%error, "whether interrupted tasks are still wanted is not known");
                None
            }
        };
        let wanted = |claimed: &Claimed| match &newest {
            Some(newest) => newest
                .get(&claimed.task.agent)
                .is_some_and(|task| is_running(task, claimed.task.id)),
            None => true,
        };
        let claimed = rows.into_iter().filter_map(|row| row.claimed());
        let mut claimed: Vec<Claimed> = claimed.filter(wanted).collect();
        let ids = claimed.iter().map(|one| one.task.id).collect();
        let crashes = self.local.crashes(ids, crashed).await?;
        for (one, crashes) in claimed.iter_mut().zip(crashes) {
            one.crashes = crashes;
        }
        Ok(claimed)
    }

    /// See [`wpk_api::TaskStore::begin_installer`].
    pub(super) async fn begin_installer(
        &self,
        task: TaskId,
        target: Option<Version>,
        now: UnixTime,
    ) -> Result<bool, StoreError> {
        let Some(agent) = self.local.agent_of(task).await? else {
            return Ok(false);
        };
        let newest = self.master.results(&[agent]).await?;
        if !newest
            .get(&agent)
            .is_some_and(|newest| is_running(newest, task))
        {
            return Ok(false);
        }
        self.local.begin(task, target, now).await
    }
}

fn is_running(newest: &Task, id: TaskId) -> bool {
    newest.id == id && newest.status == Status::InProgress
}
