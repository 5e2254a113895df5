//! Logs: one line per event on standard error, where a service manager or a
//! terminal picks it up. `RUST_LOG` chooses what is shown, where it is set; else
//! `log.filter` of the settings, `info` before they are read. `log.format = "json"` writes
//! an object for each event.
//!
//! Agents, repositories and clients have texts of theirs logged. Whatever they
//! hold, an event stays one line: nobody can write a line that we did not.

use std::io::{self, IsTerminal, Write};

use tracing::error;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};
use wpk_config::{LogFormat, LogSettings};

/// Without another word.
const USUAL: &str = "info";

/// What writes events.
type Lines = Box<dyn Layer<Registry> + Send + Sync>;
/// What of them is written is said on top of it.
type Filtered = tracing_subscriber::layer::Layered<reload::Layer<Lines, Registry>, Registry>;

/// The log that was started.
pub(crate) struct Log {
    filter: reload::Handle<EnvFilter, Filtered>,
    lines: reload::Handle<Lines, Registry>,
    /// `RUST_LOG` says what is shown.
    fixed: bool,
}

impl Log {
    /// Shows what `log.filter` says, unless `RUST_LOG` is set, in the form of
    /// `log.format`.
    pub(crate) fn show(&self, settings: &LogSettings) {
        let lines = lines(settings.format);
        if let Err(error) = self.lines.reload(lines) {
            error!(%error, "the form of the log stays as it was");
        }
        if self.fixed {
            return;
        }
        // Checked before, with the other settings.
        let filter = settings.filter.as_deref().unwrap_or(USUAL);
        let filter = EnvFilter::try_new(filter).map_err(|error| error.to_string());
        let taken = filter.and_then(|filter| {
            let taken = self.filter.reload(filter);
            taken.map_err(|error| error.to_string())
        });
        if let Err(error) = taken {
            error!(error, "the filter of the log stays as it was");
        }
    }

    /// Why `log.filter` does not count, if it does not.
    pub(crate) fn fixed(&self) -> Option<String> {
        (self.fixed).then(|| "RUST_LOG is set in the environment, and wins".to_owned())
    }
}

/// What is wrong with a `log.filter`.
///
/// # Errors
/// It is none.
pub(crate) fn check(filter: &str) -> Result<(), String> {
    EnvFilter::try_new(filter).map(drop).map_err(|error| {
        format!("is no filter: {error}; write \"info\", or \"info,wpk_runtime=debug\"")
    })
}

/// Starts logging; called once.
pub(crate) fn start() -> Log {
    let said = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default();
    let wanted = Some(said).filter(|said| !said.is_empty());
    let wanted = wanted.and_then(|said| match check(&said) {
        Ok(()) => EnvFilter::try_new(said).ok(),
        Err(wrong) => {
            // There is no log yet. What is passed over is to be seen all the same.
            eprintln!("wpkd: RUST_LOG {wrong}; it is passed over");
            None
        }
    });
    let fixed = wanted.is_some();
    let (lines, lines_handle) = reload::Layer::new(lines(LogFormat::Text));
    let (filter, filter_handle) =
        reload::Layer::new(wanted.unwrap_or_else(|| EnvFilter::new(USUAL)));
    // A second start is harmless: the first one stays.
    let _ = (Registry::default().with(lines).with(filter)).try_init();
    Log {
        filter: filter_handle,
        lines: lines_handle,
        fixed,
    }
}

fn lines(format: LogFormat) -> Lines {
    let lines = fmt::layer()
        .with_writer(|| OneLine(io::stderr()))
        // A log that cannot be written (a full disk, a closed pipe) is no reason
        // to end: the daemon goes on without it, and says nothing about that there.
        .log_internal_errors(false);
    match format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.with_ansi(false).json().boxed(),
    }
}

/// Takes one event per write, its line end included, and breaks no line before.
struct OneLine<W>(W);

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.write_all(event).map(|()| event.len())
    }

    fn write_all(&mut self, event: &[u8]) -> io::Result<()> {
        let (line, end) = match event.strip_suffix(b"\n") {
            Some(line) => (line, &b"\n"[..]),
            None => (event, &b""[..]),
        };
        if !line.iter().any(|byte| breaks_line(*byte)) {
            return self.0.write_all(event);
        }
        let mut text = Vec::with_capacity(event.len() + 16);
        for byte in line {
            if breaks_line(*byte) {
                text.extend(byte.escape_ascii());
            } else {
                text.push(*byte);
            }
        }
        text.extend(end);
        self.0.write_all(&text)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Line ends, and what a terminal takes for more than text. Escape itself is
/// left: the colours of a terminal begin with it, and values have none.
fn breaks_line(byte: u8) -> bool {
    byte.is_ascii_control() && byte != b'\t' && byte != 0x1b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let written = |event: &[u8]| {
            let mut out = OneLine(Vec::new());
            out.write_all(event).unwrap();
            String::from_utf8(out.0).unwrap()
        };
        assert_eq!(written(b"plain\n"), "plain\n");
        assert_eq!(
            written("\u{1b}[2mINFO\u{1b}[0m \u{e4}\tb\r\nINFO forged\u{8}\n".as_bytes()),
            "\u{1b}[2mINFO\u{1b}[0m \u{e4}\tb\\r\\nINFO forged\\x08\n"
        );
        assert_eq!(written(b"no end"), "no end");
    }
}
