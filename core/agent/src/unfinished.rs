//! Upgrades that were cut short. An installer made with `wpk-installer` keeps
//! a journal in `var/installer` and, beside it, the program `finish`, which
//! rolls back or completes what the journal describes and reports the result.
//! A start of the agent is when that is due.

use std::io;
use std::path::Path;

use crate::installer::{Begun, Installers};
use crate::platform::files;
use crate::rights::Guard;
use crate::supervisor::Outcome;

const FOLDER: &str = "var/installer";

/// Begins `finish` where an upgrade was cut short. No upgrade can come in between, and
/// nobody waits for it: it may hang.
pub(crate) fn begin(installers: &Installers) -> Option<Begun> {
    let folder = installers.home.join(FOLDER);
    let program = folder.join("finish");
    let mut guard = Guard::new(&installers.live.now());
    let due = is_due(&folder, &program).and_then(|due| {
        // Whoever may write a folder on the way could have put it there.
        guard.trust(if due { &program } else { Path::new("/") })?;
        Ok(due)
    });
    match due {
        Ok(false) => return None,
        Ok(true) => {}
        Err(error) => {
            tracing::error!("an upgrade was cut short and cannot be finished: {error}");
            return None;
        }
    }
    // Where the installer itself still runs it holds the lock, and `finish` knows it.
    let lock = installers.running.begin().unwrap_or_else(|error| {
        tracing::warn!("that an upgrade is being finished cannot be written down: {error}");
        None
    });
    match installers.begin(&program, "finish", lock, None) {
        Ok(begun) => Some(begun),
        Err(outcome) => {
            say(&outcome);
            None
        }
    }
}

/// Says how it ended; it mostly returns at once and goes on in the background.
pub(crate) async fn watch(begun: Option<Begun>) {
    if let Some(begun) = begun {
        say(&begun.ended().await);
    }
}

fn say(outcome: &Outcome) {
    match outcome {
        Outcome::Exited(0) => tracing::warn!("an upgrade was cut short; it is being finished"),
        // Another one runs, or its result waits: nothing is left to do for us.
        Outcome::Exited(status) => tracing::info!(status, "nothing had to be finished"),
        Outcome::Failed { reason, .. } => {
            tracing::error!("{FOLDER}/finish did not finish the upgrade: {reason}");
        }
    }
}

/// Whether there is something to finish, by a program that only this user (or
/// root) can have put there.
fn is_due(folder: &Path, program: &Path) -> io::Result<bool> {
    let journal = ["journal", "previous"]
        .iter()
        .any(|name| folder.join(name).exists());
    if !journal || !program.exists() {
        return Ok(false);
    }
    for path in [folder, program] {
        let about = files::about(path)?;
        if !about.is_trusted() || about.narrowed(false) != about.mode || about.is_link {
            return Err(io::Error::other(format!(
                "{} must belong to the agent's user and be writable by nobody else",
                path.display()
            )));
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn home() -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(FOLDER);
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(folder.join("finish"), "#!/bin/sh\necho done > finished\n").unwrap();
        fs::set_permissions(folder.join("finish"), fs::Permissions::from_mode(0o700)).unwrap();
        home
    }

    fn due(home: &Path) -> io::Result<bool> {
        let folder = home.join(FOLDER);
        is_due(&folder, &folder.join("finish"))
    }

    #[test]
    fn only_a_journal_makes_it_due() {
        let home = home();
        assert!(!due(home.path()).unwrap());
        fs::write(home.path().join(FOLDER).join("journal"), "").unwrap();
        assert!(due(home.path()).unwrap());
    }

    #[test]
    fn a_program_that_others_could_have_put_there_is_not_run() {
        let home = home();
        let folder = home.path().join(FOLDER);
        let program = folder.join("finish");
        fs::write(folder.join("journal"), "").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o722)).unwrap();
        assert!(due(home.path()).is_err());
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(due(home.path()).is_err());
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        fs::rename(&program, folder.join("other")).unwrap();
        symlink("other", &program).unwrap();
        assert!(due(home.path()).is_err());
    }
}
