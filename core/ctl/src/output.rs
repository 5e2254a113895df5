//! What is printed, and the exit status. Everything that goes to standard
//! output passes here, so that a closed pipe ends the program quietly and
//! text that strangers chose cannot steer the terminal.

use std::io::{self, Write};
use std::process::ExitCode;

use serde::Serialize;
use serde_json::json;
use wpk_api::words::{self, LONGEST_CAUSE};
use wpk_api::{Dialect, UnixTime};
use wpk_wire::task::TaskTimes;

use crate::error::CtlError;
use crate::options::{Color, Global};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ending {
    /// As wished: exit status 0.
    Well,
    /// None failed, but of at least one agent it is not known how it ended: exit
    /// status 3.
    Unknown,
    /// At least one agent or file not: exit status 1.
    Badly,
    /// By Ctrl-C: exit status 130.
    Interrupted,
}

impl Ending {
    /// Well if `good`, else badly.
    pub(crate) fn when(good: bool) -> Self {
        if good { Self::Well } else { Self::Badly }
    }

    /// The ending of several things together: badly if one did, unknown if one is.
    pub(crate) fn of(endings: impl IntoIterator<Item = Self>) -> Self {
        endings.into_iter().max().unwrap_or(Self::Well)
    }

    /// The exit status.
    pub(crate) fn status(self) -> u8 {
        match self {
            Self::Well => 0,
            Self::Badly => 1,
            Self::Unknown => 3,
            Self::Interrupted => 130,
        }
    }
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        Self::from(ending.status())
    }
}

/// In which form to print.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) json: bool,
    pub(crate) quiet: bool,
    color: Color,
}

impl Output {
    pub(crate) fn new(global: &Global) -> Self {
        Self {
            json: global.json,
            quiet: global.quiet,
            color: global.color,
        }
    }

    /// Whether to colour what is shown there: on a terminal that has colours, unless
    /// `NO_COLOR` is set, or as `--color` says.
    pub(crate) fn colors(&self, is_terminal: bool) -> bool {
        let variable = |name| std::env::var_os(name).filter(|text| !text.is_empty());
        let has = || variable("TERM").is_some_and(|term| term != "dumb");
        match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => is_terminal && has() && variable("NO_COLOR").is_none(),
        }
    }

    /// A line for people.
    pub(crate) fn line(&self, text: impl std::fmt::Display) -> Result<(), CtlError> {
        if self.json || self.quiet {
            return Ok(());
        }
        print(&format!("{text}\n"))
    }

    /// A line that is what the command is for and is told this once: printed also when quiet.
    pub(crate) fn result(&self, text: impl std::fmt::Display) -> Result<(), CtlError> {
        if self.json {
            return Ok(());
        }
        print(&format!("{text}\n"))
    }

    /// An object on the way, for scripts.
    pub(crate) fn event(&self, object: &impl Serialize) -> Result<(), CtlError> {
        if !self.json || self.quiet {
            return Ok(());
        }
        self.last(object)
    }

    /// The object that sums up, for scripts; printed also when quiet.
    pub(crate) fn last(&self, object: &impl Serialize) -> Result<(), CtlError> {
        if !self.json {
            return Ok(());
        }
        let text = serde_json::to_string(object).map_err(|e| CtlError::Print(e.into()))?;
        print(&format!("{}\n", escaped(&text)))
    }

    /// An error, on standard error, and as an object where scripts read.
    pub(crate) fn error(&self, error: &CtlError) {
        if let CtlError::Print(source) = error
            && source.kind() == io::ErrorKind::BrokenPipe
        {
            return;
        }
        let text = error.to_string();
        // Where nothing can be printed, the exit status still tells.
        let _ = writeln!(io::stderr(), "wpkctl: {}", clean_lines(&text));
        let _ = self.last(&json!({"event": "error", "message": text}));
    }

    /// A warning, on standard error.
    pub(crate) fn warn(&self, text: impl std::fmt::Display) {
        let _ = writeln!(io::stderr(), "wpkctl: {}", clean_lines(&text.to_string()));
    }
}

/// Prints whole lines as they are.
///
/// # Errors
/// [`CtlError::Print`].
pub(crate) fn print(text: &str) -> Result<(), CtlError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(CtlError::Print)
}

/// A line of comma-separated values, as in RFC 4180, but with a bare line feed. No field holds
/// line feeds: they are [`clean`].
pub(crate) fn csv(fields: impl IntoIterator<Item = String>) -> String {
    let quoted = |field: String| match field.contains([',', '"']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field,
    };
    let fields: Vec<String> = fields.into_iter().map(quoted).collect();
    fields.join(",") + "\n"
}

/// The longest text of somebody else on one line, in bytes: twice a cause.
const LONGEST_LINE: usize = 2 * LONGEST_CAUSE;
/// The longest error, in bytes: it may list every mistake in a file of settings.
const LONGEST_ERROR: usize = 64 * 1024;

/// A text of an agent, a package or the manager, fit for one line of a
/// terminal: what would steer it becomes `?`, and the rest of a long one `…`.
pub(crate) fn clean(text: &str) -> String {
    words::clean(&text.replace(words::steers, "?"), LONGEST_LINE)
}

/// A time as people read it, UTC.
pub(crate) fn time(seconds: UnixTime) -> String {
    TaskTimes::new(Dialect::Documented).create(seconds) + " UTC"
}

fn clean_lines(text: &str) -> String {
    let clean = text.replace(|c: char| words::steers(c) && c != '\n', "?");
    match clean.char_indices().find(|(at, _)| *at >= LONGEST_ERROR) {
        Some((end, _)) => format!("{}…", clean.get(..end).unwrap_or_default()),
        None => clean,
    }
}

/// JSON whose texts cannot steer a terminal either: it has control characters
/// escaped, but not all of what steers one. None of that stands outside a text.
fn escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if words::steers(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                escaped.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            escaped.push(c);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(clean("a\x1b[2Jb\nc"), "a?[2Jb?c");
        assert_eq!(clean_lines("a\nb\x07"), "a\nb?");
        let evil = "\u{9b}31m\u{202e}a\u{7f}";
        assert_eq!(clean(evil), "?31m?a?");
        let json = escaped(&json!({"said": evil}).to_string());
        assert_eq!(json, r#"{"said":"\u009b31m\u202ea\u007f"}"#);
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read["said"], evil);
    }

    #[test]
    fn texts_are_bounded() {
        let long = "é".repeat(LONGEST_ERROR);
        assert!(clean(&long).len() <= LONGEST_LINE);
        assert!(clean_lines(&long).len() <= LONGEST_ERROR + 2 * '…'.len_utf8());
    }

    #[test]
    fn endings_have_their_exit_status() {
        use Ending::{Badly, Interrupted, Unknown, Well};
        let statuses = [Well, Badly, Unknown, Interrupted].map(Ending::status);
        assert_eq!(statuses, [0, 1, 3, 130]);
        assert_eq!(Ending::of([Well, Unknown, Well]), Unknown);
        assert_eq!(Ending::of([Unknown, Badly, Well]), Badly);
        assert_eq!(Ending::of([]), Well);
    }
}
