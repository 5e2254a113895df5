//! The request source of a manager: the upgrade socket and the task socket
//! (PROTOCOL.md, sections 1 to 3).
//!
//! The daemon enters through [`plugin`]. The way of one request:
//! `bind` puts both sockets into place with exact rights, `listener` accepts
//! connections within a limit, `connection` takes frames out of one connection,
//! hands each to the engine and writes its answer; `watch` puts a socket back that
//! was removed meanwhile. `memory` is what all connections share. A client that is slow,
//! silent or wrong costs its own connection and nothing else. `examine` looks at
//! the sockets from outside, for `wpkctl doctor`.

mod bind;
mod connection;
mod examine;
mod group;
mod listener;
mod memory;
mod settings;
mod source;
mod watch;

pub use settings::{Mode, Settings};
pub use source::{UnixSocketSource, plugin};
