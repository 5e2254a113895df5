//! Files of this machine that are not what they were, or not what they look like.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wpk_testkit::wdb::agent_row;
use wpk_testkit::{Manager, fleet};

use crate::table::{Check, check};

pub const CHECKS: &[Check] = &[
    check!(
        a_cache_folder_that_is_removed_is_made_again,
        "cache folder",
        "removed while the daemon runs",
        "Updated, the folder is there again"
    ),
    check!(
        a_cached_file_that_changes_in_place_fails_one_delivery,
        "cached WPK",
        "changed in place, length and time kept",
        "Error: Send verify sha1 error, then Updated"
    ),
    check!(
        two_links_to_one_file_keep_their_names,
        "custom WPK",
        "two links to one file at the same time",
        "each agent is told its own name"
    ),
    check!(
        a_file_that_is_too_long_is_refused_at_once,
        "custom WPK",
        "sparse, 4 TiB",
        "Error: The WPK file does not exist, within 10 s"
    ),
    check!(
        a_task_table_with_another_column_is_refused,
        "task table",
        "a column of somebody else that must be filled",
        "the daemon does not start and names the column"
    ),
];

async fn a_cache_folder_that_is_removed_is_made_again() -> String {
    let (manager, _repository, parameters) = fleet("", 1, b"a package").await.unwrap();
    let folder = manager.home.path("var/upgrade");
    std::fs::remove_dir_all(&folder).unwrap();
    manager.upgrade(&[1], parameters).await;
    let ended = end_of(&manager, 1).await;
    let again = if folder.is_dir() {
        "there again"
    } else {
        "gone"
    };
    format!("{ended}, the folder is {again}")
}

async fn end_of(manager: &Manager, agent: u32) -> String {
    let ended = manager.wait_for_status(agent, &["Updated", "Error"]).await;
    let ended = ended.expect("an end");
    let status = ended["status"].as_str().unwrap().to_owned();
    match ended["error_msg"].as_str() {
        Some(error_msg) => format!("{status}: {error_msg}"),
        None => status,
    }
}

/// Whoever changes a file in place and keeps its time hides that from everybody who
/// does not read it all again; the agent's digest tells.
async fn a_cached_file_that_changes_in_place_fails_one_delivery() -> String {
    let wpk = vec![7; 100_000];
    let (manager, repository, parameters) = fleet("", 3, &wpk).await.unwrap();
    manager.upgrade(&[1], parameters.clone()).await;
    assert_eq!(end_of(&manager, 1).await, "Updated");
    let file = manager
        .home
        .path("var/upgrade/wazuh_agent_v4.14.8_linux_amd64.deb.wpk");
    let before = std::fs::metadata(&file).unwrap();
    let open = std::fs::File::options().write(true).open(&file).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&open, b"spoilt", 50_000).unwrap();
    open.set_modified(before.modified().unwrap()).unwrap();
    drop(open);
    let mut seen = Vec::new();
    for agent in [2, 3] {
        manager.upgrade(&[agent], parameters.clone()).await;
        seen.push(end_of(&manager, agent).await);
    }
    drop(repository);
    seen.join(", then ")
}

async fn two_links_to_one_file_keep_their_names() -> String {
    let manager = Manager::start("").await.unwrap();
    manager
        .wdb
        .set_agents((1..=2).map(|id| agent_row(id, "Wazuh v4.7.0")));
    let file = manager.home.path("one.wpk");
    std::fs::write(&file, vec![7; 20_000_000]).unwrap();
    let links = ["first.wpk", "second.wpk"].map(|name| manager.home.path(name));
    for link in &links {
        std::os::unix::fs::symlink(&file, link).unwrap();
    }
    let [first, second] = &links;
    let (first, second) = (json!({"file_path": first}), json!({"file_path": second}));
    tokio::join!(
        manager.upgrade_custom(&[1], first),
        manager.upgrade_custom(&[2], second)
    );
    let mut told = Vec::new();
    for agent in [1, 2] {
        assert_eq!(end_of(&manager, agent).await, "Updated");
        told.extend(manager.remoted.upgraded(agent).map(|(file, _)| file));
    }
    match told == ["first.wpk", "second.wpk"] {
        true => "each agent is told its own name".to_owned(),
        false => format!("they are told {told:?}"),
    }
}

async fn a_file_that_is_too_long_is_refused_at_once() -> Option<String> {
    let manager = Manager::start("").await.unwrap();
    manager.wdb.set_agents([agent_row(1, "Wazuh v4.7.0")]);
    let file = manager.home.path("sparse.wpk");
    let sparse = std::fs::File::create(&file).unwrap();
    // Not every file system has such files.
    sparse.set_len(4 << 40).ok()?;
    let began = Instant::now();
    manager
        .upgrade_custom(&[1], json!({"file_path": file}))
        .await;
    let ended = end_of(&manager, 1).await;
    let took = began.elapsed();
    Some(match took < Duration::from_secs(10) {
        true => format!("{ended}, within 10 s"),
        false => format!("{ended}, after {took:.0?}"),
    })
}

async fn a_task_table_with_another_column_is_refused() -> String {
    let mut manager = Manager::prepare("").await.unwrap();
    std::fs::create_dir_all(manager.home.path("var/wpkd")).unwrap();
    let table = rusqlite::Connection::open(manager.home.tasks_db()).unwrap();
    let columns = "TASK_ID INTEGER PRIMARY KEY AUTOINCREMENT, AGENT_ID INT, NODE TEXT, MODULE TEXT, \
                   COMMAND TEXT, CREATE_TIME INTEGER, LAST_UPDATE_TIME INTEGER, STATUS TEXT, \
                   ERROR_MESSAGE TEXT, TENANT TEXT NOT NULL";
    let made = table.execute_batch(&format!(
        "CREATE TABLE TASKS ({columns}); CREATE TABLE METADATA (key TEXT PRIMARY KEY, value TEXT); \
         INSERT INTO METADATA VALUES ('db_version', '1');"
    ));
    made.unwrap();
    drop(table);
    let settings = format!(
        "[store]\ntype = \"sqlite\"\npath = {}",
        Value::from(manager.home.tasks_db().display().to_string())
    );
    manager.configure(&settings).unwrap();
    match manager.boot().await {
        Ok(()) => "the daemon starts".to_owned(),
        Err(error) if error.to_string().contains("TENANT") => {
            "the daemon does not start and names the column".to_owned()
        }
        Err(error) => format!("the daemon does not start: {error}"),
    }
}
