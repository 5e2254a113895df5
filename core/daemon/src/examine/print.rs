//! A line, or an object, for each check.

use std::io::{self, Write};

use wpk_api::examine::{Check, Level, Line};

/// Prints to standard output, at once, and remembers whether anything failed.
pub(super) struct Printer {
    json: bool,
    failed: bool,
}

impl Printer {
    pub(super) fn new(json: bool) -> Self {
        Self {
            json,
            failed: false,
        }
    }

    /// # Errors
    /// If it cannot be printed.
    pub(super) fn add(&mut self, section: &str, check: Check) -> io::Result<()> {
        self.failed |= check.level == Level::Failure;
        if !self.json {
            return print(&format!("{check}\n"));
        }
        let section = section.to_owned();
        object(&Line::Check { section, check })
    }

    /// # Errors
    /// If they cannot be printed.
    pub(super) fn add_all(
        &mut self,
        section: &str,
        checks: impl IntoIterator<Item = Check>,
    ) -> io::Result<()> {
        let mut checks = checks.into_iter();
        checks.try_for_each(|check| self.add(section, check))
    }

    /// Says that everything was looked at.
    ///
    /// # Errors
    /// If it cannot be printed.
    pub(super) fn end(&self) -> io::Result<()> {
        match self.json {
            true => object(&Line::End),
            false => Ok(()),
        }
    }

    /// Whether nothing failed.
    pub(super) fn all_is_well(&self) -> bool {
        !self.failed
    }
}

fn object(line: &Line) -> io::Result<()> {
    print(&format!("{}\n", serde_json::to_string(line)?))
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
