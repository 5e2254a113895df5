//! Our tasks in the manager's own table (PROTOCOL.md, section 14).
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;
use wpk_api::{
    AgentId, Change, Changed, Command, Context, Factory, NodeInfo, Revision, Role, Status, Task,
    TaskId, TaskObserver,
};
use wpk_plugin_wazuh::{WazuhTasks, wazuh_tasks};
use wpk_testkit::settings_suite;
use wpk_testkit::wdb::TASK_TABLE as TABLE;

/// Rows of the manager's own module, and one of another module.
const FOREIGN: &str = "
    INSERT INTO TASKS VALUES
    (3, 1, 'node01', 'upgrade_module', 'upgrade', 1600000000, 1600000100, 'Failed', 'Send open file error'),
    (4, 2, 'node01', 'upgrade_module', 'upgrade', 1600000200, NULL, 'Pending', NULL),
    (5, 3, 'node01', 'another_module', 'scan', 1600000200, NULL, 'Pending', NULL);";

const PATIENCE: Duration = Duration::from_secs(20);

struct Site {
    folder: TempDir,
    mirror: WazuhTasks,
}

impl Site {
    fn new(sql: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tasks.db");
        Connection::open(&file).unwrap().execute_batch(sql).unwrap();
        let mirror = WazuhTasks::new(file);
        Self { folder, mirror }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("tasks.db")
    }

    fn rows(&self) -> Vec<String> {
        let connection = Connection::open(self.file()).unwrap();
        let mut statement = connection
            .prepare("SELECT json_array(TASK_ID, AGENT_ID, NODE, MODULE, COMMAND, CREATE_TIME, LAST_UPDATE_TIME, STATUS, ERROR_MESSAGE) FROM TASKS ORDER BY 1")
            .unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    async fn told(&self, changed: Changed, was: Option<Task>) {
        let change = Change {
            revision: Revision(1),
            changed,
            was,
        };
        self.mirror.observe(&[change]).await.unwrap();
    }

    async fn is_now(&self, task: &Task) {
        self.told(Changed::Task(task.clone()), None).await;
    }
}

fn task(id: i64, agent: u32) -> Task {
    Task {
        id: TaskId(id),
        agent: AgentId::new(i64::from(agent)).unwrap(),
        node: "node01".into(),
        module: "upgrade_module".into(),
        command: Command::Upgrade,
        created: 1_700_000_000,
        updated: None,
        status: Status::Pending,
        error_msg: None,
        confirmation: None,
    }
}

const NEW: &str = r#"[9,7,"node01","upgrade_module","upgrade",1700000000,null,"Pending",null]"#;

#[tokio::test]
async fn a_task_has_its_row_from_its_creation_to_its_end() {
    let site = Site::new(TABLE);
    let mut ours = task(9, 7);
    site.is_now(&ours).await;
    assert_eq!(site.rows(), [NEW]);
    ours.status = Status::Failed;
    ours.updated = Some(1_700_000_050);
    ours.error_msg = Some("Send open file error".into());
    // The same change may come twice.
    site.is_now(&ours).await;
    site.is_now(&ours).await;
    let failed = r#"[9,7,"node01","upgrade_module","upgrade",1700000000,1700000050,"Failed","Send open file error"]"#;
    assert_eq!(site.rows(), [failed]);
    let shown = site.mirror.shown(TaskId(0), 10).await.unwrap();
    assert_eq!(shown, [ours.clone()]);
    assert_eq!(site.mirror.shown(TaskId(9), 10).await.unwrap(), []);
    // Without a word of what it was nobody knows whether the row is ours.
    site.told(Changed::Deleted(ours.id), None).await;
    assert_eq!(site.rows(), [failed]);
    site.told(Changed::Deleted(ours.id), Some(ours)).await;
    assert!(site.rows().is_empty());
}

#[tokio::test]
async fn rows_of_others_are_shown_and_never_touched() {
    let site = Site::new(&format!("{TABLE}{FOREIGN}"));
    let before = site.rows();
    let shown = site.mirror.shown(TaskId(0), 10).await.unwrap();
    let ids: Vec<i64> = shown.iter().map(|task| task.id.0).collect();
    assert_eq!(ids, [3, 4], "upgrades only");
    assert_eq!(shown[0].error_msg.as_deref(), Some("Send open file error"));
    let page = site.mirror.shown(TaskId(3), 1).await.unwrap();
    assert_eq!(page, shown[1..]);
    let mut cancelled = shown[1].clone();
    cancelled.status = Status::Cancelled;
    site.told(Changed::Foreign(cancelled), None).await;
    // A task of ours with the id of one of theirs gets another.
    let mut ours = task(4, 7);
    site.is_now(&ours).await;
    let mut rows = site.rows();
    let own = rows.pop().unwrap();
    assert_eq!(own, NEW.replace("[9,", "[6,"));
    assert_eq!(rows, before);
    ours.status = Status::InProgress;
    ours.updated = Some(5);
    site.is_now(&ours).await;
    assert!(site.rows()[3].starts_with("[6,7,"), "{:?}", site.rows());
    assert!(site.rows()[3].contains("In progress"), "{:?}", site.rows());
    // Also when the other program has deleted its own meanwhile.
    let connection = Connection::open(site.file()).unwrap();
    connection
        .execute("DELETE FROM TASKS WHERE TASK_ID = 4", [])
        .unwrap();
    ours.status = Status::Done;
    site.is_now(&ours).await;
    let left = [before[0].as_str(), before[2].as_str()];
    assert_eq!(site.rows()[..2], left);
    assert!(site.rows()[2].starts_with("[6,7,"), "{:?}", site.rows());
    assert!(site.rows()[2].contains("Done"), "{:?}", site.rows());
    site.told(Changed::Deleted(ours.id), Some(ours)).await;
    assert_eq!(site.rows(), left);
}

#[tokio::test]
async fn a_batch_is_written_as_a_whole_or_not_at_all() {
    let site = Site::new(&format!(
        "{TABLE} CREATE TRIGGER no BEFORE INSERT ON TASKS WHEN new.AGENT_ID = 8 \
         BEGIN SELECT raise(ABORT, 'not agent 8'); END;"
    ));
    let changes = [task(9, 7), task(10, 8)].map(|task| Change {
        revision: Revision(1),
        changed: Changed::Task(task),
        was: None,
    });
    let error = site.mirror.observe(&changes).await.unwrap_err();
    assert!(error.to_string().contains("not agent 8"), "{error}");
    assert!(site.rows().is_empty());
    site.mirror.observe(&changes[..1]).await.unwrap();
    assert_eq!(site.rows(), [NEW]);
}

#[tokio::test]
async fn what_is_no_task_table_is_said() {
    let absent = WazuhTasks::new("/nowhere/tasks.db".into());
    let error = absent.shown(TaskId(0), 1).await.unwrap_err().to_string();
    assert!(error.contains("/nowhere/tasks.db: is not there"), "{error}");
    let site = Site::new("CREATE TABLE TASKS (TASK_ID INTEGER PRIMARY KEY)");
    let change = Change {
        revision: Revision(1),
        changed: Changed::Task(task(9, 7)),
        was: None,
    };
    let error = site
        .mirror
        .observe(&[change])
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("no column TASKS.AGENT_ID"), "{error}");
    // A manager that makes it anew is found.
    std::fs::remove_file(site.file()).unwrap();
    Connection::open(site.file())
        .unwrap()
        .execute_batch(TABLE)
        .unwrap();
    site.is_now(&task(9, 7)).await;
    assert_eq!(site.rows(), [NEW]);
}

#[tokio::test]
async fn a_file_that_is_replaced_is_opened_again() {
    let site = Site::new(TABLE);
    site.is_now(&task(1, 1)).await;
    let old = site.folder.path().join("old.db");
    std::fs::rename(site.file(), old).unwrap();
    Connection::open(site.file())
        .unwrap()
        .execute_batch(TABLE)
        .unwrap();
    site.is_now(&task(9, 7)).await;
    assert_eq!(site.rows(), [NEW]);
}

/// Somebody who has the table locked until told otherwise.
fn hold(file: PathBuf) -> (mpsc::Sender<()>, thread::JoinHandle<()>) {
    let (release, released) = mpsc::channel::<()>();
    let (locked, is_locked) = mpsc::channel();
    let holder = thread::spawn(move || {
        let connection = Connection::open(file).unwrap();
        connection.execute_batch("BEGIN EXCLUSIVE").unwrap();
        locked.send(()).unwrap();
        released.recv().unwrap();
        connection.execute_batch("COMMIT").unwrap();
    });
    is_locked.recv_timeout(PATIENCE).unwrap();
    (release, holder)
}

#[tokio::test]
async fn a_locked_table_is_waited_for_and_a_stop_ends_the_wait() {
    let site = Site::new(TABLE);
    let (release, holder) = hold(site.file());
    let given_up = tokio::time::timeout(Duration::from_millis(50), site.is_now(&task(1, 1))).await;
    assert!(given_up.is_err(), "it is locked");
    let release_it = async {
        let holder = tokio::task::spawn_blocking(move || {
            release.send(()).unwrap();
            holder.join().unwrap();
        });
        holder.await.unwrap();
    };
    let ours = task(9, 7);
    let both = async { tokio::join!(site.is_now(&ours), release_it) };
    tokio::time::timeout(PATIENCE, both).await.unwrap();
    // Whoever was not waited for any more has written nothing.
    assert_eq!(site.rows(), [NEW]);
}

fn context(role: Role) -> Context {
    let node = NodeInfo {
        name: "node01".into(),
        role,
        version: None,
    };
    Context::new("/nowhere", node)
}

#[tokio::test]
async fn a_worker_shows_nothing() {
    let mirror = wazuh_tasks()
        .build(&json!({}), &context(Role::Worker))
        .unwrap();
    let change = Change {
        revision: Revision(1),
        changed: Changed::Task(task(9, 7)),
        was: None,
    };
    assert_eq!(mirror.observe(&[change]).await, Ok(()));
    assert_eq!(mirror.shown(TaskId(0), 9).await, Ok(vec![]));
}

#[test]
fn its_settings_are_read_as_all_settings_are() {
    settings_suite::run(&wazuh_tasks(), &json!({}));
    settings_suite::run(&wazuh_tasks(), &json!({"path": "a/b.db"}));
    let problems = wazuh_tasks().check(&json!({"path": ""}));
    assert_eq!(problems.len(), 1, "{problems:?}");
    let demands = wazuh_tasks().demands(&json!({}), &context(Role::Master));
    assert_eq!(demands.occupies.len(), 1);
}
