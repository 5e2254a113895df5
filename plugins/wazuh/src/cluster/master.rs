//! The messages of section 3, as a worker puts them to the master: split so
//! that question and answer fit the frames of a 4.x peer, answers matched to
//! agents and not to places.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use wpk_api::{AgentId, Command, NewTask, Status, StoreError, Task, TaskId};
use wpk_wire::task::CreateCommand;
use wpk_wire::task::request::MAX_TEXT;
use wpk_wire::{AskedId, Code, Dialect, Item, Response, TaskCode, TaskRequest};

use super::link::{Answer, Link, NoAnswer, Repeat, shown};
use super::shown;

/// Agents per question whose answer has a short item for each: with 80 bytes an
/// item the answer stays below 65,536 bytes.
pub(super) const SHORT: usize = 500;
/// Agents per `upgrade_result`; an item may take a thousand bytes.
pub(super) const LONG: usize = 64;
/// Questions that only read, at a time.
const READS_AT_A_TIME: usize = 4;

/// What became of `upgrade_update_status`.
#[derive(Debug, Default)]
pub(super) struct Updated {
    /// Agents whose newest task took the status.
    pub(super) moved: HashSet<AgentId>,
    /// The question was put more than once: a refusal may mean that the first
    /// time took effect.
    pub(super) repeated: bool,
}

/// What tasks of one question have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind<'a> {
    /// Whose they are.
    pub(super) node: &'a str,
    /// Who asks.
    pub(super) module: &'a str,
    /// What for.
    pub(super) command: &'a Command,
    /// That node holds their orders, which a 4.x master passes over.
    pub(super) held: bool,
}

impl<'a> Kind<'a> {
    /// That of a new task.
    pub(super) fn of(task: &'a NewTask) -> Self {
        Self {
            node: &task.node,
            module: &task.module,
            command: &task.command,
            held: task.held || task.order.is_some(),
        }
    }
}

/// Why tasks were not created.
#[derive(Debug)]
pub(super) struct NotCreated {
    /// The master may have created them all the same.
    pub(super) maybe: bool,
    /// What to tell the caller.
    pub(super) error: StoreError,
}

/// The task manager of the master node.
#[derive(Debug)]
pub(super) struct Master {
    link: Link,
    /// The dialect last recognised; decides how times are read.
    wazuh4: AtomicBool,
}

impl Master {
    /// A master that was last seen to speak `dialect`.
    pub(super) fn new(link: Link, dialect: Dialect) -> Self {
        Self {
            link,
            wazuh4: AtomicBool::new(dialect == Dialect::Wazuh4),
        }
    }

    /// The dialect it was last seen to speak.
    pub(super) fn dialect(&self) -> Dialect {
        if self.wazuh4.load(Ordering::Relaxed) {
            Dialect::Wazuh4
        } else {
            Dialect::Documented
        }
    }

    /// How long one question may take.
    pub(super) fn patience(&self) -> std::time::Duration {
        self.link.timeout()
    }

    /// The status of the last upgrade task of each agent that has one. Pending
    /// tasks of other nodes are deleted by it.
    pub(super) async fn statuses(
        &self,
        node: &str,
        agents: &[AgentId],
    ) -> Result<HashMap<AgentId, Status>, StoreError> {
        let mut found = HashMap::new();
        for part in agents.chunks(SHORT) {
            let request = TaskRequest::GetStatus {
                node: node.to_owned(),
                agents: wire(part),
            };
            let (items, _) = self.ask(&request, Repeat::Harmless).await.map_err(away)?;
            for item in items {
                let agent = item.agent_id();
                // No status: no task. Another code: not known, so not free either.
                if let (Some(agent), Some(status)) = (agent, item.status) {
                    found.insert(agent, Status::from_word(&status));
                } else if !item.error.is_success() && item.error != TaskCode::NoTask {
                    return Err(refused(&request, item.error, &item.message));
                }
            }
        }
        Ok(found)
    }

    /// The newest task of each agent that has one.
    pub(super) async fn results(
        &self,
        agents: &[AgentId],
    ) -> Result<HashMap<AgentId, Task>, StoreError> {
        let mut wanted = agents.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let parts: Vec<Vec<AgentId>> = wanted.chunks(LONG).map(<[AgentId]>::to_vec).collect();
        let asked = parts.into_iter().map(|part| self.results_of(part));
        let found: Vec<Vec<Task>> = stream::iter(asked)
            .buffer_unordered(READS_AT_A_TIME)
            .try_collect()
            .await?;
        Ok(found
            .into_iter()
            .flatten()
            .map(|task| (task.agent, task))
            .collect())
    }

    async fn results_of(&self, part: Vec<AgentId>) -> Result<Vec<Task>, StoreError> {
        let request = TaskRequest::Result {
            agents: wire(&part),
        };
        let (items, _) = self.ask(&request, Repeat::Harmless).await.map_err(away)?;
        if let Some(dialect) = items.iter().find_map(shown::dialect) {
            self.wazuh4
                .store(dialect == Dialect::Wazuh4, Ordering::Relaxed);
        }
        let zone = shown::zone(self.dialect());
        let asked: HashSet<AgentId> = part.into_iter().collect();
        let mut tasks = Vec::with_capacity(items.len());
        for item in items {
            match item.error.task() {
                Some(TaskCode::NoTask) => {}
                Some(TaskCode::Success) => tasks
                    .extend(shown::task(item, &zone).filter(|task| asked.contains(&task.agent))),
                _ => return Err(refused(&request, item.error, &item.message)),
            }
        }
        Ok(tasks)
    }

    /// New Pending tasks for at most [`SHORT`] agents; their ids in the order of
    /// the agents. Asked once only, since each time creates tasks.
    pub(super) async fn create(
        &self,
        kind: Kind<'_>,
        agents: &[AgentId],
    ) -> Result<Vec<TaskId>, NotCreated> {
        let certainly_not = |error| NotCreated {
            maybe: false,
            error,
        };
        let command = CreateCommand::try_from(kind.command).map_err(|word| {
            certainly_not(StoreError::Unavailable(format!(
                "the master has no task {:?}",
                shown(word.as_bytes())
            )))
        })?;
        let request = TaskRequest::Create {
            node: kind.node.to_owned(),
            module: kind.module.to_owned(),
            command,
            agents: wire(agents),
            holds_order: kind.held,
        };
        let asked = self.ask(&request, Repeat::Never).await;
        let (items, _) = asked.map_err(|failure| NotCreated {
            maybe: failure.maybe_sent,
            error: away(failure),
        })?;
        let maybe = |error| NotCreated { maybe: true, error };
        let mut ids: HashMap<AgentId, VecDeque<TaskId>> = HashMap::new();
        for item in items {
            match (item.agent_id(), item.task_id) {
                (Some(agent), Some(task)) => ids.entry(agent).or_default().push_back(task),
                _ => return Err(maybe(refused(&request, item.error, &item.message))),
            }
        }
        let mut id = |agent: &AgentId| ids.get_mut(agent)?.pop_front();
        agents
            .iter()
            .map(|agent| {
                id(agent).ok_or_else(|| {
                    maybe(StoreError::Damaged(format!(
                        "the master's answer to {} says nothing of agent {agent}",
                        request.command()
                    )))
                })
            })
            .collect()
    }

    /// Gives the newest task of each agent a status, as this node.
    pub(super) async fn update(
        &self,
        node: &str,
        agents: &[AgentId],
        to: &Status,
        error_msg: Option<&str>,
    ) -> Result<Updated, StoreError> {
        let mut updated = Updated::default();
        for part in agents.chunks(SHORT) {
            let request = TaskRequest::UpdateStatus {
                node: node.to_owned(),
                agents: wire(part),
                status: to.clone(),
                error_msg: error_msg.map(|text| fitting(text).to_owned()),
            };
            // Repeated, it is refused where it took effect; `repeated` tells.
            let (items, repeated) = self.ask(&request, Repeat::Harmless).await.map_err(away)?;
            updated.repeated |= repeated;
            for item in items {
                match (item.error, item.agent_id()) {
                    (code, Some(agent)) if code.is_success() && part.contains(&agent) => {
                        updated.moved.insert(agent);
                    }
                    (code, _) if code == TaskCode::NoTask => {}
                    (code, _) => return Err(refused(&request, code, &item.message)),
                }
            }
        }
        Ok(updated)
    }

    /// Pending tasks of the node become Cancelled. A master of ours spares those whose
    /// orders that node holds, unless `held`; a 4.x one spares none.
    pub(super) async fn cancel(&self, node: &str, held: bool) -> Result<(), StoreError> {
        let request = TaskRequest::Cancel {
            node: node.to_owned(),
            holds_order: held,
        };
        self.ask(&request, Repeat::Harmless)
            .await
            .map(|_| ())
            .map_err(away)
    }

    /// The items of an answer, and whether the question was repeated.
    async fn ask(
        &self,
        request: &TaskRequest,
        repeat: Repeat,
    ) -> Result<(Vec<Item>, bool), NoAnswer> {
        let asked = self.link.ask(&request.to_bytes(), repeat).await?;
        let Answer { payload, repeated } = asked;
        let unusable = |reason: String| NoAnswer {
            maybe_sent: true,
            reason,
        };
        let response = Response::parse(&payload).map_err(|error| {
            unusable(format!(
                "{error}; its answer to {} begins {:?}",
                request.command(),
                shown(&payload)
            ))
        })?;
        if !response.error.is_success() {
            return Err(unusable(format!(
                "its task manager refused {} with code {}: {:?}",
                request.command(),
                response.error,
                shown(response.message.as_bytes())
            )));
        }
        Ok((response.data, repeated))
    }
}

fn away(failure: NoAnswer) -> StoreError {
    StoreError::Unavailable(format!(
        "the master gave no usable answer: {}",
        failure.reason
    ))
}

fn refused(request: &TaskRequest, code: Code, message: &str) -> StoreError {
    StoreError::Unavailable(format!(
        "the master's task manager answered {} with code {code}: {:?}",
        request.command(),
        shown(message.as_bytes())
    ))
}

fn wire(agents: &[AgentId]) -> Vec<AskedId> {
    agents.iter().copied().map(AskedId::from).collect()
}

/// As much of a text as the master takes.
fn fitting(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
