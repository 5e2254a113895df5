//! What the checks found: a line or an object for each as soon as it is known,
//! and the sum at the end.

use serde_json::json;

use crate::error::CtlError;
use crate::output::{Ending, Output, clean};

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Ok,
    Warning,
    Failure,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }
}

/// One check and its end.
#[derive(Debug, Clone)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) level: Level,
    /// What was found.
    pub(super) detail: String,
    /// What to do; empty where all is well.
    pub(super) advice: String,
}

impl Check {
    pub(super) fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self::new(name, Level::Ok, detail, "")
    }

    pub(super) fn warning(
        name: &'static str,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::new(name, Level::Warning, detail, advice)
    }

    pub(super) fn failure(
        name: &'static str,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::new(name, Level::Failure, detail, advice)
    }

    pub(super) fn new(
        name: &'static str,
        level: Level,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            name,
            level,
            detail: clean(&detail.into()),
            advice: clean(&advice.into()),
        }
    }
}

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

    /// # Errors
    /// [`CtlError::Print`].
    pub(super) fn add(&mut self, check: Check) -> Result<(), CtlError> {
        let [ok, warnings, failures] = &mut self.counts;
        *match check.level {
            Level::Ok => ok,
            Level::Warning => warnings,
            Level::Failure => failures,
        } += 1;
        let Check {
            name,
            level,
            detail,
            advice,
        } = check;
        self.out.event(&json!({
            "event": "check", "check": name, "status": level.word(), "detail": detail, "advice": advice,
        }))?;
        let semicolon = if advice.is_empty() { "" } else { "; " };
        let word = level.word();
        self.out
            .line(format!("{word:<8} {name}: {detail}{semicolon}{advice}"))
    }

    /// # Errors
    /// [`CtlError::Print`].
    pub(super) fn add_all(
        &mut self,
        checks: impl IntoIterator<Item = Check>,
    ) -> Result<(), CtlError> {
        checks.into_iter().try_for_each(|check| self.add(check))
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
