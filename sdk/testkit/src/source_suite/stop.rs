//! The end: in bounded time whatever clients do, with an answer for those who
//! are being answered, and with nothing left that would keep the next start
//! from the same place.

use std::time::Duration;

use super::stand::{Stand, receives};

/// Clients of each kind at the end.
const CLIENTS: usize = 20;
/// How long the engine takes for the request that is under way at the end; any
/// source must be that patient.
const STILL_AT_WORK: Duration = Duration::from_millis(200);

/// All stories.
pub async fn run(set_up: &impl AsyncFn() -> Stand) {
    let stand = set_up().await;
    stand.is_stopped_before_it_begins().await;
    stopped_with_silent_clients(&stand).await;
    requests_under_way_are_answered(&stand).await;
    a_request_that_never_ends_is_left(&stand).await;
    dropped_instead_of_stopped(&stand).await;
    // After all this the place is free.
    let served = stand.serve().await;
    for endpoint in &stand.endpoints {
        stand.is_answered(*endpoint, b"after a restart").await;
    }
    served.stop().await;
}

async fn stopped_with_silent_clients(stand: &Stand) {
    let served = stand.serve().await;
    let _silent = stand.silent(CLIENTS).await;
    stand.is_answered(stand.endpoint(), b"hello").await;
    served.stop().await;
    for endpoint in &stand.endpoints {
        stand.is_not_answered(*endpoint).await;
    }
}

async fn requests_under_way_are_answered(stand: &Stand) {
    let served = stand.serve().await;
    let mut client = stand.sent(b"wait").await;
    served.engine.wait_for(b"wait", 1).await;
    served.stop.cancel();
    // The engine is still at it for a while.
    tokio::time::sleep(STILL_AT_WORK).await;
    served.engine.turns.add_permits(1);
    receives(&mut *client, stand.endpoint(), b"wait").await;
    served.ended().await;
}

async fn a_request_that_never_ends_is_left(stand: &Stand) {
    let served = stand.serve().await;
    let _client = stand.sent(b"wait").await;
    served.engine.wait_for(b"wait", 1).await;
    served.stop().await;
}

async fn dropped_instead_of_stopped(stand: &Stand) {
    let served = stand.serve().await;
    stand.is_answered(stand.endpoint(), b"hello").await;
    served.dropped().await;
    for endpoint in &stand.endpoints {
        stand.is_not_answered(*endpoint).await;
    }
}
