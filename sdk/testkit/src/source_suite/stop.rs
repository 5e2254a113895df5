//! The end: in bounded time whatever clients do, with an answer for those who
//! are being answered, and with nothing left that would keep the next start
//! from the same place.

use std::sync::Arc;
use std::time::Duration;

use wpk_api::CancellationToken;

use super::{Engine, Stand, receives};
use crate::suite::{ok, within};

/// Clients of each kind at the end.
const CLIENTS: usize = 20;
/// How long the engine takes for the request that is under way at the end; any
/// source must be that patient.
const STILL_AT_WORK: Duration = Duration::from_millis(200);

/// All stories.
pub async fn run<M>(set_up: &M)
where
    M: AsyncFn() -> Stand,
{
    let stand = set_up().await;
    stopped_before_it_began(&stand).await;
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

async fn stopped_before_it_began(stand: &Stand) {
    let source = stand.open.open().await;
    let stop = CancellationToken::new();
    stop.cancel();
    let serving = source.serve(Arc::new(Engine::default()), stop);
    let outcome = within("serving what is stopped already", serving).await;
    ok("serving what is stopped already", outcome);
}

async fn stopped_with_silent_clients(stand: &Stand) {
    let served = stand.serve().await;
    let mut clients = Vec::new();
    for n in 0..CLIENTS {
        let mut client = stand.connect(stand.endpoint()).await;
        if n % 2 == 0 {
            let begun = within("sending", client.begin(b"half a requ")).await;
            ok("beginning a request", begun);
        }
        clients.push(client);
    }
    stand.is_answered(stand.endpoint(), b"hello").await;
    served.stop().await;
    for endpoint in &stand.endpoints {
        stand.is_not_answered(*endpoint).await;
    }
}

async fn requests_under_way_are_answered(stand: &Stand) {
    let served = stand.serve().await;
    let mut client = stand.connect(stand.endpoint()).await;
    ok("sending", within("sending", client.send(b"wait")).await);
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
    let mut client = stand.connect(stand.endpoint()).await;
    ok("sending", within("sending", client.send(b"wait")).await);
    served.engine.wait_for(b"wait", 1).await;
    served.stop().await;
}

async fn dropped_instead_of_stopped(stand: &Stand) {
    let served = stand.serve().await;
    stand.is_answered(stand.endpoint(), b"hello").await;
    served.serving.abort();
    // Ended by the abort, not by an error of its own.
    let ended = within("the end of a dropped source", served.serving).await;
    assert!(ended.is_err_and(|error| error.is_cancelled()));
    for endpoint in &stand.endpoints {
        stand.is_not_answered(*endpoint).await;
    }
}
