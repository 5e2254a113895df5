//! The last upgrade task of agents: the manager's `upgrade_result`.

use wpk_api::AgentId;
use wpk_wire::{Item, UpgradeRequest};

use super::client::Client;
use crate::error::CtlError;

/// Agents per request: an answer stays within a few MiB.
pub(crate) const CHUNK: usize = 10_000;

/// The last task of each of these agents, at most [`CHUNK`] of them.
///
/// # Errors
/// Those of [`Client::ask`].
pub(crate) async fn of(client: &mut Client, agents: &[AgentId]) -> Result<Vec<Item>, CtlError> {
    let agents = agents.iter().copied().map(Into::into).collect();
    let request = UpgradeRequest::Result { agents };
    client.ask(&request).await
}
