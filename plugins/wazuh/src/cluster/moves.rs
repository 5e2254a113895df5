//! Tasks move: by the master's messages, which know agents and no tasks, so what
//! the master says of an agent is held against what was meant before and after.

use std::collections::{HashMap, HashSet};

use tracing::debug;
use wpk_api::{
    AgentId, Confirmation, Mover, Selector, Standing, Status, StoreError, Task, TimelineEntry,
    TimelineStep, Transition, TransitionResult, UnixTime,
};
use wpk_wire::TaskRequest;

use super::inner::Inner;
use super::rows::Known;
use super::words::named;

impl Inner {
    /// Moves that are alike go in one message.
    pub(super) async fn transition(
        &self,
        moves: Vec<Transition>,
    ) -> Result<Vec<TransitionResult>, StoreError> {
        if moves.iter().any(|one| one.by == Mover::Operator) {
            // What is written here and what the master knows are two transactions, between
            // which an installer could begin.
            return Err(StoreError::Unavailable(
                "a worker of a 4.x cluster cannot take its tasks back; they end by themselves, or \
                 at a restart of wpkd with tasks.on_restart = \"cancel\""
                    .to_owned(),
            ));
        }
        let mut resolved = Vec::with_capacity(moves.len());
        for one in moves {
            let agent = match one.select {
                Selector::LatestOf(agent)
                | Selector::SpokenOf(agent)
                | Selector::TaskOf { agent, .. } => Some(agent),
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
            let meant = named(one).is_none_or(|id| task.id == id);
            // What this node carries out has a row here until it ends.
            let row = known
                .get(&task.agent)
                .filter(|row| row.task == Some(task.id));
            let standing = Standing {
                ours: row.is_some(),
                begun: row.is_some_and(|row| row.begun),
            };
            meant && TaskRequest::STATUSES.contains(&one.to) && one.is_open(task, standing, None)
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
            .map(|result| with_confirmation(result, &known))
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

    /// Ends what runs here and whose installer was not begun. Section 3 has no
    /// word for it but Failed.
    pub(super) async fn take_back(&self, node: &str, now: UnixTime) -> Result<u64, StoreError> {
        let rows = self.local.interrupted(node).await?;
        let ends = rows.iter().filter_map(|row| row.task).map(|id| Transition {
            select: Selector::Task(id),
            to: Status::Failed,
            node: node.to_owned(),
            error_msg: Some("Task cancelled since the manager was restarted".to_owned()),
            at: now,
            by: Mover::Delivery,
            entry: Some(TimelineEntry::new(now, TimelineStep::Cancelled)),
        });
        let ended = self.transition(ends.collect()).await?;
        let moved = |one: &&TransitionResult| matches!(one, TransitionResult::Moved(_));
        Ok(ended.iter().filter(moved).count() as u64)
    }
}

/// A task of this node that ended well, with what is known of its agent's version.
fn with_confirmation(
    mut result: TransitionResult,
    known: &HashMap<AgentId, &Known>,
) -> TransitionResult {
    if let TransitionResult::Moved(task) = &mut result
        && let Some(row) = known.get(&task.agent)
        && row.task == Some(task.id)
    {
        task.confirmation = Confirmation::at_end(&task.status, row.target);
    }
    result
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
    if named(one).is_some_and(|id| id != task.id) {
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
    TransitionResult::Moved(task)
}
