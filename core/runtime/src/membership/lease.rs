//! The lease: renewed three times as often as it would run out. With each renewal comes a
//! look at the other nodes, and at what those that died left.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tracing::{error, info, warn};
use wpk_api::{CancellationToken, StoreError};

use super::moves;
use super::place::Others;
use crate::rollout::ROLLOUTS;
use crate::workshop::Workshop;

/// How often a store that is not shared is looked through for tasks of other names.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// How long the store is waited for when the daemon ends.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);

/// Runs until `stop`, or until this daemon is shut out.
pub(crate) async fn keep(workshop: Arc<Workshop>, stop: CancellationToken) {
    let membership = &workshop.membership;
    let lease = membership.lease();
    let every = lease.map_or(LOOK_EVERY, |lease| {
        (lease / 3).max(Duration::from_millis(50))
    });
    let mut looks = interval_at(Instant::now(), every);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut away = false;
    let mut keeping = std::pin::pin!(async {
        loop {
            looks.tick().await;
            if lease.is_some() && !renew(&workshop, &mut away).await {
                continue;
            }
            moves::take_over(&workshop).await;
            look_for_rollouts(&workshop).await;
        }
    });
    tokio::select! {
        () = &mut keeping => {}
        () = stop.cancelled() => {}
        () = membership.until_shut_out() => {}
    }
}

/// Whether files may be sent ahead of their time: only tasks of rollouts wait for one.
async fn look_for_rollouts(workshop: &Workshop) {
    let any = workshop.store().documents(ROLLOUTS, "", 1).await;
    // A store that keeps no documents has no rollouts.
    workshop.staged.want(any.is_ok_and(|any| !any.is_empty()));
}

/// `false` where the store did not answer.
async fn renew(workshop: &Workshop, away: &mut bool) -> bool {
    let membership = &workshop.membership;
    let asked = Instant::now();
    match workshop.store().renew().await {
        Ok(()) => membership.renewed_at(asked),
        Err(StoreError::Fenced(why)) => {
            membership.is_shut_out(&why);
            return false;
        }
        Err(error) => {
            if !std::mem::replace(away, true) {
                error!(%error, "the lease in the task store cannot be renewed; trying again");
            }
            return false;
        }
    }
    match workshop.store().nodes().await {
        Ok(nodes) => {
            let mut others = Others::default();
            for state in nodes
                .into_iter()
                .filter(|state| state.node != workshop.node())
            {
                match state.lives {
                    true => others.living.insert(state.node),
                    false => others.dead.insert(state.node),
                };
            }
            membership.look(others);
        }
        Err(error) => warn!(%error, "the other nodes of the task store cannot be read"),
    }
    if std::mem::take(away) {
        info!("the lease in the task store is renewed again");
    }
    true
}

/// The lease ends now, so that others need not wait for it.
pub(crate) async fn leave(workshop: &Workshop) {
    if workshop.membership.shut_out().is_some() || !workshop.membership.is_shared() {
        return;
    }
    match timeout(LEAVE_WITHIN, workshop.store().leave()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!(%error, "the lease in the task store runs out by itself"),
        Err(_) => warn!("the task store does not answer; the lease in it runs out by itself"),
    }
}
