//! What an installer leaves behind before it begins: a second process of its own program
//! (`watchdog`), which ends its work at once should it be killed, or hang. It knows by the
//! pipe at its standard input, which is open for as long as the installer lives.

use std::env;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use crate::background;
use crate::error::InstallError;
use crate::log;

/// Set in it: the run it watches, and how many seconds that may take.
pub(crate) const MARK: &str = "WPK_INSTALLER_WATCHDOG";

/// The installer's end of the pipe.
#[derive(Debug)]
pub(crate) struct Watched {
    _pipe: Option<ChildStdin>,
}

/// Whether this process is one, and for what.
pub(crate) fn order() -> Option<(String, Duration)> {
    let mark = env::var(MARK).ok()?;
    let (run, seconds) = mark.split_once(' ')?;
    Some((run.to_owned(), Duration::from_secs(seconds.parse().ok()?)))
}

/// Leaves one behind. `program` is kept until the work is done.
///
/// # Errors
/// It cannot be started.
pub(crate) fn leave(
    home: &Path,
    program: &Path,
    run: &str,
    limit: Duration,
) -> Result<Watched, InstallError> {
    let broken = |error: std::io::Error| InstallError::Background(format!("no watchdog: {error}"));
    let log = log::open(home)?;
    let errors = log.try_clone().map_err(broken)?;
    let mut child = Command::new(program)
        .args(env::args_os().skip(1))
        .env_remove(background::MARK)
        .env(MARK, format!("{run} {}", limit.as_secs().max(1)))
        .current_dir(home)
        .stdin(Stdio::piped())
        .stdout(Stdio::from(log))
        .stderr(Stdio::from(errors))
        .spawn()
        .map_err(broken)?;
    // It outlives this process, which need not wait for it.
    Ok(Watched {
        _pipe: child.stdin.take(),
    })
}
