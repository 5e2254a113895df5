//! The agent's end of the embedded manager's channel: dials, and dials again.
//!
//! The protocol is described with the manager's end (plugin `channel`) and in
//! `wpk_wire::channel`. A [`session`] lives as long as one connection; here is
//! decided when the next one begins.

mod backoff;
mod session;
mod tls;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::engine::Commands;
use crate::identity::Identity;
use crate::outbox::Pending;
use crate::reload::Live;

use backoff::Backoff;
use session::{Again, Session};

/// Keeps a connection to the manager until `stop`.
pub(crate) async fn run(
    live: &Live,
    mut identity: Identity,
    commands: &Commands,
    mut pending: Pending,
    stop: &CancellationToken,
) {
    let mut backoff = Backoff::default();
    while !stop.is_cancelled() {
        let now = live.now();
        let Some(settings) = &now.channel else {
            // They do not come without it (`reload`).
            return stop.cancelled().await;
        };
        backoff.set_bounds(settings.reconnect_min.0, settings.reconnect_max.0);
        identity.renew(&now.agent);
        let address = &settings.address;
        let session = Session {
            settings,
            identity: &identity,
            commands,
            stop,
        };
        let ended = session.run(&mut pending).await;
        if stop.is_cancelled() {
            return;
        }
        // A manager that lets us in and ends at once is no better than one that does not.
        backoff.lasted(ended.lasted);
        let pause = match ended.again {
            Again::AtOnce => continue,
            Again::Soon => backoff.next(rand::random()),
            Again::Late => backoff.longest(rand::random()),
        };
        let reason = &ended.reason;
        if matches!(ended.again, Again::Late) {
            tracing::error!("no connection to {address}: {reason}; dialling again in {pause:?}");
        } else {
            tracing::warn!("no connection to {address}: {reason}; dialling again in {pause:?}");
        }
        tokio::select! {
            () = sleep(pause) => {}
            () = stop.cancelled() => return,
        }
    }
}
