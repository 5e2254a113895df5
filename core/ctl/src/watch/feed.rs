//! Following the manager's feed of changes (`upgrade_changes`, PROTOCOL.md, section 15):
//! first every task as it is, then what changes, as it changes. Where the manager has
//! forgotten some of it, every task anew.

use std::collections::HashSet;
use std::time::Duration;

use wpk_api::{AgentId, Revision};
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
            let Some((place, items)) = present(client, &agents).await? else {
                return Ok(None);
            };
            enter(board, &items);
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
        enter(board, tasks);
        self.after = (!place.behind).then_some(place.revision);
        Ok(Some(place.more || place.behind))
    }
}

/// The newest task of each of the agents as it is now, and from where in the feed on changes
/// are told; `None` from a manager that does not know the command.
///
/// # Errors
/// Those of [`Client::ask`].
pub(super) async fn present(
    client: &mut Client,
    agents: &[AgentId],
) -> Result<Option<(Option<Revision>, Vec<Item>)>, CtlError> {
    let (mut from, mut all) = (None, Vec::with_capacity(agents.len()));
    for chunk in agents.chunks(AskChanges::MOST) {
        let mut left = chunk.to_vec();
        while !left.is_empty() {
            let asked = AskChanges {
                agents: left.clone(),
                ..AskChanges::default()
            };
            let mut items = match client.own(asked).await {
                Err(error) if is_unknown(&error) => return Ok(None),
                items => items?,
            };
            let Some((place, _)) = parted(&items) else {
                return Ok(None);
            };
            from = from.or(Some(place.revision));
            let told: HashSet<AgentId> = items.iter().filter_map(Item::agent_id).collect();
            let before = left.len();
            left.retain(|agent| !told.contains(agent));
            if left.len() == before {
                break;
            }
            all.extend(items.drain(1..));
        }
    }
    Ok(Some((from, all)))
}

/// The place that an answer begins with, and its tasks; `None` where it is no such answer.
fn parted(items: &[Item]) -> Option<(FeedPlace, &[Item])> {
    let (first, tasks) = items.split_first()?;
    Some((FeedPlace::from_item(first)?, tasks))
}

/// Enters tasks as they are, those that are gone, and which deliveries are over.
fn enter(board: &mut Board, items: &[Item]) {
    let (mut gone, mut told) = (HashSet::new(), HashSet::new());
    for item in items {
        match (TaskNow::from_item(item), item.task_id) {
            (Some(now), _) if item.error.is_success() => {
                told.insert(now.told.agent);
                board.now(item, &now);
            }
            (_, Some(task)) if item.agent.is_none() => drop(gone.insert(task)),
            _ => board.result(item.clone()),
        }
    }
    board.gone(&gone);
    board.delivered_to(&told);
}
