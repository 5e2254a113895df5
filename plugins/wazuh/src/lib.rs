//! The parts of a Wazuh 4.x manager that wpkd works with in its place: the
//! remote daemon as the way to the agents, the database daemon as the directory
//! that knows them.
//!
//! The daemon enters through [`RemotedFactory`] (`[transport] type = "remoted"`)
//! and [`WazuhDbFactory`] (`[directory] type = "wazuh-db"`). Both daemons are
//! spoken to in frames over Unix sockets; `peer` is the one place that does it,
//! with a limit on every length and every wait.

mod directory;
mod peer;
mod pool;
mod row;
mod transport;

pub use directory::{WazuhDb, WazuhDbFactory, WazuhDbSettings};
pub use transport::{Remoted, RemotedFactory, RemotedSettings};
