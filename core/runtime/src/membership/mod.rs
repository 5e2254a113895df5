//! This daemon's place in a store that others may share: it enters under its node's name,
//! keeps its lease alive, takes over what nodes that died have not begun, and gives away
//! what is for agents that another node has.
//!
//! `place.rs` is what is known, `enter.rs` is asked once at the start, `lease.rs` runs,
//! `moves.rs` is asked by the lease (tasks of the dead), by requests and by deliveries
//! (agents of other nodes), `process.rs` knows processes.

mod enter;
mod lease;
mod moves;
mod place;
mod process;

pub(crate) use self::enter::{EnterError, enter};
pub(crate) use self::lease::{keep, leave};
pub(crate) use self::moves::{gives_away, node_of};
pub(crate) use self::place::Membership;
