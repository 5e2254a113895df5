//! What host and plugin ask and answer each other across the border of dynamic
//! plugins (`sdk/abi`), as the one set of types that both sides use. As JSON they
//! are part of the ABI and documented in `wpk_plugin.h`: members are added, never
//! changed or taken away.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::examine::Examine;
use crate::settings::Problem;
use crate::{
    AgentChange, AgentId, AttemptWrite, Cancel, Change, Confirmation, Context, DocumentWrite,
    Endpoint, Guard, NewTask, Overdue, Peer, PluginKind, Revision, Task, TaskId, TimelineEntry,
    Transition, UnixTime, Version, WantedRelease,
};

/// What a library says is inside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Its name.
    pub name: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// Its plugins.
    pub plugins: Vec<Described>,
}

/// One plugin of a library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Described {
    /// Which trait it implements.
    pub kind: PluginKind,
    /// The `type` it answers to.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The JSON schema of its settings, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// For a store the contract it was built for
    /// ([`STORE_CONTRACT`](crate::STORE_CONTRACT)); absent: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<u32>,
    /// Whether it can be made from changed settings while the one before still works
    /// ([`Factory::reloadable`](crate::Factory::reloadable)); absent: no.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reloadable: bool,
}

/// An error: what a plugin says beside the status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Words {
    /// What happened.
    pub message: String,
    /// Why, outermost first.
    pub causes: Vec<String>,
    /// Wrong settings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    /// The source that ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// Beside the payload of a request that a source hands to the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Which set of commands applies.
    pub endpoint: Endpoint,
    /// Who sent it.
    pub peer: Peer,
}

/// `check`, `open`, `demands`, `examine`: a section of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// Its kind.
    pub kind: PluginKind,
    /// Its `type`.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The rest of it.
    pub settings: Value,
    /// For all but `check`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Context>,
    /// For `examine`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub examine: Option<Examine>,
}

/// The answer to `open`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Opened {
    /// A transport's largest command, in bytes; absent: the default of the trait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_command: Option<usize>,
}

/// Nothing to ask, or nothing to answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nothing {}

macro_rules! questions {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),* $(,)? })*) => {$(
        $(#[$doc])*
        #[allow(missing_docs)]
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name {
            $(pub $field: $type,)*
        }
    )*};
}

// The members mean what the parameters of the traits mean.
questions! {
    /// `lookup`, `details`, `latest`.
    Agents { agents: Vec<AgentId> }
    /// `list`.
    Page { after: Option<AgentId>, limit: usize }
    /// `enroll`, `revoke_token`.
    Name { name: String }
    /// `change`.
    ChangeAgent { agent: AgentId, change: AgentChange }
    /// `send`, `connected`, `takes`.
    Agent { agent: AgentId }
    /// `create`.
    NewTasks { tasks: Vec<NewTask> }
    /// `transition`.
    Moves { moves: Vec<Transition> }
    /// `claim`.
    Claim { node: String, limit: usize, now: UnixTime }
    /// `begin_installer`.
    BeginInstaller { task: TaskId, target: Option<Version>, now: UnixTime }
    /// `touch`.
    TasksNow { tasks: Vec<TaskId>, now: UnixTime }
    /// `cancel`.
    CancelTasks { node: String, which: Cancel, now: UnixTime }
    /// `tasks`, `withdraw`, `take_over`, `attempts_of`.
    Tasks { tasks: Vec<TaskId> }
    /// `purge`.
    Purge { created_until: UnixTime }
    /// `in_progress`, `shown`, `orphans`.
    TasksAfter { after: TaskId, limit: usize }
    /// `expire`.
    Expire { overdue: Vec<Overdue>, now: UnixTime }
    /// `note`.
    Note { entries: Vec<(TaskId, TimelineEntry)> }
    /// `timeline`, `begun`.
    OneTask { task: TaskId }
    /// `awaiting`, `staging`.
    AwaitingAfter { node: String, after: TaskId, limit: usize }
    /// `confirm`.
    Confirm { task: TaskId, confirmation: Confirmation, entry: TimelineEntry }
    /// `changes`.
    ChangesAfter { after: Revision, limit: usize }
    /// `place`.
    Reader { reader: String }
    /// `set_place`.
    SetPlace { reader: String, place: Revision }
    /// `import`.
    ForeignTasks { tasks: Vec<Task> }
    /// `hand_over`.
    HandOver { tasks: Vec<TaskId>, to: String }
    /// `documents`.
    DocumentsAfter { prefix: String, after: String, limit: usize }
    /// `write_documents`.
    WriteDocuments { writes: Vec<DocumentWrite>, guard: Option<Guard> }
    /// `create_guarded`.
    CreateGuarded { tasks: Vec<NewTask>, guard: Guard }
    /// `write_attempts`.
    WriteAttempts { writes: Vec<AttemptWrite>, guard: Option<Guard> }
    /// `attempts`.
    AttemptsAfter { key: String, after: TaskId, limit: usize }
    /// `keep_readers`.
    Readers { names: Vec<String> }
    /// `versions`.
    Wishes { wishes: Vec<WantedRelease> }
    /// `observe`.
    Changes { changes: Vec<Change> }
}

/// The answer to `takes`. What is absent the agent does not take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Takes {
    /// The id of its task with `upgrade`, which it names in its report.
    pub names_tasks: bool,
    /// JSON, and it reports, whatever its version.
    pub takes_json: bool,
}

/// `interrupted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interrupted {
    /// The calling node.
    pub node: String,
    /// Whether its last run crashed.
    #[serde(default)]
    pub crashed: bool,
}
