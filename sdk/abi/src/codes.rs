//! The numbers that cross the border. What each operation asks and answers is
//! documented beside its number in `include/wpk_plugin.h`.

/// How an operation ended.
pub mod status {
    /// It worked.
    pub const OK: i32 = 0;
    /// A stream has no more bytes; a request gets no answer.
    pub const END: i32 = 1;
    /// It was cancelled and took no effect.
    pub const CANCELLED: i32 = 2;
    /// It failed; the message says why.
    pub const FAILED: i32 = 3;
    /// The plugin crashed inside, and caught it.
    pub const PANICKED: i32 = 4;
    /// The question could not be read.
    pub const MALFORMED: i32 = 5;
    /// The operation is not known here.
    pub const UNSUPPORTED: i32 = 6;
    /// Settings are wrong; `problems` says which.
    pub const SETTINGS: i32 = 7;
    /// What the plugin speaks to cannot be reached.
    pub const UNAVAILABLE: i32 = 16;
    /// What the plugin speaks to gave an answer that makes no sense.
    pub const DAMAGED: i32 = 17;
    /// A disk is full.
    pub const FULL: i32 = 18;
    /// The other side refused.
    pub const REFUSED: i32 = 19;
    /// The agent is not connected.
    pub const NOT_CONNECTED: i32 = 20;
    /// The agent did not answer in time.
    pub const TIMED_OUT: i32 = 21;
    /// The connection ended before the answer.
    pub const CLOSED: i32 = 22;
    /// This plugin cannot do that.
    pub const NOT_SUPPORTED: i32 = 23;
    /// There is no WPK for the platform.
    pub const NO_PACKAGE: i32 = 32;
    /// The repository cannot be reached.
    pub const NOT_REACHABLE: i32 = 33;
    /// The version is not in the repository.
    pub const NOT_LISTED: i32 = 34;
    /// The file is listed but cannot be had.
    pub const NO_FILE: i32 = 35;
}

/// What is asked of a plugin.
pub mod operation {
    /// Every mistake in a section of settings.
    pub const CHECK: u32 = 1;
    /// Makes an instance from its settings.
    pub const OPEN: u32 = 2;
    /// Source: serves until it is cancelled.
    pub const SERVE: u32 = 16;
    /// Directory: the agents among some ids.
    pub const LOOKUP: u32 = 32;
    /// Directory: a page of agents.
    pub const LIST: u32 = 33;
    /// Directory: enrolls an agent.
    pub const ENROLL: u32 = 34;
    /// Provider: whether it is the one to ask.
    pub const SERVES: u32 = 48;
    /// Provider: which file answers a wish.
    pub const RESOLVE: u32 = 49;
    /// Provider: begins to stream a file.
    pub const FETCH: u32 = 50;
    /// Transport: a command to an agent, and its answer.
    pub const SEND: u32 = 64;
    /// Transport: ends when an agent is connected.
    pub const CONNECTED: u32 = 65;
    /// Store: creates tasks.
    pub const CREATE: u32 = 80;
    /// Store: the newest tasks of agents.
    pub const LATEST: u32 = 81;
    /// Store: moves tasks from status to status.
    pub const TRANSITION: u32 = 82;
    /// Store: takes waiting tasks.
    pub const CLAIM: u32 = 83;
    /// Store: deliveries a crash interrupted.
    pub const INTERRUPTED: u32 = 84;
    /// Store: records that an installer is about to run.
    pub const BEGIN_INSTALLER: u32 = 85;
    /// Store: marks tasks as alive.
    pub const TOUCH: u32 = 86;
    /// Store: cancels the waiting tasks of a node.
    pub const CANCEL: u32 = 87;
    /// Store: deletes waiting tasks.
    pub const WITHDRAW: u32 = 88;
    /// Store: ends tasks without a word.
    pub const EXPIRE: u32 = 89;
    /// Store: deletes old tasks.
    pub const PURGE: u32 = 90;
}

/// How important a log line is.
pub mod level {
    /// Something is broken.
    pub const ERROR: u32 = 1;
    /// Something is odd.
    pub const WARN: u32 = 2;
    /// Something happened.
    pub const INFO: u32 = 3;
    /// For whoever looks for a mistake.
    pub const DEBUG: u32 = 4;
    /// Everything.
    pub const TRACE: u32 = 5;
}

/// Bits of `wpk_header.features`.
pub mod feature {
    /// The host takes requests of sources (`wpk_host.request`).
    pub const SOURCES: u64 = 1;
    /// The host pulls byte streams (`wpk_plugin.next`).
    pub const STREAMS: u64 = 2;
    /// All features of this version.
    pub const ALL: u64 = SOURCES | STREAMS;
}
