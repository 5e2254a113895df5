//! The start: this daemon enters the store under its node's name, or learns who holds it.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};
use wpk_api::words::clean;
use wpk_api::{CancellationToken, DirectoryError, Entered, Entrance, Entry, Held, StoreError};

use super::lease::leave;
use super::process;
use crate::workshop::Workshop;

/// How much longer than its lease a name that is held is waited for.
const MARGIN: Duration = Duration::from_millis(200);
/// The longest that is waited for a name.
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// The longest name of a host that is repeated, in bytes.
const LONGEST_NAME: usize = 255;

/// Why a daemon cannot enter.
#[derive(Debug)]
pub(crate) enum EnterError {
    /// The store did not answer.
    Store(StoreError),
    /// The directory cannot begin with it.
    Directory(DirectoryError),
    /// Another daemon has the name, and lives.
    Held(String),
    /// The daemon is to stop.
    Stopped,
}

/// Enters. A name whose holder is known to have ended is taken at once; one whose
/// holder may have ended is waited for until its lease has run out.
///
/// # Errors
/// [`EnterError::Held`] where the holder renews its lease meanwhile.
pub(crate) async fn enter(workshop: &Workshop, stop: &CancellationToken) -> Result<(), EnterError> {
    let mut entry = Entry {
        node: workshop.node().to_owned(),
        holder: process::this(),
        replaces: None,
    };
    let mut before: Option<Held> = None;
    loop {
        let asked = Instant::now();
        let entrance = workshop.store().enter(&entry).await;
        let held = match entrance.map_err(EnterError::Store)? {
            Entrance::Entered(entered) => {
                entered_as(workshop, entered, asked);
                alone_with_its_agents(workshop).await?;
                return tell_the_directory(workshop, stop).await;
            }
            Entrance::Held(held) => held,
        };
        if entry.replaces != Some(held.incarnation) && process::has_ended(&held.holder) {
            entry.replaces = Some(held.incarnation);
            continue;
        }
        if before.is_some() {
            return Err(EnterError::Held(told(workshop.node(), &held)));
        }
        let wait = held.left.saturating_add(MARGIN).min(LONGEST_WAIT);
        warn!(
            seconds = wait.as_secs(),
            "{}; waiting whether it lives",
            told(workshop.node(), &held)
        );
        before = Some(held);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => return Err(EnterError::Stopped),
        }
    }
}

/// A manager whose directory numbers its agents cannot share a store: agent 1 would be one
/// agent here and another there.
async fn alone_with_its_agents(workshop: &Workshop) -> Result<(), EnterError> {
    if !workshop.membership.is_shared() || !workshop.parts.directory.numbers_agents() {
        return Ok(());
    }
    let nodes = workshop.store().nodes().await.map_err(EnterError::Store)?;
    let mut others = nodes.iter().filter(|state| state.node != workshop.node());
    match others.find(|state| state.lives) {
        None => Ok(()),
        Some(other) => {
            leave(workshop).await;
            let other = clean(&other.node, LONGEST_NAME);
            Err(EnterError::Held(format!(
                "node {other} has its tasks in the same task store, and this manager numbers its \
                 agents itself: agent 1 would be one agent here and another there; give each \
                 manager a store of its own (for `postgres` another `store.schema`)"
            )))
        }
    }
}

/// A directory that keeps its agents in the store may have much to read: the lease lives
/// meanwhile.
async fn tell_the_directory(
    workshop: &Workshop,
    stop: &CancellationToken,
) -> Result<(), EnterError> {
    let parts = &workshop.parts;
    let renewing = async {
        let Some(lease) = workshop.membership.lease() else {
            return std::future::pending().await;
        };
        loop {
            tokio::time::sleep(lease / 3).await;
            let asked = Instant::now();
            match workshop.store().renew().await {
                Ok(()) => workshop.membership.renewed_at(asked),
                Err(error @ StoreError::Fenced(_)) => return error,
                Err(error) => warn!(%error, "the lease in the task store cannot be renewed"),
            }
        }
    };
    let told = tokio::select! {
        told = parts.directory.entered(parts.store.clone()) => {
            told.map_err(EnterError::Directory)
        }
        error = renewing => Err(EnterError::Store(error)),
        () = stop.cancelled() => Err(EnterError::Stopped),
    };
    if told.is_err() {
        leave(workshop).await;
    }
    told
}

fn entered_as(workshop: &Workshop, entered: Entered, asked: Instant) {
    let membership = &workshop.membership;
    if let Some(lease) = entered.lease {
        info!(
            node = workshop.node(),
            incarnation = entered.incarnation,
            ?lease,
            "entered the task store"
        );
    }
    membership.entered(entered, asked);
}

/// Who holds the name, and what to do.
fn told(node: &str, held: &Held) -> String {
    let host = clean(&held.holder.host, LONGEST_NAME);
    format!(
        "node {node} is held in the task store by process {} on host {host}, heard of {} s ago; \
         two daemons must not have one name: stop that one, or choose another `[node] name`",
        held.holder.process,
        held.age.as_secs()
    )
}
