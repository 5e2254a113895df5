//! The store's changes on their way to one observer.

use std::time::Duration;

use tracing::{debug, info, warn};
use wpk_api::words::{LONGEST_CAUSE, clean};
use wpk_api::{Change, Revision};

use super::asked::asked;
use crate::parts::NamedObserver;
use crate::workshop::Workshop;

/// Changes told at a time.
const BATCH: usize = 500;
/// The first and the longest pause after a failure.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// How far one observer has come.
pub(super) struct Feed<'n> {
    named: &'n NamedObserver,
    /// Its place; `None` until the store has told.
    place: Option<Revision>,
    /// Failures one after the other.
    failures: u32,
}

impl<'n> Feed<'n> {
    pub(super) fn of(named: &'n NamedObserver) -> Self {
        Self {
            named,
            place: None,
            failures: 0,
        }
    }

    /// Tells what is new. `None`: all of it; otherwise how long to wait before the
    /// next try.
    pub(super) async fn carry(&mut self, workshop: &Workshop) -> Option<Duration> {
        let observer = &self.named.name;
        let error = match self.tell(workshop).await {
            Ok(()) if self.failures == 0 => return None,
            Ok(()) => {
                info!(
                    observer,
                    "the observer takes changes again, and has all of them"
                );
                self.failures = 0;
                return None;
            }
            Err(error) => clean(&error, LONGEST_CAUSE),
        };
        let pause = PAUSES.0.saturating_mul(1 << self.failures.min(6));
        let pause = pause.min(PAUSES.1);
        // Once for each length of the pause, then every few minutes.
        if self.failures < 6 || self.failures.is_multiple_of(5) {
            let behind = self.behind(workshop).await;
            warn!(observer, behind, %error, "an observer does not take changes; its list of tasks is behind, tasks are not");
        }
        self.failures = self.failures.saturating_add(1);
        Some(pause)
    }

    /// Tells all that is new, trying again until it is taken.
    pub(super) async fn finish(&mut self, workshop: &Workshop) {
        while let Some(pause) = self.carry(workshop).await {
            tokio::time::sleep(pause).await;
        }
    }

    async fn tell(&mut self, workshop: &Workshop) -> Result<(), String> {
        let (store, name) = (workshop.store(), &self.named.name);
        let text = |error: wpk_api::StoreError| error.to_string();
        let mut place = match self.place {
            Some(place) => place,
            None => {
                let place = store.place(name).await.map_err(text)?;
                // From now on the store keeps what it has not heard of.
                store.set_place(name, place).await.map_err(text)?;
                place
            }
        };
        self.place = Some(place);
        loop {
            let changes = store.changes(place, BATCH).await.map_err(text)?;
            let Some(last) = changes.last() else {
                return Ok(());
            };
            place = last.revision;
            let told = changes.len();
            self.observe(changes).await?;
            store.set_place(name, place).await.map_err(text)?;
            self.place = Some(place);
            debug!(
                observer = name,
                told,
                place = place.0,
                "an observer was told"
            );
        }
    }

    async fn observe(&self, changes: Vec<Change>) -> Result<(), String> {
        let told = asked(&self.named.observer, |observer| async move {
            observer.observe(&changes).await
        });
        told.await.map_err(|error| error.to_string())
    }

    /// How many changes the observer has not heard of, if that can be told.
    async fn behind(&self, workshop: &Workshop) -> Option<u64> {
        let newest = workshop.store().revision().await.ok()?;
        Some(newest.0.saturating_sub(self.place?.0))
    }
}
