//! Our tasks, shown in the manager's own task table: what the API's task list and the
//! dashboard read through the database daemon (PROTOCOL.md, section 14).
//!
//! `settings.rs` is the section, `observer.rs` the trait's two questions, `lock.rs`
//! waits for a table that the database daemon keeps locked (60 s and more), `table.rs`
//! has the statements, `examine.rs` what the doctor is told. Rows of others, the
//! journal mode and the schema are never touched.

mod examine;
mod lock;
mod observer;
mod settings;
mod table;

pub use observer::WazuhTasks;
pub use settings::{WazuhTasksSettings, wazuh_tasks};
