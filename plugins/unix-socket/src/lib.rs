//! The request source of a manager: the upgrade socket and the task socket
//! (PROTOCOL.md, sections 1 to 3).
//!
//! The daemon enters through [`plugin`]. The way of one request:
//! `source` puts both sockets into place (`wpk-socket-file`), `listener` accepts
//! connections within a limit and keeps the socket where it is, `connection` reads
//! what comes of one, for as long as its client may take, and `client` takes frames out of
//! that, hands each to the engine and writes its answer. Clients that ask one question right
//! after the other are in the hands of `busy` meanwhile. `memory` is what all connections share. A client that is slow,
//! silent or wrong costs its own connection and nothing else. `examine` looks at
//! the sockets from outside, for `wpkctl doctor`, and `outlook` for `wpkd check`.

mod busy;
mod client;
mod connection;
mod examine;
mod listener;
mod memory;
mod outlook;
mod served;
mod settings;
mod source;

pub use settings::{Mode, Settings};
pub use source::{UnixSocketSource, plugin};
