//! The manager, as everything that asks a running one sees it. `socket` finds it, `denied` says
//! who may open it,
//! `client` speaks with it (PROTOCOL.md, sections 1, 2 and 15); `fleet` asks who
//! the agents are, `results` what became of their tasks, `timelines` why, and `state` reads
//! that; `history` asks which tasks there are; `ask` is what an upgrade asks for, `rollouts` asks
//! all about rollouts, and `newer` tells of a manager that does not know a command.

pub(crate) mod ask;
pub(crate) mod client;
pub(crate) mod denied;
pub(crate) mod fleet;
pub(crate) mod history;
pub(crate) mod newer;
pub(crate) mod results;
pub(crate) mod rollouts;
pub(crate) mod socket;
pub(crate) mod state;
pub(crate) mod timelines;
