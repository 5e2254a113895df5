//! How a running engine is, for those who ask: the metrics with what is so just now, and
//! whether requests can be answered. [`Control`](crate::Control) enters.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use wpk_api::Revision;

use crate::metrics::READER;
use crate::workshop::Workshop;

/// How long the store is waited for.
const STORE_WITHIN: Duration = Duration::from_secs(2);

/// What is counted and measured, in the text form of OpenMetrics.
pub(crate) async fn metrics(workshop: &Workshop) -> String {
    let metrics = &workshop.metrics;
    metrics.in_hand(workshop.in_hand.count());
    metrics.place(&workshop.membership);
    let asked = Instant::now();
    let newest = newest(workshop).await.ok();
    metrics.store(newest.is_some().then(|| asked.elapsed()));
    if let Some(newest) = newest {
        observers(workshop, newest).await;
    }
    metrics.text()
}

async fn observers(workshop: &Workshop, newest: Revision) {
    let observers = workshop.parts.observers.iter();
    for named in observers.filter(|named| named.name != READER) {
        let place = timeout(STORE_WITHIN, workshop.store().place(&named.name));
        if let Ok(Ok(place)) = place.await {
            let behind = newest.0.saturating_sub(place.0);
            workshop.metrics.behind(&named.name, behind);
        }
    }
}

/// # Errors
/// Why requests cannot be answered now.
pub(crate) async fn ready(workshop: &Workshop) -> Result<(), String> {
    if !*workshop.begun.borrow() {
        return Err("the tasks of the last run are being read".to_owned());
    }
    if let Some(why) = workshop.membership.shut_out() {
        return Err(format!("the task store shut this daemon out: {why}"));
    }
    newest(workshop).await.map(drop)
}

async fn newest(workshop: &Workshop) -> Result<Revision, String> {
    match timeout(STORE_WITHIN, workshop.store().revision()).await {
        Ok(newest) => newest.map_err(|error| error.to_string()),
        Err(_) => Err("the task store does not answer".to_owned()),
    }
}
