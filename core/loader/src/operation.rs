//! One operation: what it is called, how long it may take, what it ends as.

use std::time::{Duration, Instant};

use bytes::Bytes;
use wpk_abi::Operation;

use crate::failure::CallError;
use crate::handles::Handle;

/// What a plugin is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// An operation of the header.
    Operation(Operation),
    /// The next bytes of a stream.
    Next,
}

impl From<Operation> for Asked {
    fn from(operation: Operation) -> Self {
        Self::Operation(operation)
    }
}

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Operation(operation) => operation.word(),
            Self::Next => "next",
        })
    }
}

/// The most JSON of an answer, in bytes.
pub(crate) const MAX_JSON: usize = 64 << 20;
/// The most raw bytes of an answer, in bytes.
pub(crate) const MAX_BODY: usize = 64 << 20;
/// The most bytes one `next` asks for.
pub(crate) const PIECE: usize = 1 << 20;

/// How an operation ended.
pub(crate) type Ended = Result<Completed, CallError>;

/// What a plugin completed an operation with.
pub(crate) struct Completed {
    pub(crate) status: i32,
    pub(crate) json: Vec<u8>,
    pub(crate) body: Bytes,
    pub(crate) handle: Handle,
}

/// An operation that is not completed.
pub(crate) struct Open {
    pub(crate) what: Asked,
    /// Whom it is about; kept from being closed.
    pub(crate) about: Handle,
    /// When its deadline passes; `None`: never.
    pub(crate) due: Option<Instant>,
    /// How long it may take once the plugin has begun it.
    pub(crate) limit: Option<Duration>,
    pub(crate) stage: Stage,
    /// The plugin's function that begins it has not returned yet. Until then the
    /// plugin may not know the token, so it is told nothing about it.
    pub(crate) inside: bool,
    /// How often it has to be told to give it up, once that function returned.
    pub(crate) owed: u8,
    /// Gets the end; `None`: nobody waits any more.
    pub(crate) done: Option<Box<dyn FnOnce(Ended) + Send>>,
}

impl Open {
    /// How often the plugin is to be told now, of `times`; the rest is owed.
    pub(crate) fn tell(&mut self, times: u8) -> u8 {
        if self.inside {
            self.owed = self.owed.saturating_add(times);
            return 0;
        }
        times
    }
}

/// How far an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It waits for a thread.
    Queued,
    /// The plugin has it.
    Running,
    /// The plugin was told to give it up.
    Cancelled,
}

/// How long it may take where the configuration says nothing; `None`: for ever.
pub(crate) fn usual_limit(asked: Asked) -> Option<Duration> {
    let Asked::Operation(operation) = asked else {
        return Some(Duration::from_secs(120));
    };
    let seconds = match operation {
        Operation::Serve | Operation::Connected => return None,
        Operation::Serves => 5,
        Operation::Check | Operation::Demands => 30,
        Operation::Resolve | Operation::Fetch => 600,
        // What an observer writes to may have to be waited for.
        Operation::Send | Operation::Observe => 300,
        _ => 60,
    };
    Some(Duration::from_secs(seconds))
}
