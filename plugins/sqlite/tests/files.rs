//! The file: made, taken over from a 4.x manager, given back, damaged.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;
use wpk_api::{
    AgentId, Cancel, Command, Created, Overdue, Selector, Status, StoreError, TaskId, TaskStore,
    TransitionResult,
};
use wpk_plugin_sqlite::SqliteStore;
use wpk_testkit::store_suite::{START, agent, bare, held, order, to, upgrade};

/// PROTOCOL.md, section 3.
const PUBLISHED: &str = "
    CREATE TABLE TASKS(TASK_ID INTEGER PRIMARY KEY AUTOINCREMENT, AGENT_ID INT, NODE TEXT,
        MODULE TEXT, COMMAND TEXT, CREATE_TIME INTEGER, LAST_UPDATE_TIME INTEGER,
        STATUS TEXT, ERROR_MESSAGE TEXT);
    CREATE TABLE METADATA(key TEXT PRIMARY KEY, value TEXT);
    INSERT INTO METADATA VALUES ('db_version', '1');";

const HISTORY: &str = "
    INSERT INTO TASKS VALUES
    (3, 1, 'node01', 'upgrade_module', 'upgrade', 1600000000, 1600000100, 'Failed', 'The repository is not reachable'),
    (4, 1, 'node01', 'upgrade_module', 'upgrade', 1600000200, NULL, 'Done', NULL),
    (5, 2, 'node02', 'upgrade_module', 'upgrade_custom', 1600000300, 0, 'Pending', NULL),
    (6, 3, 'node01', 'upgrade_module', 'upgrade', 1600000400, 1600000500, 'Weird', NULL),
    (7, 4, 'node01', 'upgrade_module', 'downgrade', 1600000400, 1600000500, 'In progress', ''),
    (8, 5, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (9, NULL, 'node01', 'upgrade_module', 'upgrade', 1600000400, NULL, 'In progress', NULL),
    (10, -7, 'node01', 'upgrade_module', 'upgrade', 1600000400, NULL, 'Pending', NULL);";

fn database(sql: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tasks.db");
    Connection::open(&file).unwrap().execute_batch(sql).unwrap();
    (folder, file)
}

fn tasks_as_they_are(file: &Path) -> Vec<String> {
    let connection = Connection::open(file).unwrap();
    let mut statement = connection
        .prepare("SELECT json_array(TASK_ID, AGENT_ID, NODE, MODULE, COMMAND, CREATE_TIME, LAST_UPDATE_TIME, STATUS, ERROR_MESSAGE) FROM TASKS ORDER BY 1")
        .unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

fn count(file: &Path, sql: &str) -> i64 {
    let connection = Connection::open(file).unwrap();
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn a_managers_file_is_opened_as_it_is() {
    let (_folder, file) = database(&format!("{PUBLISHED}{HISTORY}"));
    let before = tasks_as_they_are(&file);
    let store = SqliteStore::open(&file).unwrap();
    let agents: Vec<AgentId> = (1..=6).map(agent).collect();
    let found = store.latest(&agents).await.unwrap();
    let [
        Some(one),
        Some(two),
        Some(three),
        // Other modules may keep tasks here too; these two are no upgrades.
        None,
        None,
        None,
    ] = &found[..]
    else {
        panic!("{found:?}");
    };
    assert_eq!(
        (one.id, &one.status, one.updated),
        (TaskId(4), &Status::Done, None)
    );
    assert_eq!(two.command, Command::UpgradeCustom);
    assert_eq!((two.created, two.updated), (1_600_000_300, None));
    assert_eq!(three.status, Status::Other("Weird".into()));
    assert_eq!(three.updated, Some(1_600_000_500));
    drop(store);
    assert_eq!(tasks_as_they_are(&file), before);
    assert_eq!(
        count(
            &file,
            "SELECT count(*) FROM METADATA WHERE key = 'db_version' AND value = '1'"
        ),
        1
    );
}

#[tokio::test]
async fn live_tasks_of_the_manager_count() {
    let (_folder, file) = database(&format!("{PUBLISHED}{HISTORY}"));
    let store = SqliteStore::open(&file).unwrap();
    let new = (1..=5).map(|n| upgrade(n, "node01", START)).collect();
    assert_eq!(
        store.create(new).await.unwrap(),
        [
            Created::Task(TaskId(11)),
            // Task 5 was waiting for another node and gave way.
            Created::Task(TaskId(12)),
            Created::Task(TaskId(13)),
            // Task 7 is in progress, but no upgrade.
            Created::Task(TaskId(14)),
            Created::Task(TaskId(15)),
        ]
    );
    // They have no order: nobody claims them. Rows without an agent disturb nobody.
    let claimed = store.claim("node01", 99, START).await.unwrap();
    assert_eq!(claimed.len(), 5);
    let running = store.in_progress(TaskId(0), 99).await.unwrap();
    let overdue: Vec<Overdue> = (running.iter().filter(|task| task.id == TaskId(7)))
        .map(|task| Overdue {
            task: task.id,
            updated: task.updated,
        })
        .collect();
    let expired = store.expire(&overdue, START).await.unwrap();
    assert_eq!(
        expired.iter().map(|task| task.id).collect::<Vec<_>>(),
        [TaskId(7)]
    );
    let refused = store
        .transition(vec![to(TaskId(9), Status::Done, "node01", START)])
        .await
        .unwrap();
    assert_eq!(refused, [TransitionResult::Refused(None)]);
    // What is live in the table stays, whoever wrote it.
    assert_eq!(store.purge(START - 1).await.unwrap(), 5);
}

#[tokio::test]
async fn new_rows_look_like_the_managers() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tasks.db");
    let store = SqliteStore::open(&file).unwrap();
    store
        .create(vec![upgrade(1, "node01", START)])
        .await
        .unwrap();
    // Another program reads while it is open.
    assert_eq!(
        tasks_as_they_are(&file),
        [r#"[1,1,"node01","upgrade_module","upgrade",1700000000,null,"Pending",null]"#]
    );
}

#[tokio::test]
async fn that_a_node_holds_an_order_is_known_as_long_as_the_task_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tasks.db");
    let store = SqliteStore::open(&file).unwrap();
    let new = (1..=3).map(|n| held(n, "node02", START)).collect();
    store.create(new).await.unwrap();
    assert_eq!(store.withdraw(&[TaskId(1)]).await.unwrap(), 0);
    drop(store);
    Connection::open(&file)
        .unwrap()
        .execute("DELETE FROM TASKS WHERE TASK_ID = 2", [])
        .unwrap();
    let store = SqliteStore::open(&file).unwrap();
    assert_eq!(count(&file, "SELECT count(*) FROM WPKD_HELD"), 2);
    let cancel = async |which| store.cancel("node02", which, START).await.unwrap();
    assert_eq!(cancel(Cancel::WithoutOrder).await, 0);
    assert_eq!(cancel(Cancel::Pending).await, 2);
    assert_eq!(store.purge(START).await.unwrap(), 2);
    assert_eq!(count(&file, "SELECT count(*) FROM WPKD_HELD"), 0);
}

#[tokio::test]
async fn what_the_manager_did_while_we_were_away_is_healed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tasks.db");
    let store = SqliteStore::open(&file).unwrap();
    let new = (1..=4).map(|n| upgrade(n, "node01", START)).collect();
    store.create(new).await.unwrap();
    drop(store);
    assert!(
        !folder.path().join("tasks.db-wal").exists(),
        "closed cleanly"
    );
    Connection::open(&file)
        .unwrap()
        .execute_batch(
            "UPDATE TASKS SET STATUS = 'Cancelled' WHERE TASK_ID = 1;
             DELETE FROM TASKS WHERE TASK_ID = 2;
             UPDATE TASKS SET AGENT_ID = 33 WHERE TASK_ID = 3;",
        )
        .unwrap();
    let store = SqliteStore::open(&file).unwrap();
    assert_eq!(count(&file, "SELECT count(*) FROM WPKD_LIVE"), 1);
    assert_eq!(count(&file, "SELECT count(*) FROM WPKD_ORDERS"), 3);
    let to_do = "SELECT count(*) FROM WPKD_ORDERS WHERE TASK_ORDER IS NOT NULL";
    assert_eq!(count(&file, to_do), 2);
    let new = (1..=4).map(|n| upgrade(n, "node01", START)).collect();
    let created = store.create(new).await.unwrap();
    assert!(
        matches!(
            created[..],
            [
                Created::Task(_),
                Created::Task(_),
                Created::Task(_),
                Created::AlreadyLive(TaskId(4))
            ]
        ),
        "{created:?}"
    );
    // And while it is open: met when the agent's next task comes.
    Connection::open(&file)
        .unwrap()
        .execute("UPDATE TASKS SET STATUS = 'Done' WHERE TASK_ID = 4", [])
        .unwrap();
    let created = store
        .create(vec![upgrade(4, "node01", START)])
        .await
        .unwrap();
    assert!(matches!(created[..], [Created::Task(_)]), "{created:?}");
}

/// As the first release left its file: a waiting task, one interrupted, one whose
/// installer was begun, one that another program moved, and two that have ended.
const LAYOUT_1: &[u8] = include_bytes!("files/layout-1.db");

#[tokio::test]
async fn a_file_of_the_first_release_is_opened_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tasks.db");
    std::fs::write(&file, LAYOUT_1).unwrap();
    let before = tasks_as_they_are(&file);
    let store = SqliteStore::open(&file).unwrap();
    assert_eq!(tasks_as_they_are(&file), before);
    let layout = "SELECT CAST(value AS INTEGER) FROM WPKD_METADATA WHERE key = 'layout'";
    assert_eq!(count(&file, layout), 4);
    let ids = |claimed: Vec<wpk_api::Claimed>| -> Vec<i64> {
        claimed.into_iter().map(|one| one.task.id.0).collect()
    };
    assert_eq!(ids(store.interrupted("node01", false).await.unwrap()), [4]);
    assert_eq!(ids(store.claim("node01", 9, START).await.unwrap()), [3]);
    assert!(!store.begin_installer(TaskId(5), None, START).await.unwrap());
    let word = |id: u32| wpk_api::Transition {
        select: Selector::SpokenOf(agent(id)),
        by: wpk_api::Mover::Report,
        ..to(TaskId(0), Status::Done, "node01", START)
    };
    let heard = store.transition((1..=6).map(word).collect()).await.unwrap();
    let moved: Vec<bool> = (heard.iter())
        .map(|one| matches!(one, TransitionResult::Moved(_)))
        .collect();
    // 5 was begun, 6 is another program's; the others' installers were not begun.
    assert_eq!(moved, [false, false, false, false, true, true]);
    assert_eq!(store.timeline(TaskId(4)).await.unwrap().len(), 1);
    drop(store);
    SqliteStore::open(&file).unwrap();
}

#[tokio::test]
async fn orders_survive_and_an_unreadable_one_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tasks.db");
    let store = SqliteStore::open(&file).unwrap();
    let new = (1..=2).map(|n| upgrade(n, "node01", START)).collect();
    store.create(new).await.unwrap();
    drop(store);
    Connection::open(&file)
        .unwrap()
        .execute(
            "UPDATE WPKD_ORDERS SET TASK_ORDER = '{\"x\"' WHERE TASK_ID = 2",
            [],
        )
        .unwrap();
    let store = SqliteStore::open(&file).unwrap();
    let claimed = store.claim("node01", 9, START).await.unwrap();
    assert_eq!(claimed[0].order, Ok(order(1)));
    let error = claimed[1].order.as_ref().unwrap_err();
    assert!(error.contains("order of task 2"), "{error}");
    assert_eq!(store.interrupted("node01", false).await.unwrap(), claimed);
}

#[test]
fn rights_are_those_of_a_manager() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("queue/tasks/tasks.db");
    let store = SqliteStore::open(&file).unwrap();
    assert_eq!(mode(&file), 0o660);
    assert_eq!(mode(&folder.path().join("queue/tasks/tasks.db-wal")), 0o660);
    assert_eq!(
        mode(file.parent().unwrap()) & 0o7027,
        0,
        "folder for owner and group"
    );
    drop(store);
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    drop(SqliteStore::open(&file).unwrap());
    assert_eq!(mode(&file), 0o600, "an existing file keeps its rights");
}

#[test]
fn a_file_of_another_kind_is_refused_and_left_alone() {
    let cases = [
        (
            "CREATE TABLE METADATA(key TEXT PRIMARY KEY, value TEXT);
             INSERT INTO METADATA VALUES ('db_version', '2');",
            "db_version",
        ),
        (
            "CREATE TABLE TASKS(TASK_ID INTEGER PRIMARY KEY, AGENT_ID INT);",
            "NODE",
        ),
        (
            &PUBLISHED.replace("TASK_ID INTEGER PRIMARY KEY AUTOINCREMENT", "TASK_ID INT"),
            "TASK_ID",
        ),
        (
            &PUBLISHED.replace("NODE TEXT,", "NODE TEXT, SITE TEXT NOT NULL,"),
            "SITE",
        ),
        (
            &PUBLISHED.replace(
                "LAST_UPDATE_TIME INTEGER",
                "LAST_UPDATE_TIME INTEGER NOT NULL",
            ),
            "LAST_UPDATE_TIME",
        ),
        (
            "CREATE TABLE WPKD_METADATA(key TEXT PRIMARY KEY, value TEXT);
             INSERT INTO WPKD_METADATA VALUES ('layout', '7');",
            "layout",
        ),
    ];
    for (sql, named) in cases {
        let (_folder, file) = database(sql);
        let before = std::fs::read(&file).unwrap();
        let error = SqliteStore::open(&file).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, StoreError::Damaged(_)), "{text}");
        assert!(text.contains(named) && text.contains("tasks.db"), "{text}");
        assert_eq!(std::fs::read(&file).unwrap(), before, "{named}");
    }
}

#[test]
fn damaged_files_are_recognised() {
    let (_folder, file) = database(&format!("{PUBLISHED}{HISTORY}"));
    let good = std::fs::read(&file).unwrap();
    let mut other = good.clone();
    other[..16].copy_from_slice(b"not a database!!");
    let mut hole = good.clone();
    hole[4096..4196].fill(0xff);
    for bytes in [other, hole] {
        std::fs::write(&file, &bytes).unwrap();
        let error = SqliteStore::open(&file).unwrap_err();
        assert!(
            matches!(&error, StoreError::Damaged(text) if text.contains("tasks.db")),
            "{error}"
        );
        assert_eq!(std::fs::read(&file).unwrap(), bytes);
    }
}

#[test]
fn a_path_that_cannot_be_opened_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    for path in ["", "file/tasks.db"] {
        let error = SqliteStore::open(folder.path().join(path)).unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        let name = folder.path().display().to_string();
        assert!(error.to_string().contains(&name), "{error}");
    }
}

/// While another program holds the write lock: questions are answered, writes
/// wait, gather, and are then carried out together; one that fails, fails alone,
/// even where it takes the whole transaction with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_writes_are_one_batch_and_fail_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tasks.db");
    let store = Arc::new(SqliteStore::open(&file).unwrap());
    store.create(vec![bare(1, "node01", START)]).await.unwrap();
    let other = Connection::open(&file).unwrap();
    other
        .execute_batch(
            "CREATE TRIGGER a BEFORE INSERT ON TASKS WHEN NEW.AGENT_ID = 113 BEGIN
                 SELECT RAISE(ABORT, 'an unlucky agent'); END;
             CREATE TRIGGER r BEFORE INSERT ON TASKS WHEN NEW.AGENT_ID = 131 BEGIN
                 SELECT RAISE(ROLLBACK, 'a very unlucky agent'); END;
             BEGIN IMMEDIATE;",
        )
        .unwrap();
    let writes: Vec<_> = (100..150)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let both = vec![
                    upgrade(1000 + n, "node01", START),
                    upgrade(n, "node01", START),
                ];
                store.create(both).await
            })
        })
        .collect();
    let many: Vec<AgentId> = (0..100).map(agent).collect();
    for agents in [&many[1..2], &many] {
        let asked = store.latest(agents);
        let found = tokio::time::timeout(Duration::from_secs(4), asked).await;
        assert!(
            found
                .expect("reads wait for a writer")
                .unwrap()
                .iter()
                .any(Option::is_some)
        );
    }
    assert!(writes.iter().all(|write| !write.is_finished()));
    other.execute_batch("COMMIT").unwrap();
    for (n, write) in (100..).zip(writes) {
        let result = write.await.unwrap();
        let stored = store.latest(&[agent(1000 + n), agent(n)]).await.unwrap();
        if n == 113 || n == 131 {
            assert!(
                matches!(&result, Err(StoreError::Unavailable(text)) if text.contains("unlucky")),
                "{result:?}"
            );
            assert_eq!(stored, [None, None], "nothing of a call that failed");
        } else {
            let ids: Vec<_> = stored.into_iter().map(|task| task.unwrap().id).collect();
            let created: Vec<_> = ids.into_iter().map(Created::Task).collect();
            assert_eq!(result.unwrap(), created);
        }
    }
    let moved = store
        .transition(vec![wpk_api::Transition {
            select: Selector::LatestOf(agent(1)),
            ..to(TaskId(0), Status::Cancelled, "node01", START)
        }])
        .await
        .unwrap();
    assert!(matches!(moved[..], [TransitionResult::Moved(_)]));
}

#[test]
fn a_second_daemon_is_told_who_has_the_file() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("tasks.db");
    let first = SqliteStore::open(&file).unwrap();
    let told = SqliteStore::open(&file).map(drop).unwrap_err().to_string();
    assert!(
        told.contains(&format!("process {}", std::process::id())),
        "{told}"
    );
    assert!(
        told.contains("tasks.db") && told.contains("store.path"),
        "{told}"
    );
    drop(first);
    SqliteStore::open(&file).unwrap();

    // A link in the place of what says it is not followed.
    let other = folder.path().join("other.db");
    std::os::unix::fs::symlink(
        folder.path().join("elsewhere"),
        folder.path().join("other.db.owner"),
    )
    .unwrap();
    assert!(SqliteStore::open(&other).is_err());
    assert!(!folder.path().join("elsewhere").exists());
}
