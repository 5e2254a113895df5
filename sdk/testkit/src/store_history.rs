//! Tasks that ended before a bench begins, written straight into the tables of the built-in
//! stores: to make a million by calls would take an hour.
//!
//! They are one after the other of the agents from 0 to below [`AGENTS`], ended well at
//! [`ENDED`], and everybody who reads the feed of changes has read them.

use std::path::Path;

use rusqlite::Connection;
use wpk_api::UnixTime;

use crate::PostgresServer;
use crate::store_suite::START;

/// How many agents they belong to.
pub const AGENTS: u32 = 20_000;
/// When they were made and ended: later than anything that a bench of stores makes and purges.
pub const ENDED: UnixTime = START + 4_000_000_000;

/// Adds so many to a `tasks.db` in which there are tables and no task, and which nobody else
/// has open.
///
/// # Errors
/// Those of the database.
pub fn add_to_sqlite(file: &Path, tasks: u32) -> rusqlite::Result<()> {
    let (agents, ended) = (AGENTS, ENDED);
    let rows = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {tasks})"
    );
    Connection::open(file)?.execute_batch(&format!(
        "BEGIN;
         {rows} INSERT INTO TASKS (TASK_ID, AGENT_ID, NODE, MODULE, COMMAND, CREATE_TIME, \
             LAST_UPDATE_TIME, STATUS) SELECT i, i % {agents}, 'node01', 'upgrade_module', \
             'upgrade', {ended}, {ended}, 'Done' FROM n;
         {rows} INSERT INTO WPKD_ORDERS (TASK_ID, OURS, CLAIMED, INSTALLER_BEGUN, TARGET, \
             CONFIRMATION) SELECT i, 1, {ended}, {ended}, 'v4.14.0', '\"confirmed\"' FROM n;
         {rows} INSERT INTO WPKD_TIMELINE (TASK_ID, ENTRY) \
             SELECT i, '{{\"at\":1700000000,\"step\":\"created\"}}' FROM n;
         {rows} INSERT INTO WPKD_CHANGES (TASK_ID, STATUS, LAST_UPDATE_TIME) \
             SELECT i, 'Done', {ended} FROM n;
         UPDATE WPKD_READERS SET PLACE = {tasks};
         COMMIT;"
    ))
}

/// Adds so many to the tables in a schema of this server, in which there is no task.
///
/// # Panics
/// The server refuses.
pub fn add_to_postgres(server: &PostgresServer, schema: &str, tasks: u32) {
    let (agents, ended) = (AGENTS, ENDED);
    let each = format!("FROM generate_series(1, {tasks}) AS i");
    server.sql(&format!(
        "SET search_path = {schema};
         INSERT INTO tasks (id, created, updated, claimed, begun, agent, exclusive, ours, held, \
             node, module, command, status, confirmation, target) SELECT i, {ended}, {ended}, \
             {ended}, {ended}, i % {agents}, true, true, false, 'node01', \
             'upgrade_module', 'upgrade', 'Done', '\"confirmed\"', 'v4.14.0' {each};
         SELECT setval(pg_get_serial_sequence('tasks', 'id'), {tasks});
         INSERT INTO timeline (task, entry) \
             SELECT i, '{{\"at\":1700000000,\"step\":\"created\"}}' {each};
         INSERT INTO changes (revision, mark, task, created, updated, agent, gone, node, module, \
             command, status) SELECT i, 0, i, {ended}, {ended}, i % {agents}, false, \
             'node01', 'upgrade_module', 'upgrade', 'Done' {each};
         UPDATE feed SET revision = {tasks};
         UPDATE readers SET place = {tasks};"
    ));
}
