//! Our own command about the CA that certifies agents. A step of its replacement may cut
//! agents off, so root and the daemon's own user alone may take one, or look.

use wpk_api::Peer;
use wpk_wire::own::{AskCa, CaState};
use wpk_wire::{Refusal, Response};

use super::manage::{administrators_only, refused};
use crate::workshop::Workshop;

/// Takes a step, and tells how things stand.
pub(super) async fn answer(
    workshop: &Workshop,
    peer: Peer,
    asked: AskCa,
) -> Result<Response, Refusal> {
    administrators_only(peer, "change the CA of")?;
    let report = workshop.parts.directory.authority(asked.into()).await;
    let state = CaState(report.map_err(refused)?);
    Ok(Response::success(vec![state.to_item()]))
}
