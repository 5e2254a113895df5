//! Log lines of a plugin: one line each, with its name, not too many.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::{Level, debug, enabled, error, info, trace, warn};
use wpk_abi::codes::level;

use crate::failure::tame;

/// Lines of one plugin within [`WINDOW`].
const MOST: u32 = 500;
const WINDOW: Duration = Duration::from_secs(1);

/// What a plugin has logged lately.
pub(crate) struct Logs(Mutex<Window>);

struct Window {
    began: Instant,
    lines: u32,
}

impl Default for Logs {
    fn default() -> Self {
        Self(Mutex::new(Window {
            began: Instant::now(),
            lines: 0,
        }))
    }
}

impl Logs {
    /// Writes a line, unless the plugin writes too many.
    pub(crate) fn write(&self, plugin: &str, of: u32, line: &[u8]) {
        if !is_enabled(of) {
            return;
        }
        let dropped = {
            let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let over = window.lines.saturating_sub(MOST);
            if window.began.elapsed() >= WINDOW {
                *window = Window {
                    began: Instant::now(),
                    lines: 1,
                };
                over
            } else {
                window.lines = window.lines.saturating_add(1);
                if window.lines > MOST {
                    return;
                }
                0
            }
        };
        if dropped > 0 {
            warn!(
                plugin,
                dropped, "the plugin logs too much; lines are missing"
            );
        }
        let line = tame(&String::from_utf8_lossy(line));
        match of {
            level::ERROR => error!(plugin, "{line}"),
            level::WARN => warn!(plugin, "{line}"),
            level::INFO => info!(plugin, "{line}"),
            level::DEBUG => debug!(plugin, "{line}"),
            _ => trace!(plugin, "{line}"),
        }
    }
}

/// Whether a line of this level would be written.
pub(crate) fn is_enabled(of: u32) -> bool {
    match of {
        level::ERROR => enabled!(Level::ERROR),
        level::WARN => enabled!(Level::WARN),
        level::INFO => enabled!(Level::INFO),
        level::DEBUG => enabled!(Level::DEBUG),
        _ => enabled!(Level::TRACE),
    }
}
