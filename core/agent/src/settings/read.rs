//! Reading TOML so that every mistake is found at once. serde stops at the
//! first error, so each key of a section is first tried alone.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::{Table, Value};
pub use wpk_api::settings::Problem;

/// All mistakes of a file, one per line when printed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problems {
    /// The file.
    pub file: PathBuf,
    /// The mistakes, at least one; keys are from the top, for example
    /// `channel.address`.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}: ", self.file.display())?;
            if !problem.key.is_empty() {
                write!(f, "{}: ", problem.key)?;
            }
            // Errors of the TOML reader show the place on lines of their own.
            f.write_str(problem.message.trim_end())?;
        }
        Ok(())
    }
}

/// Collects mistakes while a file is read.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) problems: Vec<Problem>,
}

impl Reader {
    pub(super) fn problem(&mut self, key: impl Into<String>, message: impl Into<String>) {
        self.problems.push(Problem::new(key, message));
    }

    /// Notes the mistakes of one section.
    pub(super) fn found(&mut self, section: &str, checked: wpk_api::settings::Problems) {
        let inside = |problem: Problem| problem.inside(section);
        self.problems
            .extend(checked.found().into_iter().map(inside));
    }

    /// Takes the table `key` out of `table`; `shown` is its name from the top.
    pub(super) fn take(&mut self, table: &mut Table, key: &str, shown: &str) -> Option<Table> {
        match table.remove(key)? {
            Value::Table(inner) => Some(inner),
            _ => {
                self.problem(
                    shown,
                    format!("must be a table: write [{shown}] and its keys below"),
                );
                None
            }
        }
    }

    /// Reads one section. `T` has a default for every key and denies unknown
    /// ones; where there is a mistake the default stands in.
    pub(super) fn section<T: DeserializeOwned + Default>(
        &mut self,
        shown: &str,
        table: Table,
    ) -> T {
        let before = self.problems.len();
        for (key, value) in &table {
            let alone = Table::from_iter([(key.clone(), value.clone())]);
            if let Err(error) = Value::Table(alone).try_into::<T>() {
                let key = if shown.is_empty() {
                    key.clone()
                } else {
                    format!("{shown}.{key}")
                };
                let message = error.message().trim_end().to_owned();
                self.problem(key, message);
            }
        }
        if self.problems.len() > before {
            return T::default();
        }
        Value::Table(table)
            .try_into()
            .unwrap_or_else(|error: toml::de::Error| {
                self.problem(shown, error.message());
                T::default()
            })
    }
}

/// The text of a settings file, which has at most a megabyte.
pub(super) fn text(file: &Path) -> Result<String, String> {
    const LIMIT: u64 = 1 << 20;
    let size = std::fs::metadata(file)
        .map_err(|error| format!("cannot be read: {error}"))?
        .len();
    if size > LIMIT {
        return Err(format!("has {size} bytes; settings have at most {LIMIT}"));
    }
    std::fs::read_to_string(file).map_err(|error| format!("cannot be read: {error}"))
}
