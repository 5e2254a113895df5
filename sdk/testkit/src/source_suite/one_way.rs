//! Sources whose requests are reports that nobody answers, such as the
//! acknowledgements of agents. What a client is told to send must be found
//! somewhere in the payload that the engine gets; the source may add to it.
//! Each connection may come from a peer of its own, of the kind the stand says.

use std::mem::discriminant;

use super::stand::{Served, Stand};
use crate::suite::{Options, within};

/// Clients of each kind.
const CLIENTS: usize = 12;

/// The suite for such a source, in place of [`super::run`].
pub async fn run(set_up: impl AsyncFn() -> Stand) {
    run_with(set_up, &Options::default()).await;
}

/// The same with options.
pub async fn run_with(set_up: impl AsyncFn() -> Stand, options: &Options) {
    let stand = set_up().await;
    let served = stand.serve().await;
    reports_arrive_once(&stand, &served).await;
    nobody_is_delayed(&stand, &served).await;
    served.stop().await;
    the_end_comes_in_bounded_time(&stand).await;
    drop(stand);
    options.no_leaks().await;
}

async fn arrives(stand: &Stand, served: &Served, report: &str) {
    let _client = stand.sent(report.as_bytes()).await;
    served.engine.wait_for(report.as_bytes(), 1).await;
}

async fn reports_arrive_once(stand: &Stand, served: &Served) {
    let mut clients = Vec::new();
    for n in 100..100 + CLIENTS {
        clients.push(stand.sent(format!("report {n}").as_bytes()).await);
    }
    for n in 100..100 + CLIENTS {
        let report = format!("report {n}");
        served.engine.wait_for(report.as_bytes(), 1).await;
    }
    let seen = served.engine.seen();
    assert_eq!(seen.len(), CLIENTS, "each report reaches the engine once");
    for (endpoint, peer, _) in seen {
        assert!(stand.endpoints.contains(&endpoint), "from {endpoint:?}");
        assert_eq!(discriminant(&peer), discriminant(&stand.peer), "{peer:?}");
    }
}

async fn nobody_is_delayed(stand: &Stand, served: &Served) {
    let mut silent = stand.silent(CLIENTS).await;
    arrives(stand, served, "while some are silent").await;
    for _ in 0..CLIENTS {
        silent.push(stand.sent(b"wait for it").await);
    }
    served.engine.wait_for(b"wait for it", CLIENTS).await;
    arrives(stand, served, "while some are handled").await;
    // They leave in the middle of everything.
    drop(silent);
    arrives(stand, served, "after some have left").await;
    served.engine.turns.add_permits(CLIENTS);
    arrives(stand, served, "after all").await;
}

async fn the_end_comes_in_bounded_time(stand: &Stand) {
    stand.is_stopped_before_it_begins().await;

    let served = stand.serve().await;
    let _silent = stand.silent(CLIENTS).await;
    let _never_done = stand.sent(b"wait for ever").await;
    served.engine.wait_for(b"wait for ever", 1).await;
    served.stop().await;
    stand.is_not_answered(stand.endpoint()).await;

    let served = stand.serve().await;
    let mut client = stand.sent(b"before the drop").await;
    served.engine.wait_for(b"before the drop", 1).await;
    served.dropped().await;
    let end = within("the end of a connection", client.receive()).await;
    assert!(
        !matches!(end, Ok(Some(_))),
        "there is nobody to say anything"
    );
    stand.is_not_answered(stand.endpoint()).await;

    let served = stand.serve().await;
    arrives(stand, &served, "after a restart").await;
    served.stop().await;
}
