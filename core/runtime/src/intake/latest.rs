//! The version behind "the latest", asked for while the caller waits: once for each
//! distinct wish of a request. `upgrade.rs` enters.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;
use tracing::warn;
use wpk_api::{AgentInfo, Target, Version, Wanted};

use super::asked::Checked;
use crate::failure::Failure;
use crate::workshop::Workshop;

/// How long a request waits, in all, to learn the latest versions of repositories. The
/// delivery asks again, without the caller waiting.
const LATEST_WITHIN: Duration = Duration::from_secs(5);
/// Agents of one request differ in platform, but not in thousands of ways.
const MOST_QUESTIONS: usize = 64;

/// What was asked for one request.
#[derive(Default)]
pub(super) struct Latest {
    /// `None`: it could not be found out in time, and is left to the delivery.
    known: HashMap<Wanted, Option<Version>>,
    waits_until: Option<Instant>,
}

impl Latest {
    /// Asks for each wish that names no version and is new.
    pub(super) async fn ask(
        &mut self,
        workshop: &Workshop,
        passed: &[Checked<(&AgentInfo, Wanted)>],
    ) {
        let mut questions: Vec<&Wanted> = Vec::new();
        for (_, wanted) in passed.iter().flat_map(|asked| &asked.found) {
            let room = self.known.len() + questions.len() < MOST_QUESTIONS;
            let open =
                matches!(wanted, Wanted::Release(release) if release.target == Target::Latest);
            if open && room && !self.known.contains_key(wanted) && !questions.contains(&wanted) {
                questions.push(wanted);
            }
        }
        if questions.is_empty() {
            return;
        }
        let until = *(self.waits_until).get_or_insert_with(|| Instant::now() + LATEST_WITHIN);
        let asked = questions
            .into_iter()
            .map(|wanted| async move { (wanted.clone(), version(workshop, wanted, until).await) });
        self.known.extend(join_all(asked).await);
    }

    /// The version of a wish that names none, where it is known.
    pub(super) fn of(&self, wanted: &Wanted) -> Option<Version> {
        self.known.get(wanted).copied().flatten()
    }
}

async fn version(workshop: &Workshop, wanted: &Wanted, until: Instant) -> Option<Version> {
    let resolved = workshop.resolver.resolve(wanted);
    match tokio::time::timeout_at(until, resolved).await {
        Ok(Ok(resolved)) => resolved.offer.version,
        Ok(Err(error)) => {
            // In a failure the provider's words are fit for a log.
            let failure = Failure::from(error);
            warn!(%failure, "the latest version is not known; the delivery will ask again");
            None
        }
        Err(_) => {
            warn!("the repository is slow to name its latest version; the delivery will ask again");
            None
        }
    }
}
