//! The parts of a Wazuh 4.x manager that wpkd works with in its place: the
//! remote daemon as the way to the agents, the database daemon as the directory
//! that knows them, on a worker node the cluster daemon as the way to the
//! master's tasks, and the task table, in which our tasks are shown as well.
//!
//! The daemon enters through [`remoted`] (`[transport] type = "remoted"`),
//! [`wazuh_db`] (`[directory] type = "wazuh-db"`),
//! [`cluster()`] (`[store] type = "cluster"`) and [`wazuh_tasks`]
//! (`[[observer]] type = "wazuh-tasks"`). The first two daemons
//! are spoken to in frames over Unix sockets; `peer` is the one place that does
//! it, with a limit on every length and every wait. The third has frames of its
//! own, in `cluster`. `examine` asks all of them for `wpkctl doctor`.

mod cluster;
mod directory;
mod examine;
mod mirror;
mod peer;
mod pool;
mod question;
mod row;
mod rows;
mod transport;

pub use cluster::{ClusterSettings, ClusterStore, cluster};
pub use directory::{WazuhDb, WazuhDbSettings, wazuh_db};
pub use mirror::{WazuhTasks, WazuhTasksSettings, wazuh_tasks};
pub use transport::{Remoted, RemotedSettings, remoted};
