//! How a running engine is, for those who ask: the metrics with what is so just now, and
//! whether requests can be answered. [`Control`](crate::Control) enters.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use wpk_api::{CaWish, Revision, UnixTime};

use crate::metrics::READER;
use crate::parts::PluginState;
use crate::workshop::Workshop;

/// How long the store, and the directory, are waited for.
const STORE_WITHIN: Duration = Duration::from_secs(2);

/// What is counted and measured, in the text form of OpenMetrics.
pub(crate) async fn metrics(workshop: &Workshop, plugins: &[PluginState]) -> String {
    let metrics = &workshop.metrics;
    metrics.in_hand(workshop.in_hand.count());
    metrics.place(&workshop.membership);
    let now = workshop.now();
    let oldest = workshop.in_hand.oldest_waiting();
    metrics.queue_age(oldest.map_or(0, |created| now.saturating_sub(created).max(0)));
    let (files, bytes) = workshop.cache.used();
    metrics.cache(files, bytes);
    for plugin in plugins {
        metrics.plugin(plugin.name.clone(), plugin.up);
    }
    metrics.certificates(certificates(workshop, now).await);
    let asked = Instant::now();
    let newest = newest(workshop).await.ok();
    metrics.store(newest.is_some().then(|| asked.elapsed()));
    if let Some(newest) = newest {
        observers(workshop, newest).await;
    }
    metrics.text()
}

/// The certificates by which agents and this manager know each other, and when they end,
/// in seconds from `now`.
async fn certificates(workshop: &Workshop, now: UnixTime) -> Vec<(String, UnixTime)> {
    let asked = workshop.parts.directory.authority(CaWish::default());
    // Most directories have none.
    let Ok(Ok(report)) = timeout(STORE_WITHIN, asked).await else {
        return Vec::new();
    };
    let authorities = report.authorities.into_iter().map(|authority| {
        let start: String = authority.sha256.chars().take(16).collect();
        (format!("agent CA {start}"), authority.end)
    });
    let manager = ("manager".to_owned(), report.manager_end);
    let ends = authorities.chain([manager]).filter(|(_, end)| *end > 0);
    ends.map(|(name, end)| (name, end.saturating_sub(now)))
        .collect()
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
