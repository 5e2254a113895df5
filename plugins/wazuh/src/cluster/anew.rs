//! What waits here and somebody cancelled at the master is created anew there: a
//! built-in upgrade module cancels all that waits for its node whenever it starts, and a
//! 4.x master lets it, although the order is held here and will be carried out. What this
//! node cancels itself has no row any more (`settle`), and what has begun is not touched.
//!
//! As in `create`, a row says that the master is about to be asked before it is, and
//! keeps the former id until the new one is known.

use tracing::warn;
use wpk_api::{AgentId, NewTask, Status, StoreError, Task, TaskId, UnixTime};

use super::create::alike;
use super::inner::Inner;
use super::master::{LONG, NotCreated, SHORT};
use super::rows::Known;

impl Inner {
    /// Compares all that waits with the master's tasks, once each, and asks for those
    /// anew that were cancelled there; whether there were any.
    pub(super) async fn create_anew(&self, now: UnixTime) -> Result<bool, StoreError> {
        let Some(last) = self.local.newest_waiting().await? else {
            return Ok(false);
        };
        let (mut after, mut any) = (TaskId(i64::MIN), false);
        loop {
            // With other requests in between; none of them is on its way meanwhile, nor
            // does this node cancel what is looked at.
            let _creating = self.creating().await?;
            let rows = self.local.waiting_between(after, last, SHORT).await?;
            let Some(end) = rows.last().and_then(|row| row.task) else {
                return Ok(any);
            };
            after = end;
            let agents: Vec<AgentId> = rows.iter().map(|row| row.agent).collect();
            let newest = self.master.results(&agents).await?;
            let cancelled: Vec<(Known, Task)> = (rows.into_iter())
                .filter_map(|row| {
                    let task = newest.get(&row.agent).cloned();
                    Some((row, task?))
                })
                .filter(|(row, task)| is_cancelled(row, task, &self.node))
                .collect();
            any |= !cancelled.is_empty();
            self.ask_anew(cancelled, now).await?;
        }
    }

    /// Looks at what has waited longest, as much as one question is about. Who cancels
    /// cancels all that waits, so it is among that.
    pub(super) async fn look_at_queue(&self, now: UnixTime) -> Result<(), StoreError> {
        let (first, last) = (TaskId(i64::MIN), TaskId(i64::MAX));
        let oldest = self.local.waiting_between(first, last, LONG).await?;
        let agents: Vec<AgentId> = oldest.iter().map(|row| row.agent).collect();
        let newest = self.master.results(&agents).await?;
        let cancelled = |row: &Known| {
            let task = newest.get(&row.agent);
            task.is_some_and(|task| is_cancelled(row, task, &self.node))
        };
        if oldest.iter().any(cancelled) {
            self.create_anew(now).await?;
        }
        Ok(())
    }

    /// Asks the master for tasks in the place of these; whoever calls may create.
    async fn ask_anew(
        &self,
        cancelled: Vec<(Known, Task)>,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        if cancelled.is_empty() {
            return Ok(());
        }
        let (rows, former): (Vec<Known>, Vec<Task>) = cancelled.into_iter().unzip();
        let ids: Vec<TaskId> = former.iter().map(|task| task.id).collect();
        warn!(tasks = ?ids, "tasks that wait here were cancelled at the master, as a built-in upgrade module does when it starts; they are created anew");
        self.local.ask_anew(former, now).await?;
        let new: Vec<NewTask> = rows.iter().map(|row| row.anew(now)).collect();
        let mut rest = ids.as_slice();
        for part in alike(&new) {
            let (these, after) = rest.split_at(part.len().min(rest.len()));
            match self.ask_for(part).await {
                Ok(created) => {
                    let anew = these.iter().zip(part).zip(created);
                    let anew = anew.map(|((old, new), id)| (*old, new.clone(), id));
                    self.local.wait_anew(anew.collect(), now).await?;
                }
                Err(NotCreated { maybe, error }) => {
                    // What the master may have created is looked for (`settle`).
                    let still = if maybe { after } else { rest };
                    self.local.wait_still(still.to_vec()).await?;
                    return Err(error);
                }
            }
            rest = after;
        }
        Ok(())
    }
}

/// Whether the task of a row that waits was cancelled, and the agent has no other since.
pub(super) fn is_cancelled(row: &Known, newest: &Task, node: &str) -> bool {
    row.task == Some(newest.id) && newest.node == node && newest.status == Status::Cancelled
}
