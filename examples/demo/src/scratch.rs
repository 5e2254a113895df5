//! The one temporary folder that everything happens in: the manager's home, the
//! agents' homes, the repository, the logs.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use wpk_api::paths;

use crate::error::DemoError;
use crate::screen::scold;

/// The longest path of a socket, in bytes.
const LONGEST_SOCKET: usize = 107;
/// How much of each log is shown when something went wrong.
const LAST_LINES: usize = 25;
/// Where there are more logs than these, less is shown of each but the manager's.
const MANY_LOGS: usize = 10;
const FEW_LINES: usize = 4;

/// The folder. Removed when dropped.
#[derive(Debug)]
pub(crate) struct Scratch(TempDir);

impl Scratch {
    /// A new one in `$TMPDIR`, or in `/tmp`.
    pub(crate) fn new() -> Result<Self, DemoError> {
        let parent = std::env::temp_dir();
        let failed = |source| {
            DemoError::io(
                format_args!("{}: cannot make a folder there", parent.display()),
                source,
            )
        };
        let absolute = std::path::absolute(&parent).map_err(failed)?;
        let folder = tempfile::Builder::new()
            .prefix("wpk-demo-")
            .tempdir_in(absolute)
            .map_err(failed)?;
        let scratch = Self(folder);
        if scratch.manager_socket().as_os_str().len() > LONGEST_SOCKET {
            return Err(DemoError::TooLong(parent));
        }
        std::fs::create_dir(scratch.path("logs")).map_err(failed)?;
        Ok(scratch)
    }

    /// A path inside.
    pub(crate) fn path(&self, inside: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(inside)
    }

    /// The manager's home.
    pub(crate) fn manager_home(&self) -> PathBuf {
        self.path("manager")
    }

    /// The socket that takes upgrade requests.
    pub(crate) fn manager_socket(&self) -> PathBuf {
        self.manager_home().join(paths::UPGRADE_SOCKET)
    }

    /// An agent's home.
    pub(crate) fn agent_home(&self, name: &str) -> PathBuf {
        self.path(Path::new("agents").join(name))
    }

    /// Where a program's output goes.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.path(Path::new("logs").join(format!("{name}.log")))
    }

    /// Prints the last lines of every log, for whoever wonders what went wrong.
    pub(crate) fn show_logs(&self) {
        let entries = std::fs::read_dir(self.path("logs")).into_iter().flatten();
        let mut logs: Vec<_> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        logs.sort();
        for log in &logs {
            let text = std::fs::read(log).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let lines: Vec<_> = text.lines().collect();
            let name = log.file_name().unwrap_or_default();
            let most = match logs.len() > MANY_LOGS && name != "wpkd.log" {
                true => FEW_LINES,
                false => LAST_LINES,
            };
            let from = lines.len().saturating_sub(most);
            scold(format_args!("\n--- the end of {}", name.display()));
            for line in lines.iter().skip(from) {
                scold(line);
            }
        }
    }

    /// Removes it; dropping would do it too, but could not say if it failed.
    pub(crate) fn remove(self) -> Result<(), DemoError> {
        let what = format!("{}: cannot be removed", self.0.path().display());
        self.0.close().map_err(|source| DemoError::io(what, source))
    }
}
