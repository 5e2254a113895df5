//! What happened to rollouts, for `rollout history`: one document for each event, written
//! in the transaction that makes it so.

use serde::{Deserialize, Serialize};
use tracing::{info, warn};
use wpk_api::words::{LONGEST_CAUSE, clean};
use wpk_api::{DocumentWrite, NewDocument, StoreError, StoreResult, TaskStore, UnixTime};

/// With what their keys begin; the time in seconds, and a number, follow.
const EVENTS: &str = "rollout-log/";
/// Events that are kept; older ones are forgotten.
const MOST: usize = 5_000;
/// Events read at a time, and the most that are forgotten at a time.
const PAGE: usize = 500;

/// Who does what no operator did.
pub(crate) const PLANNER: &str = "planner";

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Event {
    /// When.
    pub(crate) at: UnixTime,
    /// The rollout, `NAME#GENERATION`; `None` where it is about the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rollout: Option<String>,
    /// Who did it: `uid 0`, or the planner.
    pub(crate) who: String,
    /// What, in one word: `applied`, `opened`, `passed`, `halted`, ...
    pub(crate) what: String,
    /// The rest.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) words: String,
}

impl Event {
    pub(crate) fn new(at: UnixTime, who: &str, what: &str, words: &str) -> Self {
        Self {
            at,
            rollout: None,
            who: who.to_owned(),
            what: what.to_owned(),
            words: clean(words, LONGEST_CAUSE),
        }
    }

    /// Tells the daemon's log what the planner did.
    pub(super) fn log(&self) {
        let rollout = self.rollout.as_deref().unwrap_or_default();
        match self.what.as_str() {
            "halted" => warn!(
                rollout,
                reason = self.words,
                "a rollout was halted; nothing more of it begins"
            ),
            what => info!(rollout, what, words = self.words, "a rollout goes on"),
        }
    }

    pub(crate) fn of(mut self, rollout: impl ToString) -> Self {
        self.rollout = Some(rollout.to_string());
        self
    }
}

/// The writing of events. Their keys are new: `unique` differs for every writing at any
/// node.
pub(crate) fn writes(events: &[Event], unique: &str) -> StoreResult<Vec<DocumentWrite>> {
    let write = |(number, event): (usize, &Event)| {
        let text = serde_json::to_string(event).map_err(|error| {
            StoreError::Unavailable(format!("an event cannot be written: {error}"))
        })?;
        Ok(DocumentWrite {
            key: format!("{EVENTS}{:012}/{unique}/{number:03}", event.at.max(0)),
            expected: None,
            becomes: Some(NewDocument {
                epoch: 0,
                keeps_tasks: false,
                text,
            }),
        })
    };
    events.iter().enumerate().map(write).collect()
}

/// All events, each with its number: later ones have higher numbers. One that cannot be read is left out.
pub(crate) async fn read(store: &dyn TaskStore) -> StoreResult<Vec<(u64, Event)>> {
    let mut events = Vec::new();
    let mut after = String::new();
    loop {
        let page = store.documents(EVENTS, &after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(events);
        };
        after.clone_from(&last.key);
        let read = page
            .iter()
            .filter_map(|one| Some((one.version, serde_json::from_str(&one.text).ok()?)));
        events.extend(read);
    }
}

/// Forgets the oldest where there are too many.
pub(crate) async fn forget(store: &dyn TaskStore) -> StoreResult<()> {
    let mut keys = Vec::new();
    let mut after = String::new();
    loop {
        let page = store.documents(EVENTS, &after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after.clone_from(&last.key);
        keys.extend(page.into_iter().map(|one| (one.key, one.version)));
    }
    let surplus = keys.len().saturating_sub(MOST).min(PAGE);
    let writes: Vec<DocumentWrite> = (keys.into_iter().take(surplus))
        .map(|(key, version)| DocumentWrite {
            key,
            expected: Some(version),
            becomes: None,
        })
        .collect();
    if !writes.is_empty() {
        store.write_documents(writes, None).await?;
    }
    Ok(())
}
