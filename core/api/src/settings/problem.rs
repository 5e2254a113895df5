//! Mistakes in settings, and the checks that most sections need.

use std::ffi::OsStr;
use std::fmt::{self, Display};
use std::ops::RangeInclusive;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::units::Span;

/// One mistake in the settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The key, relative to the section: `timeout`, `tls.ca_file`; empty for
    /// the section as a whole.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Problem {
    /// A mistake at `key`.
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            message: message.into(),
        }
    }

    /// The same mistake seen from the section around: `key` is put in front.
    #[must_use]
    pub fn inside(mut self, key: &str) -> Self {
        self.key = match (key.is_empty(), self.key.is_empty()) {
            (true, _) => self.key,
            (_, true) => key.to_owned(),
            _ => format!("{key}.{}", self.key),
        };
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.key, self.message)
        }
    }
}

/// The mistakes of a section, collected one by one:
///
/// ```
/// use wpk_api::settings::{Problems, Span};
///
/// let mut problems = Problems::new();
/// problems.in_range("attempts", 0, 1..=100);
/// problems.not_zero("timeout", Span::seconds(10), "10s");
/// problems.not_empty("socket", "", "write the path of the socket");
/// let found: Vec<String> = problems.found().iter().map(ToString::to_string).collect();
/// assert_eq!(
///     found,
///     [
///         "attempts: 0 is outside 1 to 100",
///         "socket: is empty; write the path of the socket"
///     ]
/// );
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// None so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// A mistake of one's own at `key`.
    pub fn add(&mut self, key: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem::new(key, message));
    }

    /// `value` must lie in `range`: a number, a [`Span`], a
    /// [`ByteSize`](super::ByteSize).
    pub fn in_range<T: PartialOrd + Display>(
        &mut self,
        key: &str,
        value: T,
        range: RangeInclusive<T>,
    ) {
        if !range.contains(&value) {
            let (least, most) = range.into_inner();
            self.add(key, format!("{value} is outside {least} to {most}"));
        }
    }

    /// A wait must be longer than nothing. `example` is what one could write.
    pub fn not_zero(&mut self, key: &str, span: Span, example: &str) {
        if span.0.is_zero() {
            self.add(
                key,
                format!("must be longer than 0; write for example {example:?}"),
            );
        }
    }

    /// A text or a path must not be empty. `advice` says what to write instead.
    pub fn not_empty(&mut self, key: &str, text: impl AsRef<OsStr>, advice: &str) {
        if text.as_ref().is_empty() {
            self.add(key, format!("is empty; {advice}"));
        }
    }

    /// A path must end in a name, which `""`, `"/"` and `".."` do not. `example`
    /// is what one could write.
    pub fn names_file(&mut self, key: &str, path: &Path, example: &str) {
        if path.file_name().is_none() {
            self.add(key, format!("must name a file, for example {example:?}"));
        }
    }

    /// What was found, in the order of the checks.
    pub fn found(self) -> Vec<Problem> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::ByteSize;

    fn told(check: impl FnOnce(&mut Problems)) -> Vec<String> {
        let mut problems = Problems::new();
        check(&mut problems);
        problems.found().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn both_ends_of_a_range_belong_to_it() {
        for good in [1, 50, 100] {
            assert_eq!(told(|p| p.in_range("n", good, 1..=100)), [""; 0]);
        }
        assert_eq!(
            told(|p| p.in_range("n", 101, 1..=100)),
            ["n: 101 is outside 1 to 100"]
        );
        let sizes = ByteSize(64 << 10)..=ByteSize(1 << 30);
        assert_eq!(
            told(|p| p.in_range("size", ByteSize(1 << 10), sizes)),
            ["size: 1KiB is outside 64KiB to 1GiB"]
        );
    }

    #[test]
    fn what_is_nothing_is_told_with_what_to_write() {
        assert_eq!(
            told(|p| p.not_zero("wait", Span::seconds(0), "15s")),
            ["wait: must be longer than 0; write for example \"15s\""]
        );
        assert_eq!(
            told(|p| p.not_zero("wait", Span::seconds(1), "15s")),
            [""; 0]
        );
        assert_eq!(
            told(|p| p.not_empty("a", Path::new(""), "b")),
            ["a: is empty; b"]
        );
        assert_eq!(told(|p| p.not_empty("a", "x", "b")), [""; 0]);
    }

    #[test]
    fn a_path_without_a_name_is_no_file() {
        for bad in ["", "/", ".."] {
            assert_eq!(
                told(|p| p.names_file("path", Path::new(bad), "a/b")),
                ["path: must name a file, for example \"a/b\""],
                "{bad:?}"
            );
        }
        assert_eq!(
            told(|p| p.names_file("path", Path::new("a"), "a/b")),
            [""; 0]
        );
    }
}
