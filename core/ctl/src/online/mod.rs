//! The commands that ask a running manager over its upgrade socket. `socket`
//! finds it, `client` speaks with it, `fleet` asks who the agents are; each
//! command has a file of its own.

pub(crate) mod agents;
pub(crate) mod client;
mod dry_run;
pub(crate) mod enroll;
pub(crate) mod fleet;
pub(crate) mod result;
pub(crate) mod send;
pub(crate) mod socket;
pub(crate) mod state;
pub(crate) mod upgrade;
