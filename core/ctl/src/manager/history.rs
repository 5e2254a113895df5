//! Which tasks there are, newest first: the manager's `upgrade_tasks`, page by page.

use wpk_wire::Item;
use wpk_wire::own::{ListTasks, NextPage};

use super::client::Client;
use super::newer;
use crate::error::CtlError;

/// A manager that goes on behind the same place is not asked for ever.
const MOST_EMPTY: usize = 100_000;

/// Hands each task to `take`, at most `most` of them; whether there are more.
///
/// # Errors
/// [`CtlError::Unexpected`] from a manager that does not know the command, or goes in a
/// circle; those of [`Client::ask`] and of `take`.
pub(crate) async fn each(
    client: &mut Client,
    mut asked: ListTasks,
    most: usize,
    mut take: impl FnMut(Item) -> Result<(), CtlError>,
) -> Result<bool, CtlError> {
    let (mut left, mut empty) = (most, 0);
    loop {
        // One more than is wanted tells whether there are more.
        asked.limit = Some(left.saturating_add(1).min(ListTasks::LONGEST_PAGE));
        let items = client.own(asked.clone()).await;
        let mut items = items.map_err(|error| newer::explained(client, error))?;
        let next = items.last().and_then(NextPage::from_item);
        if next.is_some() {
            items.pop();
        }
        empty = if items.is_empty() { empty + 1 } else { 0 };
        for item in items {
            if left == 0 {
                return Ok(true);
            }
            left -= 1;
            take(item)?;
        }
        let Some(next) = next.map(|page| page.next) else {
            return Ok(false);
        };
        let goes_on = asked.before.is_none_or(|before| next < before);
        if !goes_on || empty > MOST_EMPTY {
            return Err(CtlError::Unexpected(format!(
                "the manager at {} tells the same page of tasks again",
                client.socket().display()
            )));
        }
        asked.before = Some(next);
    }
}
