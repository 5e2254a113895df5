//! The store as the engine sees it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tracing::warn;
use wpk_api::{
    AgentId, Awaiting, Cancel, Change, Claimed, Confirmation, Context, Created, Incarnation,
    NewTask, Overdue, Revision, StoreError, StoreResult, Task, TaskId, TaskStore, TimelineEntry,
    TimelineStep, Transition, TransitionResult, UnixTime, Version,
};
use wpk_wire::Dialect;

use super::inner::Inner;
use super::link::Link;
use super::local::Local;
use super::master::Master;
use super::settings::ClusterSettings;

/// The tasks of a cluster, seen from a worker node (PROTOCOL.md, sections 3
/// and 10).
///
/// Every question about a task is the master's to answer; while it is away they
/// end as [`StoreError::Unavailable`], those that only need our own file go on.
/// [`withdraw`](TaskStore::withdraw) is refused, since section 3 has no message
/// for it but the one in which the *other* node asks. Nobody else has this node's file, so
/// there are no leases, and nothing to take over: a task of another node is that node's
/// whatever becomes of it. Documents are not kept;
/// [`touch`](TaskStore::touch), [`expire`](TaskStore::expire) and
/// [`purge`](TaskStore::purge) change nothing at the master.
pub struct ClusterStore {
    inner: Arc<Inner>,
}

impl ClusterStore {
    /// Opens our own file; the master is not asked for anything yet, so that it
    /// may be away. Blocks for the time that takes.
    ///
    /// # Errors
    /// [`StoreError`] if the file cannot be made or read.
    pub fn open(settings: &ClusterSettings, context: &Context) -> Result<Self, StoreError> {
        let local = Local::open(context.path(&settings.path))?;
        let dialect = match local.dialect()?.as_deref() {
            Some("documented") => Dialect::Documented,
            // A master that says nothing of itself is most likely a 4.x one.
            _ => Dialect::Wazuh4,
        };
        let link = Link::new(
            context.path(&settings.socket),
            settings.timeout.0,
            settings.attempts,
        );
        Ok(Self {
            inner: Arc::new(Inner {
                node: context.node.name.clone(),
                master: Master::new(link, dialect),
                local,
                creating: Mutex::new(()),
                claiming: Mutex::new(()),
                cancelling: Mutex::new(()),
            }),
        })
    }
}

impl fmt::Debug for ClusterStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterStore")
            .field("node", &self.inner.node)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl TaskStore for ClusterStore {
    async fn create(&self, tasks: Vec<NewTask>) -> StoreResult<Vec<Created>> {
        // In a task of its own: a caller that leaves must not end it between the
        // master and our file.
        let inner = Arc::clone(&self.inner);
        let created = tokio::spawn(async move {
            let new = tasks.clone();
            let created = inner.create(tasks).await?;
            inner.created(new, &created).await;
            Ok(created)
        })
        .await;
        created.map_err(|ended| StoreError::Unavailable(ended.to_string()))?
    }

    async fn begun(&self, task: TaskId) -> StoreResult<Option<Incarnation>> {
        let begun = self.inner.local.was_begun(task).await?;
        // Our file is one daemon's, and nobody counts its runs.
        Ok(begun.then_some(0))
    }

    async fn latest(&self, agents: &[AgentId]) -> StoreResult<Vec<Option<Task>>> {
        let newest = self.inner.master.results(agents).await?;
        let tasks = self.inner.local.confirmed(newest.into_values().collect());
        let tasks = tasks.await?.into_iter();
        let newest: HashMap<AgentId, Task> = tasks.map(|task| (task.agent, task)).collect();
        Ok(agents
            .iter()
            .map(|agent| newest.get(agent).cloned())
            .collect())
    }

    async fn tasks(&self, ids: &[TaskId]) -> StoreResult<Vec<Option<Task>>> {
        // The master tells of an agent's newest task alone. What ended here is remembered,
        // and of what has not the agent is known.
        let ended = self.inner.local.ended_before(ids.to_vec()).await?;
        let mut found: HashMap<TaskId, Task> =
            ended.into_iter().map(|task| (task.id, task)).collect();
        let mut agents = Vec::new();
        for id in ids.iter().filter(|id| !found.contains_key(id)) {
            agents.extend(self.inner.local.agent_of(*id).await?);
        }
        let newest = self.latest(&agents).await?;
        found.extend(newest.into_iter().flatten().map(|task| (task.id, task)));
        Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
    }

    async fn transition(&self, moves: Vec<Transition>) -> StoreResult<Vec<TransitionResult>> {
        self.inner.transition(moves).await
    }

    async fn claim(&self, node: &str, limit: usize, now: UnixTime) -> StoreResult<Vec<Claimed>> {
        let claimed = self.inner.claim(node, limit, now).await?;
        let tasks = claimed.iter().map(|one| one.task.clone()).collect();
        if let Err(error) = self.inner.local.saw(tasks).await {
            warn!(%error, "the changes of tasks cannot be written");
        }
        Ok(claimed)
    }

    async fn interrupted(&self, node: &str, crashed: bool) -> StoreResult<Vec<Claimed>> {
        self.inner.interrupted(node, crashed).await
    }

    async fn begin_installer(
        &self,
        task: TaskId,
        target: Option<Version>,
        now: UnixTime,
    ) -> StoreResult<bool> {
        let begun = self.inner.begin_installer(task, target, now).await?;
        if begun {
            let entry = TimelineEntry::new(now, TimelineStep::Upgrade);
            if let Err(error) = self.inner.local.note(vec![(task, entry)]).await {
                warn!(%error, "the timeline of a task cannot be written");
            }
        }
        Ok(begun)
    }

    async fn touch(&self, _tasks: &[TaskId], _now: UnixTime) -> StoreResult<()> {
        Ok(())
    }

    async fn cancel(&self, node: &str, which: Cancel, now: UnixTime) -> StoreResult<u64> {
        let inner = &self.inner;
        let _creating = inner.creating().await?;
        match which {
            // A 4.x master's message for it spares no order of ours.
            Cancel::WithoutOrder | Cancel::Abandoned if inner.local.holds_orders(node).await? => {
                Ok(0)
            }
            Cancel::WithoutOrder | Cancel::Abandoned | Cancel::Pending => inner.cancel(node).await,
            Cancel::NotBegun => {
                let cancelled = inner.cancel(node).await?;
                Ok(cancelled + inner.take_back(node, now).await?)
            }
        }
    }

    async fn withdraw(&self, tasks: &[TaskId]) -> StoreResult<u64> {
        if tasks.is_empty() {
            return Ok(0);
        }
        Err(StoreError::Unavailable(
            "a worker node cannot take back the tasks of another node; ask the task socket of \
             the master"
                .to_owned(),
        ))
    }

    async fn in_progress(&self, _after: TaskId, _limit: usize) -> StoreResult<Vec<Task>> {
        // The time-outs are the master's: there is nothing here for ours.
        Ok(Vec::new())
    }

    async fn expire(&self, _overdue: &[Overdue], now: UnixTime) -> StoreResult<Vec<Task>> {
        // The master's word about our tasks is fetched.
        if let Err(error) = self.inner.settle(now).await {
            warn!(%error, "the tasks of this node cannot be compared with the master's; trying again");
        }
        Ok(Vec::new())
    }

    async fn purge(&self, _created_until: UnixTime) -> StoreResult<u64> {
        // The master deletes tasks; what is remembered of its oldest ones goes here.
        self.inner.local.forget_old_history().await?;
        Ok(0)
    }

    async fn note(&self, entries: Vec<(TaskId, TimelineEntry)>) -> StoreResult<()> {
        self.inner.local.note(entries).await
    }

    async fn timeline(&self, task: TaskId) -> StoreResult<Vec<TimelineEntry>> {
        self.inner.local.timeline(task).await
    }

    async fn awaiting(
        &self,
        node: &str,
        after: TaskId,
        limit: usize,
    ) -> StoreResult<Vec<Awaiting>> {
        self.inner.local.awaiting(node, after, limit).await
    }

    async fn confirm(
        &self,
        task: TaskId,
        what: Confirmation,
        entry: TimelineEntry,
    ) -> StoreResult<bool> {
        let local = &self.inner.local;
        let Some(confirmed) = local.confirm(task, what).await? else {
            return Ok(false);
        };
        local.note(vec![(task, entry)]).await?;
        local.saw(vec![confirmed]).await?;
        Ok(true)
    }

    async fn changes(&self, after: Revision, limit: usize) -> StoreResult<Vec<Change>> {
        self.inner.local.changes(after, limit).await
    }

    async fn revision(&self) -> StoreResult<Revision> {
        self.inner.local.revision().await
    }

    async fn place(&self, reader: &str) -> StoreResult<Revision> {
        self.inner.local.place(reader).await
    }

    async fn set_place(&self, reader: &str, place: Revision) -> StoreResult<()> {
        self.inner.local.set_place(reader, place).await
    }
}
