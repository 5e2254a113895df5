//! Ending what a killed installer began.

use std::path::Path;

use crate::error::InstallError;
use crate::home;
use crate::state::State;
use crate::verdict::{Step, Verdict};
use crate::work::{Hook, Work};

/// Ends an upgrade that was killed in its middle: completes it when its verdict
/// was reached, else brings the old version back; then reports it, unless it
/// had been reported. Answers the verdict; `None` when there was nothing to do.
///
/// # Errors
/// [`InstallError::Locked`] while an installer is at work; else what cannot be
/// read or restored. The next call tries again.
pub fn recover(home: impl AsRef<Path>) -> Result<Option<Verdict>, InstallError> {
    let state = State::open(&home::find(home.as_ref())?)?;
    let mut hook: Hook = Box::new(|_: Step| {});
    finish(state, &mut hook)
}

pub(crate) fn finish(state: State, hook: &mut Hook) -> Result<Option<Verdict>, InstallError> {
    let Some(work) = Work::resume(state, hook)? else {
        return Ok(None);
    };
    let verdict = work.journal.record.verdict.unwrap_or(Verdict::Failed);
    work.end(verdict, None, hook).map(Some)
}
