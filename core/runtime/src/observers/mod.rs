//! Those who are told of every change of a task ([`wpk_api::TaskObserver`]).
//!
//! Each has a loop of its own: `feed.rs` carries the store's changes to it, from the
//! place that the store keeps for it; `compare.rs` looks at what stands where it writes,
//! for observers that share that place with others. One that is slow, locked out or
//! broken is behind, which is logged; nothing waits for it but the daemon's stop, for
//! a moment.

mod asked;
mod compare;
mod feed;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tracing::{debug, warn};
use wpk_api::CancellationToken;

use self::asked::asked;
use self::feed::Feed;
use crate::metrics;
use crate::parts::NamedObserver;
use crate::workshop::Workshop;

/// How often new changes are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often what stands at an observer is compared with the store.
const COMPARE_EVERY: Duration = Duration::from_secs(60);
/// How long the start waits for tasks that others made meanwhile. Where an observer
/// cannot tell by then they come later.
const IMPORT_GRACE: Duration = Duration::from_secs(2);
/// How long the stop waits until the observers have heard of everything.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// Takes over, before any request is answered, what others did while the daemon was
/// away: their tasks are history like any other, and later ids are above theirs. All are
/// asked at the same time: one that hangs takes no time from the others.
pub(crate) async fn catch_up(workshop: &Workshop) {
    let asked = workshop.parts.observers.iter().map(|named| async move {
        let compared = timeout(IMPORT_GRACE, compare::compare(workshop, named)).await;
        (&named.name, compared)
    });
    for (name, compared) in join_all(asked).await {
        match compared {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                warn!(observer = name, %error, "what others did meanwhile cannot be seen yet; trying again");
            }
            Err(_) => {
                warn!(
                    observer = name,
                    "what others did meanwhile cannot be seen yet; going on without it"
                );
            }
        }
    }
}

/// Tells them until `stop`, and then what is left.
pub(crate) async fn run(workshop: Arc<Workshop>, stop: CancellationToken) {
    let names = workshop.parts.observers.iter();
    let names: Vec<String> = names.map(|named| named.name.clone()).collect();
    if let Err(error) = workshop.store().keep_readers(&names).await {
        warn!(%error, "observers that are no longer there cannot be forgotten; the next start tries again");
    }
    if names.iter().any(|name| name == metrics::READER)
        && let Err(error) = metrics::count_from_now(workshop.store()).await
    {
        warn!(%error, "tasks of the past are counted as if they ended now");
    }
    let mut loops = JoinSet::new();
    for named in workshop.parts.observers.clone() {
        let (workshop, stop) = (workshop.clone(), stop.clone());
        loops.spawn(async move { tell(&workshop, &named, &stop).await });
    }
    while loops.join_next().await.is_some() {}
}

/// One observer, until `stop`.
async fn tell(workshop: &Workshop, named: &NamedObserver, stop: &CancellationToken) {
    let mut feed = Feed::of(named);
    let mut away = workshop.was_away.subscribe();
    let telling = async {
        let mut compared = None;
        while !stop.is_cancelled() {
            // Not cut off by a stop: what was heard, but not noted as heard, would come again.
            let pause = feed.carry(workshop).await;
            let due = |at: &Instant| at.elapsed() >= COMPARE_EVERY;
            if pause.is_none() && compared.as_ref().is_none_or(due) {
                let comparing = compare_and_correct(workshop, named);
                stop.run_until_cancelled(comparing).await;
                compared = Some(Instant::now());
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(pause.unwrap_or(LOOK_EVERY)) => {}
                // The workshop, which tells, is there for as long as this.
                _ = away.changed() => {
                    debug!(observer = named.name, "looking for what others did meanwhile");
                    compared = None;
                }
            }
        }
        // What the last deliveries came to. The place in the feed is kept for the rest.
        feed.finish(workshop).await;
    };
    let grace = async {
        stop.cancelled().await;
        tokio::time::sleep(STOP_GRACE).await;
    };
    tokio::select! {
        () = telling => {}
        () = grace => warn!(
            observer = named.name,
            "stopping before the observer has heard of everything; it hears of it after the next start"
        ),
    }
}

async fn compare_and_correct(workshop: &Workshop, named: &NamedObserver) {
    let name = &named.name;
    match compare::compare(workshop, named).await {
        Ok(differing) if differing.is_empty() => {}
        Ok(differing) => {
            let tasks = differing.len();
            match asked(&named.observer, |observer| async move {
                observer.observe(&differing).await
            })
            .await
            {
                Ok(()) => debug!(observer = name, tasks, "what others changed is put right"),
                Err(error) => {
                    warn!(observer = name, tasks, %error, "what others changed cannot be put right now; trying again");
                }
            }
        }
        Err(error) => {
            warn!(observer = name, %error, "what stands at the observer cannot be compared now; trying again");
        }
    }
}
