//! Checking the signature of a WPK on the manager, before any agent gets it
//! (`cache.verify_signature`).

use std::path::Path;
use std::time::SystemTime;

use tracing::{info, warn};
use wpk_package::{CaStore, Limits, Package, PackageError, Trust};

use crate::config::Settings;
use crate::registry::StartError;

/// The CA store of the settings; `None` where signatures are not checked.
pub(crate) fn load(settings: &Settings) -> Result<Option<CaStore>, StartError> {
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
    Ok(Some(store))
}

/// Checks one file, streaming.
pub(crate) fn verify(path: &Path, store: &CaStore) -> Result<(), PackageError> {
    let mut package = Package::open(path, &Limits::default())?;
    package
        .verify(Trust::Store(store), SystemTime::now())
        .map(|_| ())
}
