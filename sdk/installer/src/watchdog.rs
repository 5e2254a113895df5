//! The process that an installer has left behind (`guard`): it waits for the installer's
//! end, however that comes, and ends what it finds unfinished. Without it a killed
//! installer would wait for the next start of the agent, which its own half of an upgrade
//! may have made impossible.

use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Signal, getppid, kill_process, setsid};

use crate::error::InstallError;
use crate::journal::Journal;
use crate::log::say;
use crate::recover;
use crate::state::State;
use crate::verdict::Verdict;
use crate::work::Hook;

/// Watches the run until its end. Answers the verdict if this process had to reach it.
///
/// # Errors
/// As [`recover`](crate::recover()).
pub(crate) fn watch(
    home: &Path,
    run: &str,
    limit: Duration,
    hook: &mut Hook,
) -> Result<Option<Verdict>, InstallError> {
    let installer = getppid();
    // As part of the installer's session it would be ended with it.
    let _ = setsid();
    let (sender, ended) = mpsc::channel();
    thread::spawn(move || {
        let mut nothing = Vec::new();
        let _ = io::stdin().read_to_end(&mut nothing);
        // Nobody listens any more where the time limit was met.
        let _ = sender.send(());
    });
    if ended.recv_timeout(limit).is_err() {
        say(format_args!(
            "run {run} is at work for over {limit:?}: it is killed"
        ));
        // The pipe is open, so it lives, and the number is its.
        if let Some(installer) = installer.filter(|_| getppid() == installer) {
            let _ = kill_process(installer, Signal::KILL);
        }
        let _ = ended.recv();
    }
    // No look at the lock where all is done: another installer may be about to take it.
    if !is_at_work(home, run)? {
        return Ok(None);
    }
    let state = State::wait(home)?;
    if !is_at_work(home, run)? {
        return Ok(None);
    }
    say(format_args!(
        "the installer of run {run} is gone before its end"
    ));
    recover::finish(state, hook)
}

/// Whether the run still has its journal.
fn is_at_work(home: &Path, run: &str) -> Result<bool, InstallError> {
    let journal = Journal::open(&State::journal_in(home))?;
    Ok(journal.is_some_and(|journal| journal.record.run == run))
}
