//! What is asked about rollouts, releases and holds (PROTOCOL.md, section 15). A manager
//! that does not know the commands is told apart from one that refuses.

use wpk_api::AgentId;
use wpk_wire::own::rollout::{LONGEST_PAGE, ListMembers, MOST_AGENTS, RolloutMember};
use wpk_wire::{Item, OwnRequest, UpgradeCommand, UpgradeRequest};

use super::client::Client;
use super::newer;
use crate::error::CtlError;

/// The most agents of a rollout that are listed.
const MAX_LISTED: usize = 2_000_000;

/// Asks something that takes no time.
///
/// # Errors
/// [`CtlError::Unexpected`] from a manager without rollouts, and those of [`Client::ask`].
pub(crate) async fn ask(
    client: &mut Client,
    request: impl Into<OwnRequest>,
) -> Result<Vec<Item>, CtlError> {
    let answer = client.own(request).await;
    answer.map_err(|error| newer::explained(client, error))
}

/// Sends a request that changes something, or that takes its time; never twice.
///
/// # Errors
/// As [`ask`].
pub(crate) async fn send(
    client: &mut Client,
    request: impl Into<OwnRequest>,
) -> Result<Vec<Item>, CtlError> {
    let answer = client.send(&UpgradeRequest::Own(request.into())).await;
    answer.map_err(|error| newer::explained(client, error))
}

/// The first item of an answer, read.
///
/// # Errors
/// [`CtlError::Unexpected`] if it is none of this command.
pub(crate) fn first<T>(
    client: &Client,
    command: UpgradeCommand,
    items: &[Item],
    read: fn(&Item) -> Option<T>,
) -> Result<T, CtlError> {
    items.first().and_then(read).ok_or_else(|| {
        CtlError::Unexpected(format!(
            "the answer of the manager at {} to `{command}` is not understood",
            client.socket().display()
        ))
    })
}

/// The agents of a rollout, ascending by id, as the request says.
///
/// # Errors
/// As [`ask`].
pub(crate) async fn members(
    client: &mut Client,
    mut asked: ListMembers,
) -> Result<Vec<RolloutMember>, CtlError> {
    asked.limit = Some(LONGEST_PAGE);
    let mut found: Vec<RolloutMember> = Vec::new();
    loop {
        let items = ask(client, asked.clone()).await?;
        let page: Vec<_> = items.iter().filter_map(RolloutMember::from_item).collect();
        let Some(last) = page.last().map(|member| member.agent) else {
            return Ok(found);
        };
        // A page that does not go on would be asked for ever.
        if asked.after.is_some_and(|after| last <= after) || found.len() > MAX_LISTED {
            return Err(CtlError::Unexpected(format!(
                "the manager lists agents of rollout {} again that it listed before; stopped",
                asked.name
            )));
        }
        found.extend(page);
        asked.after = Some(last);
    }
}

/// As many agents as one request may name, and at least one such part.
pub(crate) fn parts(agents: &[AgentId]) -> impl Iterator<Item = &[AgentId]> {
    agents.chunks(MOST_AGENTS)
}
