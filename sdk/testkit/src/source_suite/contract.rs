//! Requests and answers: unchanged, in order, from the right endpoint and peer,
//! of any size that is allowed.

use std::sync::Arc;

use futures_util::future::join_all;

use super::engine::Engine;
use super::stand::{Stand, exchange, receives};
use crate::suite::{ok, pattern, within};

/// Clients at a time.
const CLIENTS: usize = 64;
/// Requests on one connection.
const REQUESTS: usize = 50;
/// Where the stand does not say what the longest request is.
const LONG: usize = 60_000;

/// All stories.
pub async fn run(set_up: &impl AsyncFn() -> Stand) {
    let stand = set_up().await;
    let served = stand.serve().await;
    requests_pass_unchanged(&stand, &served.engine).await;
    many_clients_are_served(&stand).await;
    several_requests_on_one_connection(&stand).await;
    no_answer_is_an_end(&stand).await;
    sizes_that_are_not_allowed(&stand, &served.engine).await;
    stand.is_answered(stand.endpoint(), b"still there").await;
    served.stop().await;
}

async fn requests_pass_unchanged(stand: &Stand, engine: &Arc<Engine>) {
    let every_byte: Vec<u8> = (0..=255).collect();
    let longest = pattern(stand.max_request.unwrap_or(LONG));
    let requests: [&[u8]; 6] = [
        b"x",
        br#"{"command":"upgrade_result","parameters":{"agents":[1]}}"#,
        &every_byte,
        &longest,
        b"much",
        b"empty",
    ];
    for endpoint in &stand.endpoints {
        for request in requests {
            stand.is_answered(*endpoint, request).await;
        }
    }
    let mut expected = Vec::new();
    for endpoint in &stand.endpoints {
        expected.extend(requests.map(|request| (*endpoint, stand.peer, request)));
    }
    let seen = engine.seen();
    assert_eq!(seen.len(), expected.len(), "each request reaches it once");
    for ((endpoint, peer, payload), expected) in seen.iter().zip(expected) {
        assert_eq!((*endpoint, *peer), (expected.0, expected.1));
        assert!(payload == expected.2, "the engine got other bytes");
    }
}

async fn many_clients_are_served(stand: &Stand) {
    let clients = (0..CLIENTS).map(|n| async move {
        let endpoint = stand.endpoints.get(n % stand.endpoints.len().max(1));
        let endpoint = endpoint.copied().unwrap_or_else(|| stand.endpoint());
        let request = format!("client {n}");
        stand.is_answered(endpoint, request.as_bytes()).await;
    });
    join_all(clients).await;
}

async fn several_requests_on_one_connection(stand: &Stand) {
    if stand.one_request {
        return;
    }
    let endpoint = stand.endpoint();
    let mut client = stand.connect(endpoint).await;
    for n in 0..REQUESTS {
        exchange(&mut *client, endpoint, format!("request {n}").as_bytes()).await;
    }
    // All at once, without waiting for answers: they come in order.
    for n in 0..REQUESTS {
        let request = format!("at once {n}");
        ok(
            "sending",
            within("sending", client.send(request.as_bytes())).await,
        );
    }
    for n in 0..REQUESTS {
        receives(&mut *client, endpoint, format!("at once {n}").as_bytes()).await;
    }
}

async fn no_answer_is_an_end(stand: &Stand) {
    let mut client = stand.connect(stand.endpoint()).await;
    ok("sending", within("sending", client.send(b"nothing")).await);
    let answer = within("the end of a connection", client.receive()).await;
    let answer = ok("the end of a connection", answer);
    assert!(answer.is_none(), "the engine has no answer, so: close");
}

/// Zero bytes may be refused or handed on; more than the most must be refused,
/// before the engine sees any of it.
async fn sizes_that_are_not_allowed(stand: &Stand, engine: &Engine) {
    let mut client = stand.connect(stand.endpoint()).await;
    if within("sending", client.send(b"")).await.is_ok() {
        let answer = within("an end or an answer", client.receive()).await;
        drop(ok("after an empty request", answer));
    }
    stand
        .is_answered(stand.endpoint(), b"after an empty one")
        .await;
    let Some(most) = stand.max_request else {
        return;
    };
    let before = engine.seen().len();
    let mut client = stand.connect(stand.endpoint()).await;
    // The source may close before everything is sent.
    let _ = within("sending", client.send(&pattern(most + 1))).await;
    let answer = within("the end of a connection", client.receive()).await;
    assert!(
        !matches!(answer, Ok(Some(_))),
        "{} bytes were answered",
        most + 1
    );
    assert_eq!(engine.seen().len(), before, "the engine got too much");
    stand
        .is_answered(stand.endpoint(), b"after a long one")
        .await;
}
