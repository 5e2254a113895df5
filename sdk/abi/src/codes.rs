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
    /// A store: nobody knows whether it took effect. Since minor version 3.
    pub const UNCERTAIN: i32 = 24;
    /// A store: another daemon entered under this one's name. Since minor version 3.
    pub const FENCED: i32 = 25;
    /// There is no WPK for the platform.
    pub const NO_PACKAGE: i32 = 32;
    /// The repository cannot be reached.
    pub const NOT_REACHABLE: i32 = 33;
    /// The version is not in the repository.
    pub const NOT_LISTED: i32 = 34;
    /// The file is listed but cannot be had.
    pub const NO_FILE: i32 = 35;
}

/// Declares every operation once: its name, number and word in messages.
macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $word:literal;)*) => {
        /// What is asked of a plugin.
        ///
        /// To add an operation: a line here and in `include/wpk_plugin.h` (with the
        /// next number of its kind; none is ever used again), its question in
        /// `wpk_api::border`, the call in `core/loader/src` of its kind, the answer in
        /// `sdk/plugin/src/operations.rs`. If libraries that were built before must not
        /// be asked, the loader looks at [`MINOR`](crate::MINOR) or, for a store, at its
        /// contract.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum Operation {
            $($(#[$doc])* $name = $code,)*
        }

        impl Operation {
            /// All of them.
            pub const ALL: &'static [Operation] = &[$(Self::$name),*];

            /// Its number in the header.
            pub const fn code(self) -> u32 {
                self as u32
            }

            /// The operation of a number; `None` for one this version does not know.
            pub const fn from_code(code: u32) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Its word in messages; that of the header in lower case.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

operations! {
    /// Every mistake in a section of settings.
    Check = 1, "check";
    /// Makes an instance from its settings.
    Open = 2, "open";
    /// What a section demands of others. Since minor version 1.
    Demands = 3, "demands";
    /// Looks at what an instance would meet. Since minor version 1.
    Examine = 4, "examine";
    /// Source: serves until it is cancelled.
    Serve = 16, "serve";
    /// Directory: the agents among some ids.
    Lookup = 32, "lookup";
    /// Directory: a page of agents.
    List = 33, "list";
    /// Directory: enrolls an agent.
    Enroll = 34, "enroll";
    /// Directory: changes an agent. Since minor version 2.
    ChangeAgent = 35, "change_agent";
    /// Directory: what else is known of agents. Since minor version 2.
    Details = 36, "details";
    /// Directory: issues an enrolment token. Since minor version 2.
    IssueToken = 37, "issue_token";
    /// Directory: the enrolment tokens. Since minor version 2.
    Tokens = 38, "tokens";
    /// Directory: makes an enrolment token worthless. Since minor version 2.
    RevokeToken = 39, "revoke_token";
    /// Directory: the CA that certifies agents. Since minor version 2.
    Authority = 40, "authority";
    /// Provider: whether it is the one to ask.
    Serves = 48, "serves";
    /// Provider: which file answers a wish.
    Resolve = 49, "resolve";
    /// Provider: begins to stream a file.
    Fetch = 50, "fetch";
    /// Provider: which versions there are. Since minor version 6.
    Versions = 51, "versions";
    /// Transport: a command to an agent, and its answer.
    Send = 64, "send";
    /// Transport: ends when an agent is connected.
    Connected = 65, "connected";
    /// Transport: what an agent takes that 4.x agents do not. Since minor version 2.
    Takes = 66, "takes";
    /// Store: creates tasks.
    Create = 80, "create";
    /// Store: the newest tasks of agents.
    Latest = 81, "latest";
    /// Store: moves tasks from status to status.
    Transition = 82, "transition";
    /// Store: takes waiting tasks.
    Claim = 83, "claim";
    /// Store: deliveries a crash interrupted.
    Interrupted = 84, "interrupted";
    /// Store: records that an installer is about to run.
    BeginInstaller = 85, "begin_installer";
    /// Store: marks tasks as alive.
    Touch = 86, "touch";
    /// Store: cancels tasks of a node.
    Cancel = 87, "cancel";
    /// Store: deletes waiting tasks.
    Withdraw = 88, "withdraw";
    /// Store: deletes old tasks.
    Purge = 90, "purge";
    /// Store, contract 2: what is In progress.
    InProgress = 91, "in_progress";
    /// Store, contract 2: ends tasks without a word.
    Expire = 92, "expire";
    /// Store, contract 2: adds to timelines.
    Note = 93, "note";
    /// Store, contract 2: a timeline.
    Timeline = 94, "timeline";
    /// Store, contract 2: whether the agent runs what it was sent.
    Confirm = 95, "confirm";
    /// Store, contract 2: the feed of changes.
    Changes = 96, "changes";
    /// Store, contract 2: the newest change.
    Revision = 97, "revision";
    /// Store, contract 2: how far a reader of the feed has come.
    Place = 98, "place";
    /// Store, contract 2: a reader of the feed has come further.
    SetPlace = 99, "set_place";
    /// Store, contract 2: tasks whose agent's version is awaited.
    Awaiting = 100, "awaiting";
    /// Store, contract 2: tasks by their ids.
    Tasks = 101, "tasks";
    /// Store, contract 2: takes over tasks that others made. Since minor version 2.
    Import = 102, "import";
    /// Store, contract 3: a daemon enters under its node's name. Since minor version 3.
    Enter = 103, "enter";
    /// Store, contract 3: the entry lives for one more lease. Since minor version 3.
    Renew = 104, "renew";
    /// Store, contract 3: the entry ends. Since minor version 3.
    Leave = 105, "leave";
    /// Store, contract 3: what time it is. Since minor version 3.
    Clock = 106, "clock";
    /// Store, contract 3: who entered. Since minor version 3.
    Nodes = 107, "nodes";
    /// Store, contract 3: what may be taken over. Since minor version 3.
    Orphans = 108, "orphans";
    /// Store, contract 3: takes tasks over. Since minor version 3.
    TakeOver = 109, "take_over";
    /// Store, contract 3: gives tasks to another node. Since minor version 3.
    HandOver = 110, "hand_over";
    /// Store, contract 3: who began an installer. Since minor version 3.
    Begun = 111, "begun";
    /// Observer: some changes of tasks. Since minor version 2.
    Observe = 112, "observe";
    /// Observer: the tasks that stand where it writes. Since minor version 2.
    Shown = 113, "shown";
    /// Store, contract 3: what is kept beside tasks. Since minor version 3.
    Documents = 120, "documents";
    /// Store, contract 3: writes documents, all or none. Since minor version 3.
    WriteDocuments = 121, "write_documents";
    /// Store, contract 3: creates tasks while a guard holds. Since minor version 3.
    CreateGuarded = 122, "create_guarded";
    /// Store, contract 3: tasks that were made for a document. Since minor version 3.
    Attempts = 123, "attempts";
    /// Store, contract 3: which readers of the feed there are. Since minor version 3.
    KeepReaders = 124, "keep_readers";
    /// Store, contract 3: what can be sent before it may be installed. Since minor version 3.
    Staging = 125, "staging";
    /// Store, contract 3: changes what was made for documents. Since minor version 4.
    WriteAttempts = 126, "write_attempts";
    /// Store, contract 3: what was made for documents, by ids. Since minor version 4.
    AttemptsOf = 127, "attempts_of";
    /// Store, contract 3: which tasks there are, page by page. Since minor version 5.
    History = 128, "history";
}

/// The word of an operation's number, for messages.
pub fn operation_word(code: u32) -> String {
    match Operation::from_code(code) {
        Some(operation) => operation.word().to_owned(),
        None => format!("operation {code}"),
    }
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
