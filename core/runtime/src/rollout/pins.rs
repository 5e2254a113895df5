//! Digests that releases are pinned to: those of the settings, and those of the definition
//! that was applied last. A file must be among both where both have some.

use std::sync::{Arc, Mutex, PoisonError};

use wpk_api::{Digests, StoreError, StoreResult, TaskStore, Version};
use wpk_config::ReleaseSettings;

use super::book::{KeptReleases, RELEASES, parse};

/// What was read last, by its version.
#[derive(Default)]
pub(crate) struct Pins(Mutex<Option<(u64, Arc<KeptReleases>)>>);

/// What the files of a release may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pinned {
    /// Who says so.
    pub(crate) whose: &'static str,
    pub(crate) digests: Digests,
}

impl Pins {
    /// What binds the files of `version`. Read anew each time: it may have been written at
    /// another node a moment ago.
    pub(crate) async fn of(
        &self,
        store: &dyn TaskStore,
        settings: &[ReleaseSettings],
        version: Version,
    ) -> StoreResult<Vec<Pinned>> {
        let mut pinned = Vec::new();
        let mut add = |whose, digests: &Digests| {
            if !digests.is_empty() {
                let digests = digests.clone();
                pinned.push(Pinned { whose, digests });
            }
        };
        let of_settings = settings.iter().filter(|one| one.version == version);
        of_settings.for_each(|one| add("the settings", &one.sha256));
        let kept = self.kept(store).await?;
        let applied = kept.iter().filter_map(|kept| kept.defined.as_ref());
        let applied = applied.flat_map(|releases| &releases.0);
        let of_version = applied.filter(|one| one.version == version);
        of_version.for_each(|one| add("the rollout definition applied last", &one.sha256));
        Ok(pinned)
    }

    async fn kept(&self, store: &dyn TaskStore) -> StoreResult<Option<Arc<KeptReleases>>> {
        let found = match store.documents(RELEASES, "", 1).await {
            Err(error) if error == StoreError::keeps_no_documents() => return Ok(None),
            found => found?,
        };
        let Some(document) = found.first().filter(|one| one.key == RELEASES) else {
            return Ok(None);
        };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((version, kept)) = &*known
            && *version == document.version
        {
            return Ok(Some(kept.clone()));
        }
        let kept: Arc<KeptReleases> = Arc::new(parse(document)?);
        *known = Some((document.version, kept.clone()));
        Ok(Some(kept))
    }
}
