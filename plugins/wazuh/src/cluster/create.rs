//! New tasks: what the master has for the agents is looked at, our rows are
//! written, the master is asked for tasks, and when all have their ids the rows
//! become the queue. Whatever ends in between leaves a row by which the task is
//! found again (`settle`, and the look at the beginning here).

use std::collections::{HashMap, HashSet};

use tracing::warn;
use wpk_api::{AgentId, Created, NewTask, Status, StoreError, Task, TaskId};

use super::inner::Inner;
use super::master::{Kind, NotCreated, SHORT};
use super::rows::{Known, State};

/// What is to be done for one agent.
enum Plan {
    /// It has this live task.
    Live(TaskId),
    /// The master has a Pending task of ours that nobody carries out.
    Adopt(TaskId),
    /// A new one.
    New,
}

impl Inner {
    /// See [`wpk_api::TaskStore::create`].
    pub(super) async fn create(&self, tasks: Vec<NewTask>) -> Result<Vec<Created>, StoreError> {
        if tasks.iter().any(|task| task.fence.is_some()) {
            return self.create_unfenced(tasks).await;
        }
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

    /// Neither the master nor our file keeps documents, for which tasks could be made.
    async fn create_unfenced(&self, mut tasks: Vec<NewTask>) -> Result<Vec<Created>, StoreError> {
        let fenced: Vec<bool> = tasks.iter().map(|task| task.fence.is_some()).collect();
        tasks.retain(|task| task.fence.is_none());
        let created = Box::pin(self.create(tasks)).await?;
        let mut created = created.into_iter();
        let each = |fenced: &bool| match fenced {
            true => Some(Created::Fenced),
            false => created.next(),
        };
        Ok(fenced.iter().filter_map(each).collect())
    }

    /// Tasks that only the task socket of this node knows: the master's word is
    /// passed on, nothing is remembered.
    async fn create_plain(&self, tasks: &[NewTask]) -> Result<Vec<Created>, StoreError> {
        let mut created = Vec::with_capacity(tasks.len());
        for part in alike(tasks) {
            let ids = self.ask_for(part).await;
            let ids = ids.map_err(|failure| failure.error)?;
            created.extend(ids.into_iter().map(Created::Task));
        }
        Ok(created)
    }

    /// Tasks of the engine, at most one live one for each agent. The caller
    /// holds the lock of `create`.
    async fn create_exclusive(&self, tasks: Vec<NewTask>) -> Result<Vec<Created>, StoreError> {
        self.pay_cancel().await?;
        let plans = self.plans(&tasks).await?;
        let mut outcome: HashMap<AgentId, TaskId> = HashMap::new();
        let (mut adopted, mut new): (Vec<(NewTask, TaskId)>, Vec<NewTask>) = Default::default();
        let mut verdicts = Vec::with_capacity(tasks.len());
        let mut seen = HashSet::new();
        for task in tasks {
            let agent = task.agent;
            let first = seen.insert(agent);
            let verdict = match plans.get(&agent) {
                Some(Plan::Live(id)) => Some(Created::AlreadyLive(*id)),
                Some(Plan::Adopt(id)) if first => {
                    warn!(task = %id, %agent, "a task that waited at the master for nobody is carried out");
                    outcome.insert(agent, *id);
                    adopted.push((task, *id));
                    None
                }
                _ if first => {
                    new.push(task);
                    None
                }
                _ => None,
            };
            verdicts.push((
                agent,
                verdict.map_or(Verdict::Open { first }, Verdict::Closed),
            ));
        }
        adopted.extend(self.create_new(new).await?);
        outcome.extend(adopted.iter().map(|(task, id)| (task.agent, *id)));
        self.local.wait(adopted).await?;
        verdicts
            .into_iter()
            .map(|(agent, verdict)| match (verdict, outcome.get(&agent)) {
                (Verdict::Closed(created), _) => Ok(created),
                (Verdict::Open { first: true }, Some(id)) => Ok(Created::Task(*id)),
                (Verdict::Open { first: false }, Some(id)) => Ok(Created::AlreadyLive(*id)),
                (Verdict::Open { .. }, None) => Err(StoreError::Damaged(format!(
                    "the master named no task for agent {agent}"
                ))),
            })
            .collect()
    }

    /// What the master has for the agents now. Its Pending tasks of other nodes
    /// are deleted by the question.
    async fn plans(&self, tasks: &[NewTask]) -> Result<HashMap<AgentId, Plan>, StoreError> {
        let mut live: Vec<AgentId> = Vec::new();
        for part in alike(tasks) {
            let Some(first) = part.first() else { continue };
            let agents: Vec<AgentId> = part.iter().map(|task| task.agent).collect();
            let statuses = self.master.statuses(&first.node, &agents).await?;
            let is_live = |agent: &AgentId| statuses.get(agent).is_some_and(Status::is_live);
            live.extend(agents.into_iter().filter(is_live));
        }
        if live.is_empty() {
            return Ok(HashMap::new());
        }
        let newest = self.master.results(&live).await?;
        let known = self.local.known(live).await?;
        let known: HashMap<AgentId, &Known> = known.iter().map(|row| (row.agent, row)).collect();
        Ok(newest
            .into_values()
            .map(|task| {
                (
                    task.agent,
                    self.plan(&task, known.get(&task.agent).copied()),
                )
            })
            .collect())
    }

    fn plan(&self, newest: &Task, row: Option<&Known>) -> Plan {
        match newest.status {
            Status::InProgress => Plan::Live(newest.id),
            Status::Pending if newest.node == self.node => {
                let ours = |row: &Known| match row.state {
                    State::Waiting => row.task == Some(newest.id),
                    // In the place of that one; the answer to the question was lost.
                    State::Asked => row.task.is_some_and(|former| former < newest.id),
                    State::Running | State::Abandoned => false,
                };
                if row.is_some_and(ours) {
                    Plan::Live(newest.id)
                } else {
                    Plan::Adopt(newest.id)
                }
            }
            // The question before it has deleted what nobody carries out; a master of ours
            // keeps what another node holds the order of.
            Status::Pending => Plan::Live(newest.id),
            _ => Plan::New,
        }
    }

    /// Asks the master for tasks, all or none: where it fails in the middle the
    /// rows of what was asked for are abandoned.
    async fn create_new(&self, tasks: Vec<NewTask>) -> Result<Vec<(NewTask, TaskId)>, StoreError> {
        if tasks.is_empty() {
            return Ok(Vec::new());
        }
        self.local.ask(tasks.clone()).await?;
        let mut ids = Vec::with_capacity(tasks.len());
        for part in alike(&tasks) {
            match self.ask_for(part).await {
                Ok(part) => ids.extend(part),
                Err(NotCreated { maybe, error }) => {
                    let agents = |tasks: &[NewTask]| tasks.iter().map(|task| task.agent).collect();
                    let sent = ids.len() + if maybe { part.len() } else { 0 };
                    let (asked, others) = tasks.split_at(sent.min(tasks.len()));
                    let noted = self.local.give_up(agents(asked), agents(others)).await;
                    if let Err(error) = noted {
                        warn!(%error, "tasks that the master may have created cannot be noted; they are carried out if it did");
                    }
                    return Err(error);
                }
            }
        }
        Ok(tasks.into_iter().zip(ids).collect())
    }

    /// One question for tasks that are alike.
    pub(super) async fn ask_for(&self, part: &[NewTask]) -> Result<Vec<TaskId>, NotCreated> {
        let Some(first) = part.first() else {
            return Ok(Vec::new());
        };
        let agents: Vec<AgentId> = part.iter().map(|task| task.agent).collect();
        self.master.create(Kind::of(first), &agents).await
    }
}

enum Verdict {
    Closed(Created),
    Open { first: bool },
}

/// Pieces for which one question does: of one kind, and no more than fit.
pub(super) fn alike(tasks: &[NewTask]) -> impl Iterator<Item = &[NewTask]> {
    tasks
        .chunk_by(|a, b| Kind::of(a) == Kind::of(b))
        .flat_map(|group| group.chunks(SHORT))
}
