//! Which versions there are: what the providers list for the kinds of agents that the
//! directory knows. Only for those who type one: nothing is decided by it. `intake` enters.
//!
//! One look at a time, which goes on when whoever asked has gone: a command line waits for a
//! second, and a repository far away may need more. Its answer serves for a while. Whoever
//! is slow or fails takes nothing from the others: `kinds` and the providers have a time limit
//! each, and what is missing is told.

mod kinds;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};
use tracing::debug;
use wpk_api::{
    AgentDirectory, DirectoryError, Listed, ProviderError, Version, WantedRelease, WpkProvider,
};
use wpk_wire::own::rollout::Words;
use wpk_wire::own::{AskVersions, Incomplete};

use kinds::Kinds;

/// How long providers have at most, all at the same time; `kinds` was looked for before.
const WITHIN: Duration = Duration::from_secs(5);
/// How long its answer serves.
const FRESH: Duration = Duration::from_secs(30);
/// How long one serves that lacks something.
const FRESH_IF_INCOMPLETE: Duration = Duration::from_secs(5);
/// Reasons that are read of one provider.
const REASONS: usize = 64;

/// What there is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Each once, the newest first, at most [`AskVersions::MOST`].
    pub(crate) versions: Vec<Version>,
    /// Why there may be others, at most [`Incomplete::MOST`] reasons.
    pub(crate) incomplete: Vec<Words>,
}

/// What was found, by which providers, and when.
struct Known {
    found: Arc<Found>,
    generation: u64,
    until: Instant,
}

/// What looks leave behind.
#[derive(Default)]
struct Looks {
    known: Option<Known>,
    kinds: Kinds,
}

/// One per engine.
#[derive(Default)]
pub(crate) struct Stock {
    looks: Arc<Mutex<Looks>>,
    /// Counts how often the providers changed.
    generation: AtomicU64,
}

impl Stock {
    /// Others provide from now on.
    pub(crate) fn forget(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// What there is, at most half a minute old.
    ///
    /// # Errors
    /// The directory does not say which agents there are.
    pub(crate) async fn look(
        &self,
        directory: &Arc<dyn AgentDirectory>,
        providers: impl FnOnce() -> Vec<Arc<dyn WpkProvider>>,
    ) -> Result<Arc<Found>, DirectoryError> {
        let mut looks = self.looks.clone().lock_owned().await;
        let generation = self.generation.load(Ordering::SeqCst);
        let now = Instant::now();
        let fresh = |known: &&Known| known.generation == generation && known.until > now;
        if let Some(known) = looks.known.as_ref().filter(fresh) {
            return Ok(known.found.clone());
        }
        let (directory, providers) = (directory.clone(), providers());
        let look = tokio::spawn(async move {
            let (kinds, missing) = looks.kinds.look(&*directory).await?;
            let found = Arc::new(ask_all(&providers, &kinds, missing).await);
            let serves = match found.incomplete.is_empty() {
                true => FRESH,
                false => FRESH_IF_INCOMPLETE,
            };
            looks.known = Some(Known {
                found: found.clone(),
                generation,
                until: Instant::now() + serves,
            });
            Ok(found)
        });
        look.await
            .unwrap_or_else(|error| Err(DirectoryError::Unavailable(error.to_string())))
    }
}

/// What the providers have for these kinds; `missing` is why there may be others.
async fn ask_all(
    providers: &[Arc<dyn WpkProvider>],
    kinds: &[WantedRelease],
    missing: Option<String>,
) -> Found {
    let deadline = Instant::now() + WITHIN;
    let asked = providers.iter().map(|provider| {
        let asked = timeout_at(deadline, ask(&**provider, kinds));
        async move { asked.await.unwrap_or_else(|_| Err(too_slow())) }
    });
    let (mut versions, mut reasons) = (BTreeSet::new(), Reasons::default());
    reasons.add(missing);
    let mut more = false;
    for answer in join_all(asked).await {
        match answer {
            Ok(listed) => {
                let listed = listed.unwrap_or_default();
                versions.extend(listed.versions);
                while versions.len() > AskVersions::MOST {
                    more = true;
                    versions.pop_first();
                }
                reasons.add(listed.incomplete);
            }
            Err(error) => reasons.add([error.to_string()]),
        }
    }
    reasons.add(more.then(|| format!("only the newest {} are told", AskVersions::MOST)));
    Found {
        versions: versions.into_iter().rev().collect(),
        incomplete: reasons.told(),
    }
}

/// Why there may be other versions, as each who was asked says it.
#[derive(Default)]
struct Reasons(Vec<(usize, Words)>);

impl Reasons {
    /// Those of one of them.
    fn add(&mut self, reasons: impl IntoIterator<Item = String>) {
        for (rank, reason) in reasons.into_iter().take(REASONS).enumerate() {
            let reason = Words::from(reason);
            debug!(%reason, "there may be versions that are not told");
            self.0.push((rank, reason));
        }
    }

    /// The first of each, then the second: one with many leaves room for those of others.
    /// The last says how many are left out, if any are.
    fn told(mut self) -> Vec<Words> {
        self.0.sort_by_key(|(rank, _)| *rank);
        let mut told: Vec<Words> = Vec::new();
        let mut left_out = 0;
        for (_, reason) in self.0 {
            if told.contains(&reason) {
                continue;
            }
            match told.len() < Incomplete::MOST {
                true => told.push(reason),
                false => left_out += 1,
            }
        }
        if left_out > 0 {
            told.truncate(Incomplete::MOST - 1);
            told.push(format!("and {} reasons more", left_out + 1).into());
        }
        told
    }
}

fn too_slow() -> ProviderError {
    ProviderError::NotReachable(format!("no list of versions within {} s", WITHIN.as_secs()))
}

async fn ask(
    provider: &dyn WpkProvider,
    kinds: &[WantedRelease],
) -> Result<Option<Listed>, ProviderError> {
    match provider.out_of_service() {
        Some(reason) => Err(ProviderError::NotReachable(reason)),
        None => provider.versions(kinds).await,
    }
}
