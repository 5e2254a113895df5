//! Checking the signature of a WPK on the manager, before any agent gets it
//! (`cache.verify_signature`).

use std::fs::File;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use tracing::{info, warn};
use wpk_package::{CaStore, Limits, Package, PackageError, Trust};

use crate::clock::SharedClock;
use crate::parts::StartError;
use wpk_config::Settings;

/// Who may sign WPKs, judged by the engine's clock.
pub(crate) struct Signers {
    store: CaStore,
    clock: SharedClock,
}

/// The signers of the settings; `None` where signatures are not checked.
pub(crate) fn load(
    settings: &Settings,
    clock: &SharedClock,
) -> Result<Option<Signers>, StartError> {
    if !settings.cache.verify_signature {
        return Ok(None);
    }
    let paths: Vec<_> = settings
        .cache
        .ca_store
        .iter()
        .map(|path| settings.path(path))
        .collect();
    let store = CaStore::load(&paths).map_err(|error| StartError::CaStore(error.to_string()))?;
    for problem in store.problems() {
        warn!(%problem, "cache.ca_store");
    }
    info!(
        certificates = store.certificates().len(),
        "WPK signatures are checked before delivery"
    );
    Ok(Some(Signers {
        store,
        clock: clock.clone(),
    }))
}

impl Signers {
    /// Checks one open file that stands at its start, streaming. `path` names it
    /// in messages: whatever lies there by now is not what is sent.
    pub(crate) fn verify(&self, file: &File, path: &Path) -> Result<(), PackageError> {
        let since = u64::try_from(self.clock.now()).unwrap_or_default();
        let now = UNIX_EPOCH.checked_add(Duration::from_secs(since));
        let mut package = Package::read(file, path.display().to_string(), &Limits::default())?;
        package
            .verify(Trust::Store(&self.store), now.unwrap_or(UNIX_EPOCH))
            .map(|_| ())
    }
}
