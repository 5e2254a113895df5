//! Which daemon carries plans out: one at a time. It is named in a document, whose version
//! guards all that it writes. Another daemon takes its place once its lease in the store
//! ran out; what it still writes then is refused.

use tracing::info;
use wpk_api::{Guard, StoreResult};

use super::book::{Book, Planner};
use crate::workshop::Workshop;

/// Whether this daemon carries plans out, taking the place if it is free. `None`: another
/// one does.
pub(super) async fn hold(workshop: &Workshop, book: &Book) -> StoreResult<Option<Guard>> {
    if let Some(planner) = &book.planner {
        if is_ours(workshop, planner) {
            return Ok(book.guard());
        }
        if workshop.membership.is_shared() && lives(workshop, planner).await? {
            return Ok(None);
        }
    }
    let planner = Planner {
        node: workshop.node().to_owned(),
        incarnation: workshop.membership.incarnation(),
        since: workshop.store_time().await?,
    };
    let write = book.of_planner(&planner)?;
    let key = write.key.clone();
    let written = workshop.store().write_documents(vec![write], None).await;
    workshop.rollouts.wrote();
    let version = written?.and_then(|versions| versions.first().copied());
    if version.is_some() {
        info!("this node carries rollouts out");
    }
    Ok(version.map(|version| Guard { key, version }))
}

pub(super) fn is_ours(workshop: &Workshop, planner: &Planner) -> bool {
    planner.node == workshop.node() && planner.incarnation == workshop.membership.incarnation()
}

async fn lives(workshop: &Workshop, planner: &Planner) -> StoreResult<bool> {
    let nodes = workshop.store().nodes().await?;
    Ok(nodes.iter().any(|state| {
        state.node == planner.node && state.held.incarnation == planner.incarnation && state.lives
    }))
}
