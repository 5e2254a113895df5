//! Which tasks there are, newest first: the manager's `upgrade_tasks`, page by page. One
//! request names a thousand agents; of more of them several lists are read at a time, and the
//! newest task of all is told next.

use std::collections::VecDeque;

use wpk_api::{AgentId, TaskPlace};
use wpk_wire::Item;
use wpk_wire::own::{ListTasks, ListedTask, NextPage};

use super::client::Client;
use super::newer;
use crate::error::CtlError;

/// A manager that goes on behind the same place is not asked for ever.
const MOST_EMPTY: usize = 100_000;
/// The least tasks of a page, where the lists of many parts are held at a time.
const LEAST_PAGE: usize = 50;

/// Hands each task of the agents, or of all where none is named, to `take`, at most `most` of
/// them; whether there are more.
///
/// # Errors
/// [`CtlError::Unexpected`] from a manager that does not know the command, or goes in a
/// circle; those of [`Client::ask`] and of `take`.
pub(crate) async fn each(
    client: &mut Client,
    asked: &ListTasks,
    agents: &[AgentId],
    most: usize,
    mut take: impl FnMut(Item) -> Result<(), CtlError>,
) -> Result<bool, CtlError> {
    let mut lists: Vec<List> = (parts(agents).into_iter())
        .map(|agents| List::new(asked, agents))
        .collect();
    // So that many lists hold no more than a few do.
    let page = (ListTasks::LONGEST_PAGE / lists.len().max(1)).max(LEAST_PAGE);
    let mut left = most;
    loop {
        for list in &mut lists {
            // One more than is wanted tells whether there are more.
            list.fill(client, left.saturating_add(1).min(page)).await?;
        }
        let newest = lists.iter_mut().max_by_key(|list| list.next());
        let Some((_, item)) = newest.and_then(|list| list.ready.pop_front()) else {
            return Ok(false);
        };
        if left == 0 {
            return Ok(true);
        }
        left -= 1;
        take(item)?;
    }
}

/// As many agents as one request may name; one part without any where nobody is named.
fn parts(agents: &[AgentId]) -> Vec<&[AgentId]> {
    match agents {
        [] => vec![&[]],
        agents => agents.chunks(ListTasks::MOST_AGENTS).collect(),
    }
}

/// Where a task stands in the list: what does not say it comes at once, all else the newest
/// first.
type Place = (bool, Option<TaskPlace>);

fn place(item: &Item) -> Place {
    let listed = ListedTask::from_item(item);
    let place = listed.map(|listed| TaskPlace {
        created: listed.created,
        task: listed.task_id,
    });
    (place.is_none(), place)
}

/// The tasks of some agents.
struct List {
    asked: ListTasks,
    ready: VecDeque<(Place, Item)>,
    ended: bool,
}

impl List {
    fn new(asked: &ListTasks, agents: &[AgentId]) -> Self {
        Self {
            asked: ListTasks {
                agents: agents.to_vec(),
                ..asked.clone()
            },
            ready: VecDeque::new(),
            ended: false,
        }
    }

    /// Where its next task stands; behind all others where there is none.
    fn next(&self) -> Option<Place> {
        self.ready.front().map(|(place, _)| *place)
    }

    /// Reads on until there is a task, or there are no more.
    async fn fill(&mut self, client: &mut Client, page: usize) -> Result<(), CtlError> {
        let mut empty = 0;
        while self.ready.is_empty() && !self.ended {
            self.asked.limit = Some(page);
            let items = client.own(self.asked.clone()).await;
            let mut items = items.map_err(|error| newer::explained(client, error))?;
            let next = items.last().and_then(NextPage::from_item);
            if next.is_some() {
                items.pop();
            }
            empty = if items.is_empty() { empty + 1 } else { 0 };
            self.ready
                .extend(items.into_iter().map(|item| (place(&item), item)));
            let Some(next) = next.map(|page| page.next) else {
                self.ended = true;
                return Ok(());
            };
            let goes_on = self.asked.before.is_none_or(|before| next < before);
            if !goes_on || empty > MOST_EMPTY {
                return Err(CtlError::Unexpected(format!(
                    "the manager at {} tells the same page of tasks again",
                    client.socket().display()
                )));
            }
            self.asked.before = Some(next);
        }
        Ok(())
    }
}
