//! The store as the engine sees it.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{Mutex, MutexGuard};
use tracing::{debug, warn};
use wpk_api::{
    AgentId, Cancel, Change, Claimed, Confirmation, Context, Created, Mover, NewTask, Overdue,
    Revision, Selector, Standing, Status, StoreError, StoreResult, Task, TaskId, TaskStore,
    TimelineEntry, TimelineStep, Transition, TransitionResult, UnixTime,
};
use wpk_wire::{Dialect, TaskRequest};

use super::link::Link;
use super::local::{Known, Local};
use super::master::Master;
use super::settings::ClusterSettings;

/// The tasks of a cluster, seen from a worker node (protocol.md, sections 3
/// and 10).
///
/// Every question about a task is the master's to answer; while it is away they
/// end as [`StoreError::Unavailable`], those that only need our own file go on.
/// [`withdraw`](TaskStore::withdraw) is refused, since section 3 has no message
/// for it but the one in which the *other* node asks;
/// [`touch`](TaskStore::touch), [`expire`](TaskStore::expire) and
/// [`purge`](TaskStore::purge) change nothing at the master.
pub struct ClusterStore {
    inner: Arc<Inner>,
}

/// What the calls share.
pub(super) struct Inner {
    /// The name of this node.
    pub(super) node: String,
    pub(super) master: Master,
    pub(super) local: Local,
    /// Held while the master is asked for tasks, and while what such a question
    /// may have left behind is looked at: no two requests create at a time, as
    /// the master itself keeps no agent from having two live tasks.
    creating: Mutex<()>,
    /// Held while tasks are claimed.
    claiming: Mutex<()>,
    /// Held while the master is told to cancel.
    pub(super) cancelling: Mutex<()>,
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

impl Inner {
    /// The right to create; not waited for longer than a question to the master
    /// takes, since whoever holds it may be waiting for one.
    pub(super) async fn creating(&self) -> Result<MutexGuard<'_, ()>, StoreError> {
        tokio::time::timeout(self.master.patience(), self.creating.lock())
            .await
            .map_err(|_elapsed| {
                StoreError::Unavailable("earlier requests still wait for the master".to_owned())
            })
    }

    async fn create(&self, tasks: Vec<NewTask>) -> Result<Vec<Created>, StoreError> {
        let _creating = self.creating().await?;
        let exclusive = tasks.iter().filter(|task| task.exclusive).count();
        if exclusive == tasks.len() {
            return self.create_exclusive(tasks).await;
        }
        if exclusive == 0 {
            return self.create_plain(&tasks).await;
        }
        let mut created = Vec::with_capacity(tasks.len());
        for part in tasks.chunk_by(|a, b| a.exclusive == b.exclusive) {
            created.extend(if part.iter().all(|task| task.exclusive) {
                self.create_exclusive(part.to_vec()).await?
            } else {
                self.create_plain(part).await?
            });
        }
        Ok(created)
    }

    async fn claim(
        &self,
        node: &str,
        limit: usize,
        now: UnixTime,
    ) -> Result<Vec<Claimed>, StoreError> {
        let _claiming = self.claiming.lock().await;
        self.pay_cancel().await?;
        let waiting = self.local.waiting(node, limit).await?;
        if waiting.is_empty() {
            return Ok(Vec::new());
        }
        let agents: Vec<AgentId> = waiting.iter().map(|row| row.agent).collect();
        let newest = self.master.results(&agents).await?;
        let (mut to_move, mut moved, mut ended) = (Vec::new(), HashSet::new(), Vec::new());
        for row in &waiting {
            match newest.get(&row.agent) {
                Some(task) if Some(task.id) == row.task && task.node == node => {
                    match task.status {
                        Status::Pending => to_move.push(row.agent),
                        // Claimed before, and this program ended before it noted it.
                        Status::InProgress => drop(moved.insert(row.agent)),
                        _ => ended.extend(row.task),
                    }
                }
                _ => ended.extend(row.task),
            }
        }
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
        let refused = to_move.iter().filter(|agent| !moved.contains(agent));
        let refused: HashSet<AgentId> = refused.copied().collect();
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

    async fn interrupted(&self, node: &str, crashed: bool) -> Result<Vec<Claimed>, StoreError> {
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

    async fn begin_installer(&self, task: TaskId, now: UnixTime) -> Result<bool, StoreError> {
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
        self.local.begin(task, now).await
    }

    /// Moves that are alike go in one message.
    async fn transition(
        &self,
        moves: Vec<Transition>,
    ) -> Result<Vec<TransitionResult>, StoreError> {
        let mut resolved = Vec::with_capacity(moves.len());
        for one in moves {
            let agent = match one.select {
                Selector::LatestOf(agent) | Selector::SpokenOf(agent) => Some(agent),
                Selector::Task(id) => self.local.agent_of(id).await?,
            };
            resolved.push((agent, one));
        }
        let mut results = Vec::with_capacity(resolved.len());
        let mut rest = resolved.as_slice();
        while let Some((_, first)) = rest.first() {
            let mut seen = HashSet::new();
            let alike = rest
                .iter()
                .take_while(|(agent, one)| {
                    one.to == first.to
                        && one.by == first.by
                        && one.node == first.node
                        && one.error_msg == first.error_msg
                        // The second move of an agent builds on the first.
                        && agent.is_none_or(|agent| seen.insert(agent))
                })
                .count();
            let (group, after) = rest.split_at(alike.max(1));
            results.extend(self.move_alike(first, group).await?);
            rest = after;
        }
        Ok(results)
    }

    async fn move_alike(
        &self,
        like: &Transition,
        group: &[(Option<AgentId>, Transition)],
    ) -> Result<Vec<TransitionResult>, StoreError> {
        let agents: Vec<AgentId> = group.iter().filter_map(|(agent, _)| *agent).collect();
        let mut newest = self.master.results(&agents).await?;
        let known = self.local.known(agents.clone()).await?;
        let known: HashMap<AgentId, &Known> = known.iter().map(|row| (row.agent, row)).collect();
        let legal = |one: &Transition, task: &Task| {
            let meant = match one.select {
                Selector::Task(id) => task.id == id,
                Selector::LatestOf(_) | Selector::SpokenOf(_) => true,
            };
            // What this node carries out has a row here until it ends.
            let row = known
                .get(&task.agent)
                .filter(|row| row.task == Some(task.id));
            let standing = Standing {
                ours: row.is_some(),
                begun: row.is_some_and(|row| row.begun),
            };
            meant
                && TaskRequest::STATUSES.contains(&one.to)
                && task.status.may_become(&one.to, standing, one.by)
                && (!one.to.needs_same_node() || task.node == one.node)
        };
        let may = |(agent, one): &&(Option<AgentId>, Transition)| {
            let task = agent.and_then(|agent| newest.get(&agent));
            task.is_some_and(|task| legal(one, task))
        };
        let asked: Vec<AgentId> = group
            .iter()
            .filter(may)
            .filter_map(|(agent, _)| *agent)
            .collect();
        let error_msg = like.error_msg.as_deref();
        let updated = self
            .master
            .update(&like.node, &asked, &like.to, error_msg)
            .await?;
        let mut moved = updated.moved;
        let refused: Vec<AgentId> = asked
            .into_iter()
            .filter(|agent| !moved.contains(agent))
            .collect();
        if !refused.is_empty() {
            // It changed in between; or an answer was lost, and this is our own move.
            let now = self.master.results(&refused).await?;
            for agent in refused {
                match now.get(&agent) {
                    Some(task) => {
                        let same = newest.get(&agent).is_some_and(|old| old.id == task.id);
                        if same && updated.repeated && task.status == like.to {
                            moved.insert(agent);
                        }
                        newest.insert(agent, task.clone());
                    }
                    None => drop(newest.remove(&agent)),
                }
            }
        }
        let results: Vec<TransitionResult> = group
            .iter()
            .map(|(agent, one)| result(*agent, one, &newest, &moved))
            .collect();
        self.remember(group, &results).await;
        let ended = results.iter().filter_map(|result| match result {
            TransitionResult::Moved(task) if !task.status.is_live() => Some(task.id),
            _ => None,
        });
        if let Err(error) = self.local.forget(ended.collect()).await {
            // The master knows; the row goes when it is looked at the next time.
            debug!(%error, "ended tasks cannot be forgotten now");
        }
        Ok(results)
    }
}

impl Inner {
    /// New tasks, for those who look.
    async fn created(&self, new: Vec<NewTask>, created: &[Created]) {
        let (mut tasks, mut entries) = (Vec::new(), Vec::new());
        for (new, created) in new.into_iter().zip(created) {
            let Created::Task(id) = *created else {
                continue;
            };
            entries.push((id, TimelineEntry::new(new.created, TimelineStep::Created)));
            tasks.push(Task {
                id,
                agent: new.agent,
                node: new.node,
                module: new.module,
                command: new.command,
                created: new.created,
                updated: None,
                status: Status::Pending,
                error_msg: None,
                confirmation: None,
            });
        }
        let noted = self.local.note(entries).await;
        if let Err(error) = noted.and(self.local.saw(tasks).await) {
            warn!(%error, "the timeline of new tasks cannot be written");
        }
    }

    /// Ends what runs here and whose installer was not begun. Section 3 has no
    /// word for it but Failed.
    async fn take_back(&self, node: &str, now: UnixTime) -> Result<u64, StoreError> {
        let rows = self.local.interrupted(node).await?;
        let ends = rows.iter().filter_map(|row| row.task).map(|id| Transition {
            select: Selector::Task(id),
            to: Status::Failed,
            node: node.to_owned(),
            error_msg: Some("Task cancelled since the manager was restarted".to_owned()),
            at: now,
            by: Mover::Delivery,
            entry: Some(TimelineEntry::new(now, TimelineStep::Cancelled)),
            confirmation: None,
        });
        let ended = self.transition(ends.collect()).await?;
        let moved = |one: &&TransitionResult| matches!(one, TransitionResult::Moved(_));
        Ok(ended.iter().filter(moved).count() as u64)
    }

    /// What moved, for those who look. The master has moved it whatever our own
    /// file says, so a failure of that is no failure of the move.
    async fn remember(
        &self,
        group: &[(Option<AgentId>, Transition)],
        results: &[TransitionResult],
    ) {
        let (mut tasks, mut entries) = (Vec::new(), Vec::new());
        for ((_, one), result) in group.iter().zip(results) {
            match result {
                TransitionResult::Moved(task) => {
                    tasks.push(task.clone());
                    entries.extend(one.entry.clone().map(|entry| (task.id, entry)));
                }
                // A word that the master does not take stays here.
                TransitionResult::Refused(Some(task)) if one.by == Mover::Report => {
                    let late = one.entry.clone();
                    let late = late.filter(|_| task.status == Status::Timeout);
                    entries.extend(late.map(|entry| (task.id, entry.of_late(true))));
                }
                TransitionResult::Refused(_) => {}
            }
        }
        let confirmed = tasks.iter().filter_map(|task| {
            let confirmation = task.confirmation.clone()?;
            Some((task.id, confirmation))
        });
        for (id, confirmation) in confirmed.collect::<Vec<_>>() {
            if let Err(error) = self.local.confirm(id, confirmation).await {
                warn!(%error, "what an agent runs cannot be remembered");
            }
        }
        let noted = self.local.note(entries).await;
        if let Err(error) = noted.and(self.local.saw(tasks).await) {
            warn!(%error, "the timeline of tasks cannot be written");
        }
    }
}

fn is_running(newest: &Task, id: TaskId) -> bool {
    newest.id == id && newest.status == Status::InProgress
}

fn result(
    agent: Option<AgentId>,
    one: &Transition,
    newest: &HashMap<AgentId, Task>,
    moved: &HashSet<AgentId>,
) -> TransitionResult {
    let Some((agent, mut task)) =
        agent.and_then(|agent| Some((agent, newest.get(&agent)?.clone())))
    else {
        return TransitionResult::Refused(None);
    };
    if matches!(one.select, Selector::Task(id) if id != task.id) {
        return TransitionResult::Refused(None);
    }
    if !moved.contains(&agent) {
        return TransitionResult::Refused(Some(task));
    }
    task.status = one.to.clone();
    task.updated = Some(one.at);
    if one.error_msg.is_some() {
        task.error_msg.clone_from(&one.error_msg);
    }
    task.confirmation.clone_from(&one.confirmation);
    TransitionResult::Moved(task)
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

    async fn begin_installer(&self, task: TaskId, now: UnixTime) -> StoreResult<bool> {
        let begun = self.inner.begin_installer(task, now).await?;
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
            // The master's message for it spares no order of ours.
            Cancel::WithoutOrder if !inner.local.waiting(node, 1).await?.is_empty() => Ok(0),
            Cancel::WithoutOrder | Cancel::Pending => inner.cancel(node).await,
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

    async fn confirm(&self, task: TaskId, what: Confirmation, at: UnixTime) -> StoreResult<bool> {
        let inner = &self.inner;
        inner.local.confirm(task, what.clone()).await?;
        let detail = match what {
            Confirmation::Unconfirmed(seen) => seen,
            Confirmation::Confirmed => "the agent runs the version it was sent".to_owned(),
            Confirmation::Awaited => "the agent's version is awaited".to_owned(),
            Confirmation::NotChecked => "not checked".to_owned(),
        };
        let entry = TimelineEntry::new(at, TimelineStep::Confirm).detail(&detail);
        inner.local.note(vec![(task, entry)]).await?;
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
