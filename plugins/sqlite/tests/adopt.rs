//! The first release kept our tasks in the manager's own table, `queue/tasks/tasks.db`.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;
use wpk_api::{
    BuildError, Cancel, Changed, Context, Factory, NodeInfo, Revision, Role, Status, TaskId,
};
use wpk_plugin_sqlite::plugin;
use wpk_testkit::store_suite::START;

/// As the first release left its file: among others task 6, which a manager's own
/// module works on.
const LAYOUT_1: &[u8] = include_bytes!("files/layout-1.db");

struct Site {
    home: TempDir,
    manager: bool,
}

impl Site {
    fn new(manager: bool) -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(home.path().join("queue/tasks")).unwrap();
        Self { home, manager }
    }

    fn former(&self) -> PathBuf {
        self.home.path().join("queue/tasks/tasks.db")
    }

    fn own(&self) -> PathBuf {
        self.home.path().join("var/wpkd/tasks.db")
    }

    fn context(&self) -> Context {
        let node = NodeInfo {
            name: "node01".into(),
            role: Role::Master,
            version: None,
        };
        let mut context = Context::new(self.home.path(), node);
        context.manager = self.manager;
        context
    }

    fn open(
        &self,
        path: Option<&str>,
    ) -> Result<std::sync::Arc<dyn wpk_api::TaskStore>, BuildError> {
        let settings = path.map_or(json!({}), |path| json!({"path": path}));
        plugin().build(&settings, &self.context())
    }
}

fn rows(file: &Path) -> Vec<String> {
    let connection = Connection::open(file).unwrap();
    let mut statement = connection
        .prepare("SELECT json_array(TASK_ID, AGENT_ID, NODE, CREATE_TIME, STATUS, ERROR_MESSAGE) FROM TASKS ORDER BY 1")
        .unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[tokio::test]
async fn tasks_and_orders_are_copied_once_and_the_file_stays() {
    for manager in [false, true] {
        let site = Site::new(manager);
        std::fs::write(site.former(), LAYOUT_1).unwrap();
        let before = rows(&site.former());
        let store = site.open(None).unwrap();
        assert_eq!(rows(&site.own()), before);
        assert_eq!(rows(&site.former()), before);
        let ids = |claimed: Vec<wpk_api::Claimed>| -> Vec<i64> {
            claimed.into_iter().map(|one| one.task.id.0).collect()
        };
        assert_eq!(ids(store.interrupted("node01", false).await.unwrap()), [4]);
        assert_eq!(ids(store.claim("node01", 9, START).await.unwrap()), [3]);
        drop(store);
        // The former file is not looked at any more.
        let delete = "DELETE FROM TASKS";
        Connection::open(site.former())
            .unwrap()
            .execute_batch(delete)
            .unwrap();
        site.open(None).unwrap();
        assert_eq!(rows(&site.own()).len(), before.len());
    }
}

/// A live row without an order is the manager's own module's, which may carry it out.
#[tokio::test]
async fn what_a_manager_still_works_on_is_not_ours() {
    let site = Site::new(true);
    std::fs::write(site.former(), LAYOUT_1).unwrap();
    let waiting = "INSERT INTO TASKS VALUES (90, 9, 'node01', 'upgrade_module', 'upgrade', 1700000000, NULL, 'Pending', NULL)";
    Connection::open(site.former())
        .unwrap()
        .execute_batch(waiting)
        .unwrap();
    let store = site.open(None).unwrap();
    assert_eq!(
        store.cancel("node01", Cancel::Abandoned, START).await,
        Ok(0)
    );
    assert_eq!(
        store.cancel("node01", Cancel::WithoutOrder, START).await,
        Ok(1)
    );
    let changes = store.changes(Revision(0), 99).await.unwrap();
    let last = changes.into_iter().map(|one| one.changed).next_back();
    assert!(
        matches!(&last, Some(Changed::Foreign(task)) if task.id == TaskId(90) && task.status == Status::Cancelled),
        "{last:?}"
    );
}

#[tokio::test]
async fn a_table_that_only_a_manager_used_is_left_alone() {
    let site = Site::new(true);
    let table = "CREATE TABLE TASKS(TASK_ID INTEGER PRIMARY KEY AUTOINCREMENT, AGENT_ID INT, \
        NODE TEXT, MODULE TEXT, COMMAND TEXT, CREATE_TIME INTEGER, LAST_UPDATE_TIME INTEGER, \
        STATUS TEXT, ERROR_MESSAGE TEXT); \
        INSERT INTO TASKS VALUES (3, 1, 'node01', 'upgrade_module', 'upgrade', 1, 2, 'Done', NULL);";
    Connection::open(site.former())
        .unwrap()
        .execute_batch(table)
        .unwrap();
    let bytes = std::fs::read(site.former()).unwrap();
    site.open(None).unwrap();
    assert_eq!(rows(&site.own()), Vec::<String>::new());
    assert_eq!(std::fs::read(site.former()).unwrap(), bytes);
}

#[tokio::test]
async fn the_old_default_on_a_managers_home_means_the_new_one() {
    let site = Site::new(true);
    std::fs::write(site.former(), LAYOUT_1).unwrap();
    for path in ["queue/tasks/tasks.db", "queue/./tasks/tasks.db"] {
        site.open(Some(path)).unwrap();
        assert!(site.own().exists(), "{path}");
    }
    let alone = Site::new(false);
    alone.open(Some("queue/tasks/tasks.db")).unwrap();
    assert!(alone.former().exists() && !alone.own().exists());
}

#[tokio::test]
async fn what_cannot_be_read_ends_the_start_and_is_tried_again() {
    let site = Site::new(true);
    let mut broken = LAYOUT_1.to_vec();
    broken[4096..8192].fill(0xA5);
    std::fs::write(site.former(), &broken).unwrap();
    let error = site
        .open(None)
        .err()
        .expect("the file is damaged")
        .to_string();
    assert!(error.contains("queue/tasks/tasks.db"), "{error}");
    assert!(!site.own().exists(), "half a copy is none");
    std::fs::write(site.former(), LAYOUT_1).unwrap();
    site.open(None).unwrap();
    assert_eq!(rows(&site.own()), rows(&site.former()));
}
