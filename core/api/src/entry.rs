//! How a daemon enters a task store, so that of two daemons with one name only one
//! can deliver.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Which run of a daemon it is, as the store counts them: higher than every one before
/// it in the same store, whatever their nodes' names. 0 where a store does not count.
pub type Incarnation = u64;

/// What a daemon says when it enters a store ([`TaskStore::enter`](crate::TaskStore::enter)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The name of its node, 1 to 64 bytes.
    pub node: String,
    /// The process that enters.
    pub holder: Holder,
    /// The incarnation of which the daemon knows that its process ended: its lease is
    /// void, however long it would still last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Incarnation>,
}

/// The process that holds a node's name. Texts of at most 255 bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The name of its machine.
    pub host: String,
    /// Which start of which machine, and which of its spaces of processes: only where this is
    /// the same can another process tell that this one ended. Empty where that is
    /// not known.
    pub machine: String,
    /// Its number.
    pub process: u32,
    /// When it started, in the system's words: a number may be used again.
    pub started: String,
}

/// What became of an attempt to enter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entrance {
    /// It entered; every daemon that entered under this name before is shut out.
    Entered(Entered),
    /// Another process holds the name, and its lease lives. Nothing changed.
    Held(Held),
}

/// The place of a daemon in a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entered {
    /// Which run of a daemon it is.
    pub incarnation: Incarnation,
    /// How long the entry lives without [`TaskStore::renew`](crate::TaskStore::renew), by
    /// the store's clock, at least 1 s; `None` in a store that only one daemon can open,
    /// where it lives as long as the daemon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Duration>,
}

/// Who holds a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The process.
    pub holder: Holder,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// How long ago it was heard of, by the store's clock.
    pub age: Duration,
    /// How long its lease still lives, by the store's clock.
    pub left: Duration,
}

/// A node as the store knows it ([`TaskStore::nodes`](crate::TaskStore::nodes)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeState {
    /// Its name.
    pub node: String,
    /// Who entered under it last.
    pub held: Held,
    /// Whether its lease lives.
    pub lives: bool,
}
