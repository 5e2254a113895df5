//! A file of the release before there were marks, and before the newest task of each agent
//! was kept.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use rusqlite::Connection;
use wpk_api::{
    AgentId, Attempt, AttemptChange, AttemptWrite, Cancel, Entry, Guard, Holder, Revision, Task,
    TaskId, TaskStore,
};
use wpk_plugin_sqlite::SqliteStore;
use wpk_testkit::store_suite::{START, TARGET, agent, bare, upgrade};

/// As the third release left its file: made for `rollout/1` are task 1, done and awaited,
/// 2, begun, 3, taken, 5, whose window is to come, and 6, of node00; 4 waits for the agent
/// of 1, 7 is deleted, 8 waits, 20 is imported.
const LAYOUT_3: &[u8] = include_bytes!("files/layout-3.db");

fn open_for(task: i64, opens: i64) -> AttemptWrite {
    AttemptWrite {
        task: TaskId(task),
        change: AttemptChange::Open {
            opens,
            closes: None,
        },
    }
}

/// The newest tasks of agents 1 to 9.
async fn newest(store: &SqliteStore) -> Vec<i64> {
    let agents: Vec<AgentId> = (1..=9).map(agent).collect();
    let newest = store.latest(&agents).await.unwrap().into_iter();
    newest
        .map(|task| task.map_or(0, |task| task.id.0))
        .collect()
}

#[tokio::test]
async fn a_file_of_the_third_release_is_opened_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tasks.db");
    std::fs::write(&file, LAYOUT_3).unwrap();
    let store = SqliteStore::open(&file).unwrap();
    let layout: String = Connection::open(&file)
        .unwrap()
        .query_row(
            "SELECT value FROM WPKD_METADATA WHERE key = 'layout'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(layout, "4");
    let entry = Entry {
        node: "node01".into(),
        holder: Holder::default(),
        replaces: None,
    };
    store.enter(&entry).await.unwrap();

    let found = store.attempts("rollout/1", TaskId(0), 99).await.unwrap();
    let known = |one: &Attempt| {
        assert!(!one.staged && one.mark.is_empty() && one.key == "rollout/1");
        (one.task.id.0, one.begun_at, one.target, one.opens)
    };
    let known: Vec<_> = found.iter().map(known).collect();
    assert_eq!(
        known,
        [
            (1, Some(START + 10), Some(TARGET), 0),
            (2, Some(START + 20), Some(TARGET), 0),
            (3, None, None, 0),
            (5, None, None, START + 100),
            (6, None, None, 0),
        ]
    );
    assert_eq!(newest(&store).await, [4, 2, 3, 0, 5, 6, 8, 20, 0]);

    let guard = Some(Guard {
        key: "rollout/1".into(),
        version: 1,
    });
    let writes = vec![open_for(1, 1), open_for(5, START), open_for(6, START + 1)];
    let applied = store.write_attempts(writes, guard).await.unwrap();
    assert_eq!(applied, Some(2));
    let claimed = store.claim("node01", 9, START + 80).await.unwrap();
    let claimed: Vec<i64> = claimed.iter().map(|one| one.task.id.0).collect();
    assert_eq!(claimed, [4, 5, 8]);
    let feed = store.changes(Revision(16), 99).await.unwrap();
    assert_eq!(feed.len(), 5, "two opened, three claimed: {feed:?}");
    drop(store);
    let store = SqliteStore::open(&file).unwrap();
    let again = store.attempts("rollout/1", TaskId(3), 1).await.unwrap();
    assert_eq!(again[0].opens, START);
}

/// Whoever makes or deletes tasks, and also where it is another program.
#[tokio::test]
async fn the_newest_task_of_an_agent_is_known_whatever_was_made_or_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tasks.db");
    std::fs::write(&file, LAYOUT_3).unwrap();
    let store = SqliteStore::open(&file).unwrap();
    // Of several in one call the last, and one that gives way leaves the one before it.
    let new = vec![
        bare(1, "node01", START),
        bare(9, "node02", START),
        bare(1, "node01", START),
    ];
    store.create(new).await.unwrap();
    assert_eq!(newest(&store).await, [23, 2, 3, 0, 5, 6, 8, 20, 22]);
    let gone = [23, 22].map(TaskId);
    assert_eq!(store.withdraw(&gone).await, Ok(2));
    assert_eq!(newest(&store).await, [21, 2, 3, 0, 5, 6, 8, 20, 0]);
    // A purge leaves what is live.
    let cancelled = store.cancel("node01", Cancel::WithoutOrder, START).await;
    assert_eq!(cancelled, Ok(1));
    assert_eq!(store.purge(START + 1).await, Ok(1));
    assert_eq!(newest(&store).await, [4, 2, 3, 0, 5, 6, 8, 20, 0]);
    // One that is taken over under its own low id is no newer than what is there.
    let known = store.tasks(&[TaskId(20)]).await.unwrap().remove(0).unwrap();
    let foreign = |id, of| Task {
        id: TaskId(id),
        agent: agent(of),
        created: START + 7,
        ..known.clone()
    };
    let shown = vec![foreign(7, 8), foreign(12, 9)];
    store.import(shown).await.unwrap();
    assert_eq!(newest(&store).await, [4, 2, 3, 0, 5, 6, 8, 20, 12]);
    drop(store);

    Connection::open(&file)
        .unwrap()
        .execute_batch(
            "DELETE FROM TASKS WHERE TASK_ID IN (4, 20); \
             INSERT INTO TASKS (AGENT_ID, COMMAND, STATUS) VALUES (2, 'upgrade', 'Done'), \
             (3, 'restart', 'Done'), (4, 'upgrade_custom', 'Done');",
        )
        .unwrap();
    let store = SqliteStore::open(&file).unwrap();
    assert_eq!(newest(&store).await, [1, 24, 3, 26, 5, 6, 8, 7, 12]);
    store
        .create(vec![upgrade(8, "node01", START)])
        .await
        .unwrap();
    assert_eq!(newest(&store).await, [1, 24, 3, 26, 5, 6, 8, 27, 12]);
}

/// What others write into the file while it is open counts, as soon as a transaction that
/// is kept for a moment ends.
#[tokio::test]
async fn what_somebody_else_writes_or_deletes_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tasks.db");
    let store = SqliteStore::open(&file).unwrap();
    let other = Connection::open(&file).unwrap();
    let patience = std::time::Duration::from_secs(10);
    other.busy_timeout(patience).unwrap();
    let write = |id: i64, agent: i64| {
        let sql = "INSERT INTO TASKS (TASK_ID, AGENT_ID, NODE, MODULE, COMMAND, CREATE_TIME, STATUS) \
                   VALUES (?1, ?2, 'node02', 'upgrade_module', 'upgrade', 1700000000, 'Done')";
        other.execute(sql, [id, agent]).unwrap();
    };
    let seen = async |first: i64| {
        let waits = wpk_testkit::wait_until(patience, || async {
            (newest(&store).await == [first, 0, 0, 0, 0, 0, 0, 0, 0]).then_some(())
        });
        assert!(waits.await.is_some(), "{first}: {:?}", newest(&store).await);
    };
    write(3, 1);
    write(5, 1);
    seen(5).await;
    let gone = other.execute("DELETE FROM TASKS WHERE TASK_ID = 5", []);
    assert_eq!(gone, Ok(1));
    seen(3).await;
    write(4, 1);
    seen(4).await;
}

/// The index of all tasks by their agent is gone, also after the release before was at the
/// file again.
#[tokio::test]
async fn only_ended_tasks_are_in_an_index_of_all_agents() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tasks.db");
    std::fs::write(&file, LAYOUT_3).unwrap();
    let indexes = |file: &std::path::Path| -> Vec<String> {
        let connection = Connection::open(file).unwrap();
        let sql = "SELECT name FROM sqlite_schema WHERE tbl_name = 'TASKS' AND type = 'index' \
                   AND name IN ('WPKD_TASKS_AGENT', 'WPKD_TASKS_ENDED')";
        let mut names = connection.prepare(sql).unwrap();
        let names = names.query_map([], |row| row.get(0)).unwrap();
        names.collect::<Result<_, _>>().unwrap()
    };
    assert_eq!(indexes(&file), ["WPKD_TASKS_AGENT"]);
    let before = {
        let store = SqliteStore::open(&file).unwrap();
        newest(&store).await
    };
    assert_eq!(indexes(&file), ["WPKD_TASKS_ENDED"]);
    let as_before = "CREATE INDEX WPKD_TASKS_AGENT ON TASKS (AGENT_ID)";
    let connection = Connection::open(&file).unwrap();
    connection.execute_batch(as_before).unwrap();
    drop(connection);
    let store = SqliteStore::open(&file).unwrap();
    assert_eq!(indexes(&file), ["WPKD_TASKS_ENDED"]);
    assert_eq!(newest(&store).await, before);
}
