//! How a library is loaded, as the configuration says it.

use std::time::Duration;

/// How to load a library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadOptions {
    /// The SHA-256 its bytes must have; `None`: any.
    pub sha256: Option<[u8; 32]>,
    /// How long one operation may take; `None`: what suits each (5 seconds for
    /// `serves` in any case, 30 seconds to check settings, 1 minute to open an
    /// instance or ask a store or directory, 2 minutes for a piece of a stream,
    /// 5 minutes for an agent, 10 minutes to resolve a wish and begin a download).
    pub deadline: Option<Duration>,
    /// How long an operation may take to end after it was taken back, before
    /// the plugin is quarantined.
    pub grace: Duration,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            sha256: None,
            deadline: None,
            grace: Duration::from_secs(5),
        }
    }
}
