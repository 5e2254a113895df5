//! Printing lines. A reader that went away (`| head`) is no reason to panic:
//! the demo then ends as it would have, and cleans up.

use std::fmt::Display;
use std::io::Write;

/// A line on standard output.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A line on standard error.
pub(crate) fn scold(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
