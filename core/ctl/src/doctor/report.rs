//! What the checks found: a line or an object for each as soon as it is known,
//! and the sum at the end.

use serde_json::json;
use wpk_api::examine::{Check, Level};

use crate::error::CtlError;
use crate::output::{Ending, Output, clean};

/// Prints checks and counts them.
pub(super) struct Report<'a> {
    out: &'a Output,
    counts: [usize; 3],
}

impl<'a> Report<'a> {
    pub(super) fn new(out: &'a Output) -> Self {
        Self {
            out,
            counts: [0; 3],
        }
    }

    /// A check of the daemon's section `section`; empty for any other.
    ///
    /// # Errors
    /// [`CtlError::Print`].
    pub(super) fn add(&mut self, section: &str, check: &Check) -> Result<(), CtlError> {
        let [ok, warnings, failures] = &mut self.counts;
        *match check.level {
            Level::Ok => ok,
            Level::Warning => warnings,
            Level::Failure => failures,
        } += 1;
        // What the daemon tells may be the words of others.
        let check = Check {
            name: clean(&check.name),
            level: check.level,
            detail: clean(&check.detail),
            advice: clean(&check.advice),
        };
        self.out.event(&json!({
            "event": "check", "section": clean(section), "check": check.name,
            "status": check.level, "detail": check.detail, "advice": check.advice,
        }))?;
        self.out.line(check)
    }

    /// The sum. Ends well if nothing failed.
    ///
    /// # Errors
    /// [`CtlError::Print`].
    pub(super) fn close(self) -> Result<Ending, CtlError> {
        let [ok, warnings, failures] = self.counts;
        let ending = Ending::when(failures == 0);
        self.out.last(&json!({
            "event": "summary", "ok": ok, "warnings": warnings, "failures": failures,
            "exit_status": ending.status(),
        }))?;
        self.out.line(format!(
            "\n{ok} ok, {warnings} warnings, {failures} failures"
        ))?;
        Ok(ending)
    }
}
