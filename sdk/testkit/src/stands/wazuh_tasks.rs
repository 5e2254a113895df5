//! The task table of a 4.x manager, with rows of its own module in it. While the observer is
//! to be kept from its work the file is elsewhere: a lock would not do, since two copies of
//! SQLite in one process, ours and that of a library, do not see each other's.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::Connection;
use serde_json::json;
use wpk_api::{Status, TaskId, TaskObserver};

use super::{AnyFactory, build};
use crate::Home;
use crate::observer_suite::Stand;
use crate::suite::{now, ok};

/// The published layout, and rows whose ids no task of the suite has.
const TABLE: &str = "
    CREATE TABLE TASKS (TASK_ID INTEGER PRIMARY KEY AUTOINCREMENT, AGENT_ID INT NOT NULL,
        NODE TEXT NOT NULL, MODULE TEXT NOT NULL, COMMAND TEXT NOT NULL,
        CREATE_TIME INTEGER NOT NULL, LAST_UPDATE_TIME INTEGER, STATUS TEXT NOT NULL,
        ERROR_MESSAGE TEXT);
    CREATE TABLE METADATA (key TEXT PRIMARY KEY, value TEXT);
    INSERT INTO METADATA VALUES ('db_version', '1');
    INSERT INTO TASKS VALUES
        (90001, 1, 'node01', 'upgrade_module', 'upgrade', 1600000000, 1600000100, 'Failed', 'x'),
        (90002, 2, 'node01', 'upgrade_module', 'upgrade_custom', 1600000200, NULL, 'Pending', NULL),
        (90003, 3, 'node01', 'another_module', 'scan', 1600000200, NULL, 'Pending', NULL);";

/// Where a manager has it, from its home.
const FILE: &str = "queue/tasks/tasks.db";

/// Sets up a table, for `observer_suite`.
pub async fn wazuh_tasks(factory: AnyFactory<dyn TaskObserver>) -> Stand {
    let home = ok("making a folder", Home::new());
    let file = home.path(FILE);
    let made = Connection::open(&file).and_then(|table| table.execute_batch(TABLE));
    ok("making a task table", made);
    let context = home.context();
    let settings = json!({"path": FILE});
    let (seen, aside) = (file.clone(), home.path("queue/tasks/aside.db"));
    Stand::new(move || now(build(&factory, &settings, &context)))
        .look(move || ok("reading the task table", rows(&seen)))
        .break_it(move |breaks| {
            let moved = match breaks {
                true => std::fs::rename(&file, &aside),
                false => std::fs::rename(&aside, &file),
            };
            ok("moving the task table", moved);
        })
        .keep(home)
}

fn rows(file: &Path) -> rusqlite::Result<BTreeMap<TaskId, Status>> {
    let connection = Connection::open(file)?;
    let mut statement = connection.prepare("SELECT TASK_ID, STATUS FROM TASKS")?;
    let rows = statement.query_map([], |row| {
        let status: String = row.get(1)?;
        Ok((TaskId(row.get(0)?), Status::from_word(&status)))
    })?;
    rows.collect()
}
