//! The installer inside a WPK of `wpk-agent` itself (`config/package --wpk`). It puts a new
//! program and its version in the place of those that run, restarts the agent, and takes
//! both back when the agent does not come back within its time.
//!
//! The package holds `wpk-agent`, `VERSION` (a line such as `v4.14.1`), `within` (seconds,
//! may be absent) and, below `root`, files such as man pages, which replace those that an
//! installed package has. Settings and unit stay as they are.

mod agent;
mod health;
mod restart;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use wpk_installer::{Command, Health, InstallError, Installer};

use agent::Agent;

/// Where this program is while there is something to finish.
const KEPT: &str = "var/installer/finish";
/// How it is asked to restart the agent, for the journal: also whoever rolls back does.
const RESTART: &str = "restart";
/// How the unit asks it, before each start, to end what was cut short.
const SETTLE: &str = "settle";
/// Where the packages' program is.
const INSTALLED: &str = "/usr/bin/wpk-agent";
const ROOT: &str = "root";
/// How long the agent may take to come back, in seconds.
const WITHIN: u64 = 60;
const LONGEST_WITHIN: u64 = 3_600;

fn main() -> ExitCode {
    let done = match std::env::args().nth(1).as_deref() {
        Some(RESTART) => restart::restart(Path::new(".")).map(|()| ExitCode::SUCCESS),
        Some(SETTLE) => settle(),
        _ => installer().map(Installer::run),
    };
    done.unwrap_or_else(|reason| {
        eprintln!("wpk-agent-installer: {reason}");
        ExitCode::from(2)
    })
}

/// Ends what was cut short, in this process: what the unit starts in the background is
/// killed before the agent begins.
fn settle() -> Result<ExitCode, String> {
    let installer = Installer::here().map_err(|error| error.to_string())?;
    match wpk_installer::recover(installer.home()) {
        // One is at work, and the agent that starts is what it waits for.
        Ok(_) | Err(InstallError::Locked(_)) => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error.to_string()),
    }
}

fn installer() -> Result<Installer, String> {
    let words = |error: InstallError| error.to_string();
    let installer = Installer::here().map_err(words)?;
    let home = installer.home().to_owned();
    // A watchdog, or one that finishes, needs no targets: the journal has them.
    let Ok(agent) = Agent::read(&home) else {
        return if installer.is_first() {
            Err(format!(
                "{}: what runs there tells nothing of itself: only an agent of this release or \
                 a later one is upgraded by this package",
                home.display()
            ))
        } else {
            Ok(installer)
        };
    };
    let package = home.join("var/upgrade");
    let within = fs::read_to_string(package.join("within")).ok();
    let within = within.and_then(|text| text.trim().parse().ok());
    let within = Duration::from_secs(within.unwrap_or(WITHIN).clamp(1, LONGEST_WITHIN));
    let mut installer = put(installer, &agent.program, "wpk-agent");
    if let Some(file) = &agent.version_file {
        installer = put(installer, file, "VERSION");
    }
    if agent.program == Path::new(INSTALLED) {
        for inside in files(&package.join(ROOT)) {
            let target = Path::new("/").join(&inside);
            if target.is_file() {
                installer = put(installer, &target, Path::new(ROOT).join(inside));
            }
        }
    }
    let restart = Command::from([KEPT, RESTART]);
    Ok(installer
        .start(restart)
        .health(Health::own(
            format!("the agent did not come back within {} s", within.as_secs()),
            move |home| health::look(home, &agent),
        ))
        .health_limit(within)
        .watchdog())
}

fn put(installer: Installer, target: &Path, source: impl Into<PathBuf>) -> Installer {
    let folder = target.parent().unwrap_or(Path::new("/"));
    installer.allow_outside(folder).replace(target, source)
}

/// Plain files below a folder, by their paths inside it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut files, mut open) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(inside) = open.pop() {
        for entry in fs::read_dir(folder.join(&inside))
            .into_iter()
            .flatten()
            .flatten()
        {
            let path = inside.join(entry.file_name());
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(path),
                Ok(kind) if kind.is_file() => files.push(path),
                _ => {}
            }
        }
    }
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_on_every_level_and_links_are_none() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("usr/share")).unwrap();
        for file in ["a", "usr/share/b"] {
            fs::write(dir.path().join(file), "").unwrap();
        }
        std::os::unix::fs::symlink("/etc", dir.path().join("usr/link")).unwrap();
        let found = [PathBuf::from("a"), PathBuf::from("usr/share/b")];
        assert_eq!(files(dir.path()), found);
        assert!(files(&dir.path().join("none")).is_empty());
    }
}
