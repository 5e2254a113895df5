//! The task socket (section 3): its requests, how it shows a task's status,
//! and how it writes times. Its responses have the shape of the upgrade
//! socket's, [`crate::Response`].

pub mod command;
pub mod request;
pub mod status;
pub mod time;

pub use command::TaskCommand;
pub use request::{CreateCommand, TaskRequest, UPGRADE_MODULE};
pub use status::{read_status, show_status};
pub use time::TaskTimes;
