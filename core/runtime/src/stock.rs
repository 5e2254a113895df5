//! Which versions there are: what the providers list for the kinds of agents that the
//! directory knows. Only for those who type one: nothing is decided by it. `intake` enters.
//!
//! One look at a time, which goes on when whoever asked has gone: a command line waits for a
//! second, and a repository far away may need more. Its answer serves for a while.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};
use tracing::debug;
use wpk_api::words::{LONGEST_CAUSE, clean};
use wpk_api::{
    AgentDirectory, AgentId, AgentInfo, DirectoryError, ProviderError, Target, Version,
    WantedRelease, WpkProvider,
};

use crate::rules;

/// How long a look takes at most.
const WITHIN: Duration = Duration::from_secs(5);
/// How long its answer serves.
const FRESH: Duration = Duration::from_secs(30);
/// How long one serves that lacks something.
const FRESH_IF_INCOMPLETE: Duration = Duration::from_secs(5);
/// The most kinds of agents that versions are looked for.
const MOST_KINDS: usize = 256;
/// Agents of a page of the directory.
const PAGE: usize = 1_000;

/// What there is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Each once, the newest first.
    pub(crate) versions: Vec<Version>,
    /// Why there may be others.
    pub(crate) incomplete: Vec<String>,
}

/// What was found, by which providers, and when.
struct Known {
    found: Arc<Found>,
    generation: u64,
    until: Instant,
}

/// One per engine.
#[derive(Default)]
pub(crate) struct Stock {
    known: Arc<Mutex<Option<Known>>>,
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
        let mut known = self.known.clone().lock_owned().await;
        let generation = self.generation.load(Ordering::SeqCst);
        let now = Instant::now();
        let fresh = |known: &&Known| known.generation == generation && known.until > now;
        if let Some(known) = known.as_ref().filter(fresh) {
            return Ok(known.found.clone());
        }
        let (directory, providers) = (directory.clone(), providers());
        let look = tokio::spawn(async move {
            let found = Arc::new(look(&*directory, &providers).await?);
            let serves = match found.incomplete.is_empty() {
                true => FRESH,
                false => FRESH_IF_INCOMPLETE,
            };
            *known = Some(Known {
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

async fn look(
    directory: &dyn AgentDirectory,
    providers: &[Arc<dyn WpkProvider>],
) -> Result<Found, DirectoryError> {
    let deadline = Instant::now() + WITHIN;
    let (kinds, mut incomplete) = kinds(directory, deadline).await?;
    let asked = providers.iter().map(|provider| {
        let asked = timeout_at(deadline, ask(&**provider, &kinds));
        async move { asked.await.unwrap_or_else(|_| Err(too_slow())) }
    });
    let mut versions = BTreeSet::new();
    for answer in join_all(asked).await {
        match answer {
            Ok(listed) => versions.extend(listed.into_iter().flatten()),
            Err(error) => {
                let cause = clean(&error.to_string(), LONGEST_CAUSE);
                debug!(cause, "a provider does not say which versions there are");
                incomplete.push(cause);
            }
        }
    }
    Ok(Found {
        versions: versions.into_iter().rev().collect(),
        incomplete,
    })
}

fn too_slow() -> ProviderError {
    ProviderError::NotReachable(format!("no list of versions within {} s", WITHIN.as_secs()))
}

async fn ask(
    provider: &dyn WpkProvider,
    kinds: &[WantedRelease],
) -> Result<Option<Vec<Version>>, ProviderError> {
    match provider.out_of_service() {
        Some(reason) => Err(ProviderError::NotReachable(reason)),
        None => provider.versions(kinds).await,
    }
}

/// What agents would ask for, each kind once; and why some may be missing.
async fn kinds(
    directory: &dyn AgentDirectory,
    deadline: Instant,
) -> Result<(Vec<WantedRelease>, Vec<String>), DirectoryError> {
    let (mut kinds, mut known, mut incomplete) = (Vec::new(), HashSet::new(), Vec::new());
    let mut after = None;
    loop {
        let Ok(page) = timeout_at(deadline, directory.list(after, PAGE)).await else {
            incomplete.push("the list of agents takes too long".to_owned());
            break;
        };
        let page = page?;
        let last = page.agents.last().map(|agent| agent.id);
        for kind in page.agents.into_iter().filter_map(kind) {
            if kinds.len() == MOST_KINDS && !known.contains(&kind) {
                incomplete.push(format!("there are more than {MOST_KINDS} kinds of agents"));
                return Ok((kinds, incomplete));
            }
            if known.insert(kind.clone()) {
                kinds.push(kind);
            }
        }
        if !page.more || last.is_none() {
            break;
        }
        after = last;
    }
    Ok((kinds, incomplete))
}

/// What an agent would ask for; `None` for one that is never upgraded.
fn kind(agent: AgentInfo) -> Option<WantedRelease> {
    let is_agent = agent.id != AgentId::MANAGER && rules::never(&agent).is_none();
    is_agent.then(|| WantedRelease {
        package_type: rules::package_type(&agent),
        platform: agent.platform,
        target: Target::Latest,
        repository: None,
        use_http: false,
    })
}
