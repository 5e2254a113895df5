//! Bringing our rows and the master's tasks together again: once in a while,
//! and where a stop, a crash or a lost answer came between the two.

use tracing::{info, warn};
use wpk_api::{AgentId, Status, StoreError, Task, TaskId, UnixTime};
use wpk_wire::UpgradeCode;

use super::inner::Inner;
use super::rows::{Known, State};

/// How long a task is looked for that the master may have created, in seconds:
/// longer than any question stays on its way.
const LOOK_FOR: i64 = 600;

/// What is to be done about a row.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Nothing, now.
    Keep,
    /// The task ended, or never was.
    Forget,
    /// It is at the master, and ours to carry out.
    Adopt(TaskId),
    /// It is at the master in the place of a former one, and ours to carry out.
    Anew(TaskId),
    /// The master has none in the place of the one that was cancelled.
    Wait,
    /// It is at the master, and must end there.
    End(TaskId, Status),
}

impl Inner {
    /// One look at everything but the queue, which [`claim`](wpk_api::TaskStore::claim)
    /// compares itself; of that only whether it was cancelled.
    pub(super) async fn settle(&self, now: UnixTime) -> Result<(), StoreError> {
        self.pay_cancel().await?;
        self.settle_rows(now).await?;
        self.look_at_queue(now).await
    }

    async fn settle_rows(&self, now: UnixTime) -> Result<(), StoreError> {
        let rows = self.local.unsettled().await?;
        if rows.is_empty() {
            return Ok(());
        }
        // A request that runs has rows whose answer is on its way.
        let _creating = self.creating().await?;
        let rows = self.local.unsettled().await?;
        let agents: Vec<AgentId> = rows.iter().map(|row| row.agent).collect();
        let newest = self.master.results(&agents).await?;
        let (mut ended, mut told) = (Vec::new(), Vec::new());
        for row in rows {
            let newest = newest.get(&row.agent);
            match step(&row, newest, &self.node, now) {
                Step::Keep => {}
                Step::Forget => match row.task {
                    Some(id) => {
                        ended.push(id);
                        let ran = row.state == State::Running;
                        told.extend(newest.filter(|task| ran && task.id == id).cloned());
                    }
                    None => self.local.forget_unseen(row.agent).await?,
                },
                Step::Adopt(id) => {
                    info!(task = %id, agent = %row.agent, "a task that was asked for before the last stop is carried out");
                    self.local.found(row.agent, id, State::Waiting).await?;
                }
                Step::Anew(id) => {
                    let anew = row.task.map(|former| (former, row.anew(row.created), id));
                    self.local
                        .wait_anew(anew.into_iter().collect(), now)
                        .await?;
                }
                Step::Wait => self.local.wait_still(Vec::from_iter(row.task)).await?,
                Step::End(id, status) => self.end(&row, id, &status).await?,
            }
        }
        self.local.forget(ended).await?;
        self.ended_there(told, now).await;
        // It decides how times are read, also after the next start.
        self.local.set_dialect(self.master.dialect().as_str()).await
    }

    /// Ends a task whose caller was told that there is none: section 3 lets a
    /// single Pending task end only by way of In progress.
    async fn end(&self, row: &Known, id: TaskId, status: &Status) -> Result<(), StoreError> {
        warn!(task = %id, agent = %row.agent, "a task whose creation the master did not confirm is ended");
        self.local.found(row.agent, id, State::Abandoned).await?;
        let agents = [row.agent];
        if *status == Status::Pending {
            self.master
                .update(&self.node, &agents, &Status::InProgress, None)
                .await?;
        }
        let why = UpgradeCode::TaskManagerCommunication.text();
        self.master
            .update(&self.node, &agents, &Status::Failed, Some(why))
            .await?;
        self.local.forget(vec![id]).await
    }

    /// Makes the Pending tasks of a node Cancelled. Those of this node are
    /// forgotten here also while the master is away, which is told before
    /// anything else once it is back; returns how many waited.
    pub(super) async fn cancel(&self, node: &str) -> Result<u64, StoreError> {
        if node != self.node {
            // Whether it holds orders nobody here can say.
            return self.master.cancel(node, false).await.map(|()| 0);
        }
        let _cancelling = self.cancelling.lock().await;
        // First here: a row whose task is cancelled at the master is created anew.
        let waited = self.local.cancel().await?;
        match self.master.cancel(node, true).await {
            Ok(()) => self.local.cancel_is_done().await?,
            Err(error) => {
                warn!(%error, "the master is told to cancel the waiting tasks when it is back");
            }
        }
        Ok(waited)
    }

    /// Tells the master to cancel, if that is still due.
    pub(super) async fn pay_cancel(&self) -> Result<(), StoreError> {
        let _cancelling = self.cancelling.lock().await;
        if self.local.cancel_is_due().await? {
            self.master.cancel(&self.node, true).await?;
            self.local.cancel_is_done().await?;
        }
        Ok(())
    }
}

/// Compares a row with the newest task the master has for its agent.
fn step(row: &Known, newest: Option<&Task>, node: &str, now: UnixTime) -> Step {
    let looked_for_long = row.created.saturating_add(LOOK_FOR) < now;
    if let (Some(former), State::Asked) = (row.task, row.state) {
        return match newest {
            Some(task)
                if task.id > former && task.status == Status::Pending && task.node == node =>
            {
                Step::Anew(task.id)
            }
            Some(task) if task.id != former => Step::Forget,
            _ if looked_for_long => Step::Wait,
            _ => Step::Keep,
        };
    }
    if let Some(id) = row.task {
        // Ids only grow: another newest task means that this one is over.
        let Some(task) = newest.filter(|task| task.id == id && task.status.is_live()) else {
            return Step::Forget;
        };
        return match row.state {
            State::Abandoned if task.node == node => Step::End(id, task.status.clone()),
            State::Abandoned => Step::Forget,
            _ => Step::Keep,
        };
    }
    let ours = newest.filter(|task| task.status == Status::Pending && task.node == node);
    match (ours, row.state) {
        (Some(task), State::Asked) => Step::Adopt(task.id),
        (Some(task), _) => Step::End(task.id, Status::Pending),
        (None, _) if looked_for_long => Step::Forget,
        (None, _) => Step::Keep,
    }
}
