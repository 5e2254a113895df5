//! The manager's own task table, in which both write: the module for what it answers, and
//! wpkd, which shows there what it keeps in a table of its own.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::Connection;
use wpk_testkit::manager::PATIENCE;
use wpk_testkit::wdb::TASK_TABLE;
use wpk_testkit::{Manager, wait_until};

/// The row of an agent: its id, and what else it says.
pub type Rows = BTreeMap<i64, (i64, String)>;

/// Makes the table, as the manager's database daemon does.
pub fn make(table: &Path) {
    let connection = Connection::open(table).unwrap();
    connection.execute_batch(TASK_TABLE).unwrap();
}

/// All rows of a table of tasks, of which an agent has one at most.
pub fn rows(table: &Path) -> Rows {
    let connection = Connection::open(table).unwrap();
    connection.busy_timeout(PATIENCE).unwrap();
    let mut statement = connection
        .prepare(
            "SELECT AGENT_ID, TASK_ID, json_array(NODE, MODULE, COMMAND, CREATE_TIME, \
             LAST_UPDATE_TIME, STATUS, ERROR_MESSAGE) FROM TASKS",
        )
        .unwrap();
    let rows = statement
        .query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))
        .unwrap();
    let rows: Vec<(i64, (i64, String))> = rows.map(Result::unwrap).collect();
    let known = rows.len();
    let rows = Rows::from_iter(rows);
    assert_eq!(rows.len(), known, "an agent has two rows");
    rows
}

/// Waits until the manager's table says of these agents what ours does.
pub async fn shows(manager: &Manager, agents: &[u32]) {
    let (ours, theirs) = (manager.home.tasks_db(), manager.home.manager_tasks_db());
    let of = |rows: &Rows, agent: &u32| rows.get(&i64::from(*agent)).map(|row| row.1.clone());
    let alike = wait_until(PATIENCE, async || {
        let (ours, theirs) = (rows(&ours), rows(&theirs));
        let alike = |agent| of(&ours, agent).is_some() && of(&ours, agent) == of(&theirs, agent);
        agents.iter().all(alike).then_some(())
    });
    if alike.await.is_none() {
        let (ours, theirs) = (rows(&ours), rows(&theirs));
        let wrong = agents
            .iter()
            .filter(|agent| of(&ours, agent) != of(&theirs, agent));
        let wrong: Vec<_> = (wrong.map(|agent| (agent, of(&ours, agent), of(&theirs, agent))))
            .take(10)
            .collect();
        panic!("(agent, ours, theirs) {wrong:#?}\n{}", manager.output());
    }
}
