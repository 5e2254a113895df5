//! Our own commands about enrolment tokens. Whoever has a token may enroll, so root and
//! the daemon's own user alone may have them issued or look at them.

use wpk_api::{Peer, TokenWish};
use wpk_wire::own::{IssueToken, ListedToken, NewToken, RevokeToken};
use wpk_wire::{Item, Refusal, Response};

use super::manage::{administrators_only, refused};
use crate::workshop::Workshop;

/// Issues a token; its text is told this once.
pub(super) async fn issue(
    workshop: &Workshop,
    peer: Peer,
    asked: IssueToken,
) -> Result<Response, Refusal> {
    administrators_only(peer, "enroll")?;
    let wish = TokenWish::from(asked);
    let issued = workshop.parts.directory.issue_token(&wish).await;
    let token = NewToken::from(issued.map_err(refused)?);
    Ok(Response::success(vec![token.to_item()]))
}

/// All tokens, oldest first, without their texts.
pub(super) async fn list(workshop: &Workshop, peer: Peer) -> Result<Response, Refusal> {
    administrators_only(peer, "enroll")?;
    let tokens = workshop.parts.directory.tokens().await.map_err(refused)?;
    let items = tokens.into_iter();
    let items = items.map(|token| ListedToken::from(token).to_item());
    Ok(Response::success(items.collect()))
}

/// Makes a token worthless.
pub(super) async fn revoke(
    workshop: &Workshop,
    peer: Peer,
    asked: RevokeToken,
) -> Result<Response, Refusal> {
    administrators_only(peer, "enroll")?;
    let revoked = workshop.parts.directory.revoke_token(&asked.token).await;
    revoked.map_err(refused)?;
    Ok(Response::success(vec![Item::default()]))
}
