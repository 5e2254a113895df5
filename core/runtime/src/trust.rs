//! Checking the signature of a WPK on the manager, before any agent gets it
//! (`cache.verify_signature`).

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tracing::{info, warn};
use wpk_api::{UnixTime, words};
use wpk_package::{CaStore, Limits, Package, PackageError, SignatureError, Trust};
use wpk_wire::{INSTALLER, INSTALLER_OF_WINDOWS};

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

/// What a file is looked at for, beyond being a WPK.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    /// CAs of which one must have signed it.
    pub(crate) authorities: Option<CaStore>,
    /// The installer that is to be run; `None`: that of the agent's platform.
    pub(crate) installer: Option<String>,
}

/// Reads a file through: whether it is a WPK, and as it is `expected` to be at `now`.
pub(crate) fn examine(
    file: impl Read + Seek,
    shown: &str,
    expected: &Expected,
    now: UnixTime,
) -> Result<(), Distrust> {
    let mut package = Package::read(file, shown, &Limits::default())?;
    if let Some(store) = &expected.authorities {
        package.verify(Trust::Store(store), at(now))?;
    }
    let contents = package.contents()?;
    let names = contents
        .entries
        .iter()
        .map(|entry| entry.name.to_string_lossy());
    let names: Vec<_> = names.collect();
    has_installer(&names, expected.installer.as_deref()).map_err(Distrust::Signature)
}

/// How many files of a package are named where its installer is not there.
const MOST_NAMED: usize = 5;

/// Whether the installer is among the files. Windows does not tell upper case from lower, and
/// writes folders its own way.
fn has_installer<N: AsRef<str>>(names: &[N], installer: Option<&str>) -> Result<(), String> {
    let plain = |name: &str| {
        let name = name.replace('\\', "/").to_ascii_lowercase();
        name.trim_start_matches("./").to_owned()
    };
    let wanted: Vec<String> = match installer {
        Some(name) => vec![plain(name)],
        None => vec![INSTALLER.to_owned(), INSTALLER_OF_WINDOWS.to_owned()],
    };
    let mut files = names.iter().map(AsRef::as_ref);
    if files.any(|name| wanted.contains(&plain(name))) {
        return Ok(());
    }
    let clean = |name: &str| words::clean(&name.replace(words::steers, "?"), 100);
    let shown = names.iter().take(MOST_NAMED);
    let mut told: Vec<String> = shown.map(|name| clean(name.as_ref())).collect();
    if names.len() > MOST_NAMED {
        told.push("...".to_owned());
    }
    let told = match told.is_empty() {
        true => "no files".to_owned(),
        false => told.join(", "),
    };
    Err(match installer {
        Some(name) => format!("it has no installer {:?}; it has {told}", clean(name)),
        None => format!(
            "it has neither {INSTALLER} nor {INSTALLER_OF_WINDOWS}, and no other installer was \
             named; it has {told}"
        ),
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installer_is_looked_for_among_the_files() {
        let files = ["bin/Setup.bat", "upgrade.sh"];
        let look = has_installer::<&str>;
        for name in [
            None,
            Some("upgrade.sh"),
            Some("./upgrade.sh"),
            Some("BIN\\setup.bat"),
        ] {
            assert_eq!(look(&files, name), Ok(()), "{name:?}");
        }
        let none = look(&files, Some("../upgrade.sh")).unwrap_err();
        assert_eq!(
            none,
            "it has no installer \"../upgrade.sh\"; it has bin/Setup.bat, upgrade.sh"
        );
        let none = look(&["a", "b", "c", "d", "e", "f"], None).unwrap_err();
        assert_eq!(
            none,
            "it has neither upgrade.sh nor upgrade.bat, and no other installer was named; it has \
             a, b, c, d, e, ..."
        );
        let none = look(&[], Some("x\u{1b}[2J")).unwrap_err();
        assert_eq!(none, "it has no installer \"x?[2J\"; it has no files");
    }
}
