//! `var/installer`: the folder of everything that outlives a run. It holds the
//! lock, the journal, the prepared result, and `finish`, a copy of the installer
//! for whoever has to end its work. Only its owner may enter it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, OFlags, RenameFlags, linkat, renameat_with};
use rustix::io::Errno;

use crate::error::InstallError;
use crate::journal::sync_folder;
use crate::lock::Lock;
use crate::place::walk;
use crate::verdict::Verdict;

pub(crate) const FOLDER: &str = "var/installer";
pub(crate) const FINISH: &str = "finish";
const LOCK: &str = "lock";

/// The folder, locked until this is dropped.
#[derive(Debug)]
pub(crate) struct State {
    home: PathBuf,
    folder: PathBuf,
    _lock: Lock,
}

impl State {
    /// Makes the folder where it is missing, and locks it.
    pub(crate) fn open(home: &Path) -> Result<Self, InstallError> {
        Self::locked(home, Lock::take)
    }

    /// The same, once whoever holds the lock has ended.
    pub(crate) fn wait(home: &Path) -> Result<Self, InstallError> {
        Self::locked(home, |file| Lock::wait(file).map(Some))
    }

    fn locked(
        home: &Path,
        lock: impl FnOnce(File) -> io::Result<Option<Lock>>,
    ) -> Result<Self, InstallError> {
        let folder = home.join(FOLDER);
        make_folder(home, &folder)?;
        let path = folder.join(LOCK);
        let fail = |error| InstallError::path(&path, "lock", error);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(&path)
            .map_err(fail)?;
        let Some(lock) = lock(file).map_err(fail)? else {
            return Err(InstallError::Locked(path));
        };
        let state = Self {
            home: home.to_owned(),
            folder,
            _lock: lock,
        };
        state.same_file_system()?;
        Ok(state)
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// The journal of the run at work.
    pub(crate) fn journal(&self) -> PathBuf {
        Self::journal_in(&self.home)
    }

    /// The same, for who does not hold the lock.
    pub(crate) fn journal_in(home: &Path) -> PathBuf {
        home.join(FOLDER).join("journal")
    }

    /// This very program, kept while there is something to finish.
    pub(crate) fn program(&self) -> PathBuf {
        self.folder.join(FINISH)
    }

    /// The journal of an unfinished run that a new one has set aside.
    pub(crate) fn previous(&self) -> PathBuf {
        self.folder.join("previous")
    }

    /// Where the agent looks (PROTOCOL.md, section 7).
    pub(crate) fn result(&self) -> PathBuf {
        self.home.join("var/upgrade/upgrade_result")
    }

    fn prepared(&self, run: &str) -> PathBuf {
        self.folder.join(format!("result-{run}"))
    }

    /// Whether a result waits to be delivered. Anything but a digit is none.
    pub(crate) fn result_waits(&self) -> bool {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
            .open(self.result());
        let mut bytes = Vec::new();
        let read = file.and_then(|file| file.take(16).read_to_end(&mut bytes));
        read.is_ok() && matches!(bytes.trim_ascii(), b"0" | b"1" | b"2")
    }

    /// Removes what runs left behind that were killed before their journal was
    /// there, or while ending. Only without any journal.
    pub(crate) fn sweep(&self) -> Result<(), InstallError> {
        let fail = |error| InstallError::path(&self.folder, "tidy up", error);
        for entry in fs::read_dir(&self.folder).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with("result-")
                || name.starts_with("reason")
                || [FINISH, "finish.new", "journal.new"].contains(&&*name)
            {
                fs::remove_file(entry.path()).map_err(fail)?;
            }
        }
        Ok(())
    }

    /// Makes the result's file with a failure in it, so that a full disk cannot
    /// keep it from being reported.
    pub(crate) fn prepare_result(&self, run: &str) -> Result<(), InstallError> {
        let path = self.prepared(run);
        write_digit(&path, Verdict::Failed, true)
            .map_err(|error| InstallError::path(&path, "write", error))
    }

    /// Keeps this very program as `finish`.
    pub(crate) fn keep_program(&self) -> Result<(), InstallError> {
        let path = self.folder.join(FINISH);
        let temporary = self.folder.join("finish.new");
        let fail = |error| InstallError::path(&path, "keep the installer as", error);
        let program = std::env::current_exe().map_err(fail)?;
        let keep = || -> io::Result<()> {
            let _ = fs::remove_file(&temporary);
            if linkat(CWD, &program, CWD, &temporary, AtFlags::empty()).is_err() {
                fs::copy(&program, &temporary)?;
                fs::set_permissions(&temporary, fs::Permissions::from_mode(0o700))?;
                File::open(&temporary)?.sync_all()?;
            }
            fs::rename(&temporary, &path)?;
            // A rename between two names of one file leaves both.
            let _ = fs::remove_file(&temporary);
            sync_folder(&path)
        };
        keep().map_err(fail)
    }

    /// Writes the result once. `first` says that this process knows that the
    /// run has not reported yet; otherwise the prepared file tells: it was moved
    /// away by the report. `false`: it had been reported before.
    pub(crate) fn report(
        &self,
        run: &str,
        verdict: Verdict,
        first: bool,
    ) -> Result<bool, InstallError> {
        let (prepared, result) = (self.prepared(run), self.result());
        let fail = |error| InstallError::path(&result, "report the result in", error);
        match write_digit(&prepared, verdict, false) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound && first => {
                write_digit(&prepared, verdict, true).map_err(fail)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(fail(error)),
        }
        if self.result_waits() {
            // Whoever wrote it, a second one must not follow.
            fs::remove_file(&prepared).map_err(fail)?;
            return Ok(false);
        }
        match renameat_with(CWD, &prepared, CWD, &result, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            // A link, or a text that is no result; or a file system that cannot tell.
            Err(Errno::EXIST | Errno::INVAL | Errno::NOSYS) => {
                fs::rename(&prepared, &result).map_err(fail)?;
            }
            Err(error) => return Err(fail(error.into())),
        }
        sync_folder(&result).map_err(fail)?;
        Ok(true)
    }

    /// Takes the prepared result of a run away: it will not report.
    pub(crate) fn withdraw(&self, run: &str) {
        // Mostly it is not there any more.
        let _ = fs::remove_file(self.prepared(run));
        let _ = fs::remove_file(self.noted(run));
    }

    fn noted(&self, run: &str) -> PathBuf {
        self.folder.join(format!("reason-{run}"))
    }

    fn told(&self) -> PathBuf {
        self.result().with_file_name("upgrade_reason")
    }

    /// Why the run fails, kept for whoever reports it. Where the disk has no room the
    /// report goes without.
    pub(crate) fn note_reason(&self, run: &str, reason: &str) {
        let _ = write_text(&self.noted(run), reason);
    }

    /// What was noted of this run.
    pub(crate) fn reason(&self, run: &str) -> Option<String> {
        fs::read_to_string(self.noted(run)).ok()
    }

    /// Puts the reason where the agent looks, before the result. `None`: there is none, and
    /// what a package may have put there is none either.
    pub(crate) fn tell_reason(&self, reason: Option<&str>) {
        let (path, temporary) = (self.told(), self.folder.join("reason.new"));
        let _ = fs::remove_file(&path);
        if let Some(reason) = reason {
            let _ = write_text(&temporary, reason).and_then(|()| fs::rename(&temporary, &path));
        }
    }

    /// It was told.
    pub(crate) fn forget_reason(&self, run: &str) {
        let _ = fs::remove_file(self.noted(run));
    }

    /// Removes `finish`: nothing is left to do for it.
    pub(crate) fn drop_program(&self) {
        // A left-over one finds nothing to do.
        let _ = fs::remove_file(self.folder.join(FINISH));
    }

    /// The result moves from here to there by a rename.
    fn same_file_system(&self) -> Result<(), InstallError> {
        let upgrade = self.home.join("var/upgrade");
        let fail = |error| InstallError::path(&upgrade, "use", error);
        walk(&self.home, Path::new("var/upgrade")).map_err(fail)?;
        let device = |path: &Path| fs::symlink_metadata(path).map(|meta| meta.dev());
        if device(&self.folder).map_err(fail)? == device(&upgrade).map_err(fail)? {
            Ok(())
        } else {
            Err(InstallError::Refused {
                path: upgrade,
                reason: "var/upgrade and var/installer must lie on one file system",
            })
        }
    }
}

fn make_folder(home: &Path, folder: &Path) -> Result<(), InstallError> {
    let fail = |error| InstallError::path(folder, "use", error);
    walk(home, Path::new("var")).map_err(fail)?;
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(fail(error)),
        _ => {}
    }
    walk(home, Path::new(FOLDER)).map_err(fail)?;
    let meta = fs::symlink_metadata(folder).map_err(fail)?;
    if meta.uid() != rustix::process::geteuid().as_raw() || meta.mode() & 0o022 != 0 {
        return Err(InstallError::Refused {
            path: folder.to_owned(),
            reason: "it must belong to the installer's user and be writable by nobody else",
        });
    }
    Ok(())
}

/// A line, whatever was in its place. Not synced: what a crash takes is told without it.
fn write_text(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)?;
    writeln!(file, "{}", text.replace(char::is_control, " "))
}

fn write_digit(path: &Path, verdict: Verdict, create: bool) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(create)
        .mode(0o640)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)?;
    // In place: these two bytes are there already, except in a new file.
    file.write_all(format!("{}\n", verdict.digit()).as_bytes())?;
    file.sync_all()?;
    if create { sync_folder(path) } else { Ok(()) }
}
