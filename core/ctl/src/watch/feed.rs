//! Following the manager's feed of changes (`upgrade_changes`, PROTOCOL.md, section 15):
//! first every task as it is, then what changes, as it changes. Where the manager has
//! forgotten some of it, every task anew.

use std::collections::HashSet;
use std::time::Duration;

use wpk_api::{AgentId, Revision, TaskId};
use wpk_wire::Item;
use wpk_wire::own::{AskChanges, FeedPlace, TaskNow};

use super::board::Board;
use super::view::View;
use crate::error::CtlError;
use crate::manager::client::Client;
use crate::manager::timelines::is_unknown;

/// How far it was followed.
#[derive(Debug, Default)]
pub(super) struct Feed {
    /// `None`: how the tasks are has to be asked anew.
    after: Option<Revision>,
}

impl Feed {
    /// Enters what is new into the board; waits for it as long as `wait`. Whether there is
    /// more already; `None` from a manager that does not know the command.
    ///
    /// # Errors
    /// Those of [`Client::ask`].
    pub(super) async fn look(
        &mut self,
        client: &mut Client,
        board: &mut Board,
        view: &mut View,
        wait: Duration,
    ) -> Result<Option<bool>, CtlError> {
        let mut agents = board.live();
        let Some(after) = self.after else {
            let mut round = Round::default();
            let found = present(client, &agents, |items| round.enter(board, items)).await?;
            let Some(place) = found else {
                return Ok(None);
            };
            round.end(board);
            self.after = place;
            return Ok(Some(false));
        };
        if agents.len() > AskChanges::MOST {
            agents.clear();
        }
        let asked = AskChanges {
            agents,
            after: Some(after),
            wait: Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        };
        let items = match view.during(board, client.own(asked)).await? {
            Err(error) if is_unknown(&error) => return Ok(None),
            items => items?,
        };
        let Some((place, tasks)) = parted(&items) else {
            return Ok(None);
        };
        let mut round = Round::default();
        round.enter(board, tasks);
        round.end(board);
        self.after = (!place.behind).then_some(place.revision);
        Ok(Some(place.more || place.behind))
    }
}

/// Hands on the newest task of each of the agents as it is now, an answer at a time: all of
/// them together would be much more than what is kept of them. From where in the feed on
/// changes are told; `None` from a manager that does not know the command.
///
/// # Errors
/// Those of [`Client::ask`].
pub(super) async fn present(
    client: &mut Client,
    agents: &[AgentId],
    mut take: impl FnMut(&[Item]),
) -> Result<Option<Option<Revision>>, CtlError> {
    let mut from = None;
    for chunk in agents.chunks(AskChanges::MOST) {
        let mut left = chunk.to_vec();
        while !left.is_empty() {
            let asked = AskChanges {
                agents: left.clone(),
                ..AskChanges::default()
            };
            let items = match client.own(asked).await {
                Err(error) if is_unknown(&error) => return Ok(None),
                items => items?,
            };
            let Some((place, tasks)) = parted(&items) else {
                return Ok(None);
            };
            from = from.or(Some(place.revision));
            let told: HashSet<AgentId> = items.iter().filter_map(Item::agent_id).collect();
            let before = left.len();
            left.retain(|agent| !told.contains(agent));
            if left.len() == before {
                break;
            }
            take(tasks);
        }
    }
    Ok(Some(from))
}

/// The place that an answer begins with, and its tasks; `None` where it is no such answer.
fn parted(items: &[Item]) -> Option<(FeedPlace, &[Item])> {
    let (first, tasks) = items.split_first()?;
    Some((FeedPlace::from_item(first)?, tasks))
}

/// What is told at one time, in one answer or in several.
#[derive(Default)]
struct Round {
    gone: HashSet<TaskId>,
    told: HashSet<AgentId>,
}

impl Round {
    /// Enters tasks as they are.
    fn enter(&mut self, board: &mut Board, items: &[Item]) {
        for item in items {
            match (TaskNow::from_item(item), item.task_id) {
                (Some(now), _) if item.error.is_success() => {
                    self.told.insert(now.told.agent);
                    board.now(item, &now);
                }
                (_, Some(task)) if item.agent.is_none() => drop(self.gone.insert(task)),
                _ => board.result(item.clone()),
            }
        }
    }

    /// Enters those that are gone, and which deliveries are over.
    fn end(self, board: &mut Board) {
        board.gone(&self.gone);
        board.delivered_to(&self.told);
    }
}
