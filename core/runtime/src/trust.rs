//! Checking the signature of a WPK on the manager, before any agent gets it
//! (`cache.verify_signature`).

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tracing::{info, warn};
use wpk_api::UnixTime;
use wpk_package::{CaStore, Limits, Package, PackageError, SignatureError, Trust};

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

/// Why a file is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Distrust {
    /// Nobody we trust signed this content; it stays so as long as neither the
    /// clock nor the CA store changes.
    Signature(String),
    /// The file could not be read to its end; nothing is known of its content.
    Unreadable(String),
}

impl Signers {
    /// Checks one open file that stands at its start, streaming. `path` names it
    /// in messages: whatever lies there by now is not what is sent.
    pub(crate) fn verify(&self, file: &File, path: &Path) -> Result<(), Distrust> {
        let now = at(self.clock.now());
        Package::read(file, path.display().to_string(), &Limits::default())
            .and_then(|mut package| package.verify(Trust::Store(&self.store), now))
            .map(drop)
            .map_err(Distrust::from)
    }
}

fn at(now: UnixTime) -> SystemTime {
    let since = u64::try_from(now).unwrap_or_default();
    let now = UNIX_EPOCH.checked_add(Duration::from_secs(since));
    now.unwrap_or(UNIX_EPOCH)
}

/// Reads a file through: whether it is a WPK, and one of `authorities` signed it at `now`.
pub(crate) fn examine(
    file: impl Read + Seek,
    shown: &str,
    authorities: Option<&CaStore>,
    now: UnixTime,
) -> Result<(), Distrust> {
    let mut package = Package::read(file, shown, &Limits::default())?;
    if let Some(store) = authorities {
        package.verify(Trust::Store(store), at(now))?;
    }
    package.contents()?;
    Ok(())
}

impl From<PackageError> for Distrust {
    /// Without the name of the file: whoever asks says where it came from.
    fn from(error: PackageError) -> Self {
        match error {
            PackageError::Signature {
                source: SignatureError::Io(error),
                ..
            } => Self::Unreadable(error.to_string()),
            PackageError::Signature { source, .. } => Self::Signature(source.to_string()),
            PackageError::Uncompress { source, .. } => Self::Signature(source.to_string()),
            PackageError::Unmerge { source, .. } => Self::Signature(source.to_string()),
            other => Self::Signature(other.to_string()),
        }
    }
}
