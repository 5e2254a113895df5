//! Sends the agents in chunks, as the 4.x API does. Where the task manager is
//! not there for all of them (code 4), the rest of a chunk is sent again in
//! halves; agents that have their task are not sent twice.

use std::collections::HashSet;

use wpk_api::AgentId;
use wpk_wire::UpgradeCode;

use super::say::Say;
use crate::error::CtlError;
use crate::manager::ask::Ask;
use crate::manager::client::Client;
use crate::watch::board::Board;

/// Agents per request.
const CHUNK: usize = 500;

/// Sends the requests and enters each answer into the board.
///
/// # Errors
/// A request that got no answer, was refused as a whole, or met an agent whose
/// target is above the manager's version (code 13).
pub(super) async fn send(
    client: &mut Client,
    ask: &Ask,
    board: &mut Board,
    say: &Say,
) -> Result<(), CtlError> {
    let mut left = board.agents();
    let mut size = CHUNK;
    while !left.is_empty() {
        let rest = left.split_off(size.min(left.len()));
        let chunk = std::mem::replace(&mut left, rest);
        let busy = chunk_sent(client, ask, &chunk, board).await?;
        say.debug(format!(
            "sent `{}` for {} agents, to be sent again: {}",
            ask.command(),
            chunk.len(),
            busy.len()
        ));
        match busy.as_slice() {
            [] => {}
            // It is the only one of its chunk, or the only one left of it.
            [agent] if size == 1 => {
                if board.with_task().is_empty() {
                    return Err(refused(ask, UpgradeCode::TaskManagerCommunication, None));
                }
                let code = UpgradeCode::TaskManagerCommunication;
                board.refused(*agent, Some(code.into()), code.text().to_owned());
            }
            _ => {
                size = (size.min(chunk.len()) / 2).max(1);
                left.splice(..0, busy);
            }
        }
    }
    Ok(())
}

/// Sends one chunk; gives back those that the task manager was not there for.
async fn chunk_sent(
    client: &mut Client,
    ask: &Ask,
    chunk: &[AgentId],
    board: &mut Board,
) -> Result<Vec<AgentId>, CtlError> {
    const BUSY: UpgradeCode = UpgradeCode::TaskManagerCommunication;
    let items = match client.send(&ask.request(chunk)).await {
        Ok(items) => items,
        Err(CtlError::Refused { code, .. }) if code == BUSY => return Ok(chunk.to_vec()),
        Err(error) => return Err(error),
    };
    let high = UpgradeCode::AboveManager;
    let above = items.iter().find(|item| item.error == high);
    let above = above.map(|item| refused(ask, high, Some(item.message.to_string())));
    let some_busy = items.iter().any(|item| item.error == BUSY);
    let mut answered = HashSet::new();
    for item in items.into_iter().filter(|item| item.error != BUSY) {
        answered.extend(item.agent_id());
        board.answered(item);
    }
    if let Some(error) = above {
        return Err(error);
    }
    let unanswered = chunk.iter().filter(|agent| !answered.contains(agent));
    Ok(unanswered.filter(|_| some_busy).copied().collect())
}

fn refused(ask: &Ask, code: UpgradeCode, message: Option<String>) -> CtlError {
    CtlError::Refused {
        command: ask.command(),
        code: code.into(),
        message: message.unwrap_or_else(|| code.text().to_owned()),
    }
}
