//! What `agent_upgrade` says: lines about the upgrade, unless it is silent, and
//! on standard error what is not for scripts.

use std::io::Write;

use super::args::NAME;
use crate::error::CtlError;
use crate::output::{self, clean};

/// What of it all is printed.
pub(super) struct Say {
    pub(super) silent: bool,
    pub(super) debug: bool,
}

impl Say {
    /// Whole lines about the upgrade.
    pub(super) fn line(&self, text: &str) -> Result<(), CtlError> {
        if self.silent || text.is_empty() {
            return Ok(());
        }
        output::print(text)
    }

    pub(super) fn debug(&self, text: impl std::fmt::Display) {
        if self.debug {
            note(&format!("debug: {text}"));
        }
    }
}

/// A line on standard error, which is not for scripts.
pub(super) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}: {}", NAME, clean(text));
}
