//! Clients that are slow, silent or gone: none of them delays another.

use std::sync::Arc;

use futures_util::future::join_all;

use super::engine::Engine;
use super::stand::{Stand, receives};
use crate::suite::{ok, within};

/// Clients of each bad kind.
const BAD: usize = 40;

/// All stories.
pub async fn run(set_up: &impl AsyncFn() -> Stand) {
    let stand = set_up().await;
    let served = stand.serve().await;
    silent_clients_delay_nobody(&stand).await;
    clients_that_do_not_read_delay_nobody(&stand, &served.engine).await;
    a_long_answer_delays_nobody(&stand, &served.engine).await;
    clients_that_leave_are_forgotten(&stand, &served.engine).await;
    served.stop().await;
}

async fn silent_clients_delay_nobody(stand: &Stand) {
    let _silent = stand.silent(BAD).await;
    others_are_served(stand).await;
}

async fn clients_that_do_not_read_delay_nobody(stand: &Stand, engine: &Engine) {
    let mut not_reading = Vec::new();
    for _ in 0..BAD / 4 {
        let mut client = stand.connect(stand.endpoint()).await;
        ok("sending", within("sending", client.send(b"much")).await);
        not_reading.push(client);
    }
    engine.wait_for(b"much", BAD / 4).await;
    others_are_served(stand).await;
    // Late is not too late.
    if let Some(mut client) = not_reading.pop() {
        receives(&mut *client, stand.endpoint(), b"much").await;
    }
}

async fn a_long_answer_delays_nobody(stand: &Stand, engine: &Arc<Engine>) {
    let mut waiting = Vec::new();
    for _ in 0..BAD {
        let mut client = stand.connect(stand.endpoint()).await;
        ok("sending", within("sending", client.send(b"wait")).await);
        waiting.push(client);
    }
    engine.wait_for(b"wait", BAD).await;
    others_are_served(stand).await;
    engine.turns.add_permits(BAD);
    for mut client in waiting {
        receives(&mut *client, stand.endpoint(), b"wait").await;
    }
}

/// Clients that leave before they have sent all, while they are answered, and
/// while the answer is on its way.
async fn clients_that_leave_are_forgotten(stand: &Stand, engine: &Arc<Engine>) {
    for request in [&b"wait, I am gone"[..], b"much"] {
        let before = engine
            .seen()
            .iter()
            .filter(|seen| seen.2 == request)
            .count();
        for _ in 0..BAD {
            let mut client = stand.connect(stand.endpoint()).await;
            ok("sending", within("sending", client.send(request)).await);
        }
        engine.wait_for(request, before + BAD).await;
        others_are_served(stand).await;
    }
    engine.turns.add_permits(BAD);
    for _ in 0..BAD {
        let mut client = stand.connect(stand.endpoint()).await;
        let begun = within("sending", client.begin(b"half a requ")).await;
        ok("beginning a request", begun);
    }
    others_are_served(stand).await;
}

async fn others_are_served(stand: &Stand) {
    let others = stand
        .endpoints
        .iter()
        .map(|endpoint| stand.is_answered(*endpoint, b"meanwhile"));
    join_all(others).await;
}
