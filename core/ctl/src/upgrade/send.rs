//! Asks for the upgrade: one request for up to 50,000 agents, more of them one
//! after the other, and what the manager answered for each agent.

use wpk_api::AgentId;

use crate::error::CtlError;
use crate::manager::ask::Ask;
use crate::manager::client::Client;
use crate::watch::board::Board;

/// Agents per request: half a MiB, far below the manager's limit of a frame.
pub(crate) const CHUNK: usize = 50_000;

/// Sends the requests and enters each answer into the board.
///
/// # Errors
/// If the first request gets no answer or is refused as a whole. If a later
/// one does, its agents are entered as refused: the tasks of those before exist
/// and are to be told of.
pub(crate) async fn send(
    client: &mut Client,
    ask: &Ask,
    agents: &[AgentId],
    board: &mut Board,
) -> Result<(), CtlError> {
    for (index, chunk) in agents.chunks(CHUNK).enumerate() {
        match client.send(&ask.request(chunk)).await {
            Ok(items) => items.into_iter().for_each(|item| board.answered(item)),
            Err(error) if index == 0 => return Err(error),
            Err(error) => {
                for agent in agents.iter().skip(index * CHUNK) {
                    board.refused(*agent, None, error.to_string());
                }
                return Ok(());
            }
        }
    }
    Ok(())
}
