//! What operators want of rollouts: written into the documents, at whichever node they
//! ask. When it returns, nothing begins any more that it stopped: the epoch was raised in
//! the same transaction.

use std::fmt;

use tracing::info;
use wpk_api::{DocumentWrite, StoreError, StoreResult, UnixTime};

use super::book::{Book, Known};
use super::log::{self, Event};
use super::look::releases;
use crate::workshop::Workshop;
use wpk_rollout::Desired;

/// How often is begun anew when somebody else writes at the same time.
const TRIES: u32 = 20;

/// Who wants it, for the history.
#[derive(Debug, Clone)]
pub(crate) struct Who(pub(crate) String);

/// What is wanted is read, checked and answered by this.
pub(crate) struct Asked<'a> {
    /// All that is stored.
    pub(crate) book: &'a Book,
    /// The same as the planner is given it; the rollouts in it are written back.
    pub(crate) desired: &'a mut Desired,
    /// Other documents to be written.
    pub(crate) writes: &'a mut Vec<DocumentWrite>,
    /// What the history is told.
    pub(crate) events: &'a mut Vec<Event>,
    /// Who asks.
    pub(crate) who: &'a str,
    /// Now, by the store's clock.
    pub(crate) now: UnixTime,
}

impl Asked<'_> {
    /// Another document is written with the rest.
    ///
    /// # Errors
    /// It cannot be put into words.
    pub(crate) fn write(&mut self, write: StoreResult<DocumentWrite>) -> Result<(), String> {
        self.writes.push(write.map_err(|error| error.to_string())?);
        Ok(())
    }

    /// The history is told.
    pub(crate) fn tell(&mut self, rollout: Option<&dyn fmt::Display>, what: &str, words: &str) {
        let event = Event::new(self.now, self.who, what, words);
        self.events.push(match rollout {
            Some(rollout) => event.of(rollout),
            None => event,
        });
    }
}

/// Changes what is stored: all of it, or nothing.
///
/// # Errors
/// What `how` refuses, or the store's words.
pub(crate) async fn change<T>(
    workshop: &Workshop,
    who: &Who,
    mut how: impl FnMut(&mut Asked<'_>) -> Result<T, String>,
) -> Result<T, String> {
    let store = workshop.store();
    let text = |error: StoreError| error.to_string();
    let mut known = Known::default();
    let settings = releases(workshop);
    for _ in 0..TRIES {
        let book = Book::read(store, &mut known).await.map_err(text)?;
        let mut desired = book.desired(&settings);
        let (mut writes, mut events) = (Vec::new(), Vec::new());
        let answer = how(&mut Asked {
            book: &book,
            desired: &mut desired,
            writes: &mut writes,
            events: &mut events,
            who: &who.0,
            now: workshop.store_time().await.map_err(text)?,
        })?;
        writes.extend(book.of_rollouts(&desired.rollouts).map_err(text)?);
        if writes.is_empty() {
            return Ok(answer);
        }
        writes.push(book.of_turn().map_err(text)?);
        let unique = workshop.rollouts.unique(workshop.membership.incarnation());
        writes.extend(log::writes(&events, &unique).map_err(text)?);
        let written = store.write_documents(writes, None).await;
        workshop.rollouts.wrote();
        match written {
            Ok(Some(_)) => {
                for event in &events {
                    let rollout = event.rollout.as_deref().unwrap_or_default();
                    if event.what == "halted" {
                        workshop.metrics.rollouts.halted();
                    }
                    info!(
                        who = event.who,
                        rollout,
                        what = event.what,
                        words = event.words,
                        "an operator changed rollouts"
                    );
                }
                workshop.rollouts.wake.notify_one();
                return Ok(answer);
            }
            Ok(None) => {}
            Err(StoreError::Fenced(why)) => {
                workshop.membership.is_shut_out(&why);
                return Err(StoreError::Fenced(why).to_string());
            }
            Err(error) => return Err(text(error)),
        }
    }
    Err("others change rollouts all the time; nothing was changed, try again".to_owned())
}
