//! What an agent's home tells, whatever the manager says: which version its program is,
//! and how often an installer was begun there and how it ended.

use std::fs;
use std::io;
use std::path::Path;

use crate::error::DemoError;
use crate::home;

/// What a home tells at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// What its program says: a version, or why it does not run.
    pub(crate) program: String,
    /// How many installers were begun.
    begun: usize,
    /// The digits that they reported.
    results: Vec<String>,
}

/// What a release did to an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Became {
    /// Its new program runs.
    Upgraded,
    /// Its installer failed, and the program from before runs.
    Failed,
    /// No installer of it was ever begun, and the program from before runs.
    Untouched,
    /// Nothing of this; what was found.
    Odd(String),
}

impl Evidence {
    /// Runs the program in a home, and reads the installers' log there.
    pub(crate) async fn of(home: &Path) -> Result<Self, DemoError> {
        let log = home.join("logs/upgrade.log");
        let text = match fs::read(&log) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(DemoError::io(log.display().to_string(), error)),
        };
        // A program that does not run is evidence, too.
        let program = home::ask_program(home).await;
        let program = program.unwrap_or_else(|error| error.to_string());
        Ok(Self::read(program, &text))
    }

    fn read(program: String, log: &str) -> Self {
        let results = log.lines().filter_map(|line| line.strip_prefix("result "));
        Self {
            program,
            begun: log.lines().filter(|line| *line == "begun").count(),
            results: results.map(ToOwned::to_owned).collect(),
        }
    }

    /// What a release of this version did to the agent since `before`.
    pub(crate) fn since(&self, before: &Self, version: &str) -> Became {
        let begun = self.begun.saturating_sub(before.begun);
        let results = self.results.get(before.results.len()..).unwrap_or_default();
        let results: Vec<&str> = results.iter().map(String::as_str).collect();
        let as_before = self.program == before.program;
        match (begun, results.as_slice()) {
            (0, []) if as_before => Became::Untouched,
            (1, ["0"]) if self.program == version => Became::Upgraded,
            (1, ["2"]) if as_before => Became::Failed,
            _ => Became::Odd(format!(
                "{begun} installers, results {results:?}, its program says {:?}",
                self.program
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(program: &str, log: &str) -> Evidence {
        Evidence::read(program.to_owned(), log)
    }

    #[test]
    fn what_happened_is_told_by_the_programs_and_the_installers() {
        let before = home("v1", "begun\nresult 0\n");
        let since = |program: &str, log: &str| {
            let log = format!("begun\nresult 0\n{log}");
            home(program, &log).since(&before, "v2")
        };
        assert_eq!(since("v1", ""), Became::Untouched);
        assert_eq!(since("v2", "begun\nresult 0\n"), Became::Upgraded);
        let back = "begun\nthe new program does not run, so the old one comes back\nresult 2\n";
        assert_eq!(since("v1", back), Became::Failed);
        for (program, log) in [
            ("v2", ""),
            ("v1", "begun\nresult 0\n"),
            ("v2", "begun\nresult 2\n"),
            ("v1", "begun\n"),
            ("v2", "begun\nresult 0\nbegun\nresult 0\n"),
            ("sensor: does not run", "begun\nresult 2\n"),
        ] {
            assert!(matches!(since(program, log), Became::Odd(_)), "{log}");
        }
    }
}
