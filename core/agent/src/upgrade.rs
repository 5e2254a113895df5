//! The way of a package from `var/incoming` to an installer ready to run
//! (section 7): verify (13), unzip (14), empty `var/upgrade` (15), unmerge into
//! it (16), make the installer 0750 (17). Blocking; the engine enters on its
//! blocking pool.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use wpk_api::words::{LONGEST_CAUSE, clean};
use wpk_package::{CaStore, Modes, Package, PackageError, Stage, Trust, UnpackOptions, unmerge};
use wpk_wire::codes::AgentCode;

use crate::home::{self, Home};
use crate::in_progress;
use crate::platform::files::{self, Held};
use crate::rights::{Guard, Own};
use crate::settings::{CaVerification, Settings};

/// As 4.x agents leave unpacked files; the installer gets 0750 later.
const MODES: Modes = Modes {
    file: 0o600,
    folder: 0o700,
};

/// The longest name of a signer in the log, in bytes.
const LONGEST_NAME: usize = 256;

/// What one upgrade needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) ca: CaVerification,
    /// Whether a real agent works in the home as well.
    beside: bool,
    pub(crate) limits: wpk_package::Limits,
}

impl Rules {
    pub(crate) fn new(settings: &Settings) -> Self {
        let (ca, limits) = (&settings.upgrade.ca_verification, &settings.limits);
        let limits = wpk_package::Limits {
            certificate: usize::try_from(limits.certificate.0).unwrap_or(usize::MAX),
            entries: limits.entries,
            name: limits.name,
            unpacked: limits.unpacked.0,
            packed: limits.incoming.0,
        };
        Self {
            ca: ca.clone(),
            beside: settings.listen.is_some(),
            limits,
        }
    }
}

/// The code of the answer, and a text for the log: names in a package are its
/// maker's, whoever that is.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct Failure {
    pub(crate) code: AgentCode,
    reason: String,
}

impl Failure {
    pub(crate) fn new(code: AgentCode, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: clean(&reason.into(), LONGEST_CAUSE),
        }
    }
}

impl From<PackageError> for Failure {
    fn from(error: PackageError) -> Self {
        let code = match error.stage() {
            Stage::Signature => AgentCode::Signature,
            Stage::Uncompress => AgentCode::Uncompress,
            Stage::Unmerge | Stage::Build => AgentCode::Unmerge,
        };
        Self::new(code, error.to_string())
    }
}

/// An installer that is ready to run.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// Its path.
    pub(crate) program: PathBuf,
    /// Where it lies, held from before it was unpacked.
    pub(crate) folder: Own,
}

/// Makes `package` ready. `installer` is
/// `None` for a name that is not allowed: like a 4.x agent, it is only asked for
/// once the package is unpacked.
pub(crate) fn prepare(
    home: &Home,
    rules: &Rules,
    package: &Path,
    installer: Option<&str>,
) -> Result<Prepared, Failure> {
    let mut merged = open_verified(home, rules, package)?;
    let target = home.upgrade();
    let folder = empty(&target).map_err(|error| {
        let text = format!("{}: cannot be emptied: {error}", target.display());
        Failure::new(AgentCode::CleanUp, text)
    })?;
    let inside = folder.inside();
    let label = package.display().to_string();
    let options = UnpackOptions {
        limits: rules.limits.clone(),
        modes: MODES,
    };
    unmerge(&mut merged, &label, &inside, &options)
        .map_err(|error| Failure::new(AgentCode::Unmerge, format!("{label}: {error}")))?;
    let Some(installer) = installer else {
        return Err(Failure::new(
            AgentCode::FileName,
            "the installer's name is not allowed",
        ));
    };
    // Of a package it would say that an installer works which does not.
    let _ = home::remove(&inside.join(in_progress::NAME));
    let program = target.join(installer);
    make_runnable(&inside, installer).map_err(|error| {
        let text = format!("{}: cannot be made runnable: {error}", program.display());
        Failure::new(AgentCode::Chmod, text)
    })?;
    Ok(Prepared { program, folder })
}

/// The unzipped content, in a file without a name: whatever happens, nothing
/// is left of it.
fn open_verified(home: &Home, rules: &Rules, path: &Path) -> Result<File, Failure> {
    let store;
    let trust = if rules.ca.enabled {
        store = load_store(home, rules)?;
        Trust::Store(&store)
    } else {
        Trust::AnySigner
    };
    let mut package = Package::open(path, &rules.limits)?;
    let verified = package.verify(trust, SystemTime::now())?;
    tracing::info!(
        "{path:?} is signed by {}",
        clean(&verified.signer().subject, LONGEST_NAME)
    );
    let tmp = home.tmp();
    home::make_folder(&tmp)
        .map_err(|error| Failure::new(AgentCode::Uncompress, error.to_string()))?;
    let mut merged = tempfile::tempfile_in(&tmp).map_err(|error| {
        let text = format!("{}: no file can be made: {error}", tmp.display());
        Failure::new(AgentCode::Uncompress, text)
    })?;
    package.gunzip(&verified, &mut merged, &tmp.display().to_string())?;
    Ok(merged)
}

/// Whoever may write the store, or on the way to it, could sign for the agent. So what is
/// read is what was looked at.
fn load_store(home: &Home, rules: &Rules) -> Result<CaStore, Failure> {
    let mut guard = Guard::of(home.root(), rules.beside);
    let (mut places, mut held) = (Vec::new(), Vec::new());
    for place in &rules.ca.ca_store {
        let found = trusted(&mut guard, place)
            .map_err(|error| Failure::new(AgentCode::Signature, error.to_string()))?;
        match found.is_empty() {
            // It is told as missing.
            true => places.push(place.clone()),
            false => held.extend(found.into_iter().map(|found| (found, place.clone()))),
        }
    }
    places.extend(held.iter().map(|(held, _)| held.path()));
    CaStore::load(&places).map_err(|error| {
        let mut text = PackageError::from(error).to_string();
        for (held, place) in &held {
            let (path, place) = (held.path(), place.display());
            text = text.replace(&*path.to_string_lossy(), &place.to_string());
        }
        Failure::new(AgentCode::Signature, text)
    })
}

/// A file of CA certificates, or a folder with what lies in it.
fn trusted(guard: &mut Guard, place: &Path) -> io::Result<Vec<Held>> {
    let Some(held) = guard.trust(place)? else {
        return Ok(Vec::new());
    };
    let entries = fs::read_dir(held.path()).into_iter().flatten().flatten();
    let mut inside = Vec::new();
    for entry in entries {
        inside.extend(guard.trust(&place.join(entry.file_name()))?);
    }
    // In a folder that nobody else may write nothing changes any more.
    Ok(match guard.is_shared(place) {
        true => inside,
        false => vec![held],
    })
}

/// Removes everything in the folder, never through a link; makes it, and the agent's
/// alone, where it is not.
fn empty(folder: &Path) -> io::Result<Own> {
    home::make_folder(folder).map_err(io::Error::other)?;
    let own = Own::open(folder)?;
    for entry in fs::read_dir(own.inside())? {
        home::remove(&entry?.path())?;
    }
    Ok(own)
}

/// Never through a link, in the folders on the way neither.
fn make_runnable(folder: &Path, installer: &str) -> io::Result<()> {
    let program = folder.join(installer);
    for above in program.ancestors().skip(1) {
        if above.starts_with(folder) && above != folder {
            files::open_folder(above)?;
        }
    }
    let file = files::unlinked(0).read(true).open(program)?;
    files::set_mode(&file, 0o750)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn emptying_follows_no_link() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(outside.path().join("keep"), "x").unwrap();
        fs::create_dir_all(dir.path().join("u/deep/er")).unwrap();
        symlink(outside.path(), dir.path().join("u/link")).unwrap();
        symlink(outside.path(), dir.path().join("u/deep/link")).unwrap();
        empty(&dir.path().join("u")).unwrap();
        assert_eq!(fs::read_dir(dir.path().join("u")).unwrap().count(), 0);
        assert!(outside.path().join("keep").exists());

        symlink(outside.path(), dir.path().join("v")).unwrap();
        assert!(empty(&dir.path().join("v")).is_err());
        assert!(outside.path().join("keep").exists());
    }

    #[test]
    fn what_a_package_says_of_itself_is_fit_for_a_log() {
        let evil = format!("\u{1b}[2J\nERROR\u{202e}{}", "x".repeat(100_000));
        let said = Failure::new(AgentCode::Unmerge, evil).to_string();
        assert!(said.len() <= LONGEST_CAUSE, "{} bytes", said.len());
        assert!(!said.contains(wpk_api::words::steers), "{said:?}");
    }

    #[test]
    fn a_link_is_not_made_runnable() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "x").unwrap();
        symlink(&file, dir.path().join("link")).unwrap();
        let before = fs::metadata(&file).unwrap().permissions();
        assert!(make_runnable(dir.path(), "link").is_err());
        fs::create_dir_all(dir.path().join("sub/dir")).unwrap();
        symlink("..", dir.path().join("sub/up")).unwrap();
        assert!(make_runnable(dir.path(), "sub/up/file").is_err());
        assert_eq!(fs::metadata(&file).unwrap().permissions(), before);
        fs::write(dir.path().join("sub/dir/in"), "x").unwrap();
        make_runnable(dir.path(), "./sub/dir/in").unwrap();
    }

    /// Only root can bring it about. A daemon of the real agent's, which may rename in
    /// `etc`, has a file of its own change places with the store for as long as packages
    /// come.
    #[test]
    fn a_store_that_changes_places_with_anothers_is_never_read() {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use std::sync::atomic::{AtomicBool, Ordering};
        let dir = tempfile::tempdir().unwrap();
        let (good, evil) = (
            dir.path().join("etc/wpk_root.pem"),
            dir.path().join("etc/evil"),
        );
        let home = Home::prepare(dir.path(), true).unwrap();
        fs::create_dir(dir.path().join("etc")).unwrap();
        let ca = || wpk_testkit::wpk::SigningCa::new().unwrap();
        let (ours, theirs) = (ca(), ca());
        fs::write(&good, ours.certificate_pem()).unwrap();
        fs::write(&evil, theirs.certificate_pem()).unwrap();
        if std::os::unix::fs::lchown(&evil, Some(65_534), None).is_err() {
            return;
        }
        let file = dir.path().join("agent.toml");
        fs::write(&file, "[listen]\n").unwrap();
        let rules = Rules::new(&Settings::load(&file, Some(dir.path())).unwrap());
        let expected = CaStore::from_pem(ours.certificate_pem().as_bytes()).unwrap();
        let stop = AtomicBool::new(false);
        let (mut read, mut refused) = (0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    renameat_with(CWD, &good, CWD, &evil, RenameFlags::EXCHANGE).unwrap();
                }
            });
            while read + refused < 2_000 || read.min(refused) == 0 {
                match load_store(&home, &rules) {
                    Ok(store) if store.certificates() == expected.certificates() => read += 1,
                    Ok(_) => break,
                    Err(_) => refused += 1,
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
        assert!(read + refused >= 2_000, "after {read} and {refused}");
    }
}
