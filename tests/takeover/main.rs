//! Beside a running 4.x manager: its modulesd goes on as it always did, unlinks and binds
//! at each of its starts (PROTOCOL.md, section 14), and wpkd takes its sockets over and
//! gives them back. `end_to_end/takeover.rs` shows what users see of it; here is what
//! must hold while both are stopped and started.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub
)]

mod client;
mod commands;
mod mirror;
mod restarts;

use wpk_testkit::{FakeModulesd, Manager};

/// Settings that take the sockets over.
const SETTINGS: &str = "
dialect = \"wazuh-4\"
[[source]]
type = \"unix-socket\"
take_over = true
[[observer]]
type = \"wazuh-tasks\"
";

/// A manager's home with the settings, and a modulesd that runs in it; wpkd does not yet.
async fn beside_a_module() -> (Manager, FakeModulesd) {
    let manager = Manager::prepare(SETTINGS).await.unwrap();
    let table = manager.home.manager_tasks_db();
    mirror::make(&table);
    let mut modulesd = FakeModulesd::of_master(&manager.home, "node01");
    modulesd.keep_tasks(table, "node01");
    modulesd.start().await.unwrap();
    (manager, modulesd)
}
