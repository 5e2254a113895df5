//! Checking the signature of a WPK on the manager, before any agent gets it
//! (`cache.verify_signature`).

use std::fs::File;
use std::path::Path;
use std::time::SystemTime;

use tracing::{info, warn};
use wpk_package::{CaStore, Limits, Package, PackageError, Trust};

use crate::parts::StartError;
use wpk_config::Settings;

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

/// Checks one open file that stands at its start, streaming. `path` names it in
/// messages: whatever lies there by now is not what is sent.
pub(crate) fn verify(file: &File, path: &Path, store: &CaStore) -> Result<(), PackageError> {
    let mut package = Package::read(file, path.display().to_string(), &Limits::default())?;
    package
        .verify(Trust::Store(store), SystemTime::now())
        .map(|_| ())
}
