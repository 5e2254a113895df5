//! What lies on disk: certificates and the task database.

use std::time::{Duration, SystemTime};

use wpk_package::authority::{Authority, SigningKey, Validity};
use wpk_package::{BuildOptions, Source};

use crate::site::{Site, TABLES, healthy};

/// Writes a WPK signed under a CA, and the CA; the signer's certificate has
/// `days` left.
fn sign(site: &Site, days: i64) -> (String, String) {
    let now = SystemTime::now();
    let hour = Duration::from_secs(3_600);
    let span = Duration::from_secs(days.unsigned_abs() * 86_400);
    let validity = Validity {
        not_before: now - Duration::from_secs(400 * 86_400),
        not_after: if days < 0 {
            now - span
        } else {
            now + span + hour
        },
    };
    let key = || SigningKey::generate().unwrap();
    let long = Validity {
        not_after: now + Duration::from_secs(1_000 * 86_400) + hour,
        ..validity
    };
    let ca = Authority::root("CA", long, &key()).unwrap();
    let signer = ca.signer("Signer", validity, &key()).unwrap();
    let path = |name: &str| site.dir.path().join("var/upgrade").join(name);
    std::fs::write(path("upgrade.sh"), "#!/bin/sh\n").unwrap();
    let sources: Vec<Source> = vec![Source {
        path: path("upgrade.sh"),
        name: "upgrade.sh".into(),
    }];
    wpk_package::build(&sources, &signer, &path("a.wpk"), &BuildOptions::default()).unwrap();
    std::fs::write(path("ca.pem"), ca.certificate_pem()).unwrap();
    let text = |name| path(name).to_str().unwrap().to_owned();
    (text("a.wpk"), text("ca.pem"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn days_until_certificates_expire_are_counted() {
    let site = Site::new(healthy(Vec::new())).await;
    for (days, level, said) in [
        (
            300,
            "ok",
            "\"CN=Signer\" has 300 days left, \"CN=CA\" has 1000 days left",
        ),
        (20, "warning", "\"CN=Signer\" has 20 days left"),
        (-3, "failure", "the certificate \"CN=Signer\" expired at "),
    ] {
        let (wpk, ca) = sign(&site, days);
        let line = site.line("WPK certificates", &["--wpk", &wpk, "--ca", &ca]);
        assert!(line.starts_with(level) && line.contains(said), "{line}");
        assert!(
            site.line("CA store", &["--ca", &ca])
                .contains("\"CN=CA\" has 1000 days left")
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_cache_gives_a_wpk_and_strangers_are_refused() {
    let site = Site::new(healthy(Vec::new())).await;
    assert!(
        site.line("WPK certificates", &[])
            .contains("no WPK is at hand")
    );
    let (wpk, first) = sign(&site, 300);
    let line = site.line("WPK certificates", &[]);
    assert!(
        line.contains(&wpk) && line.contains("no CA was asked"),
        "{line}"
    );
    let kept = format!("{first}.first");
    std::fs::rename(&first, &kept).unwrap();
    sign(&site, 300);
    let line = site.line("WPK certificates", &["--ca", &kept]);
    assert!(
        line.starts_with("failure ") && line.contains("; agents will refuse it"),
        "{line}"
    );
    let line = site.line("CA store", &["--ca", "/nonexistent.pem"]);
    assert!(
        line.starts_with("failure ") && line.contains("/nonexistent.pem"),
        "{line}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn tasks_are_counted_and_nothing_is_written() {
    let site = Site::new(healthy(Vec::new())).await;
    assert!(
        site.line("task database", &[])
            .contains("is sound, no tasks")
    );
    let database = rusqlite::Connection::open(site.database()).unwrap();
    let mode: String = database
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let add = |status: &str, created: u64, updated: u64| {
        let row = format!(
            "INSERT INTO TASKS (AGENT_ID, CREATE_TIME, LAST_UPDATE_TIME, STATUS)
             VALUES (1, {created}, {updated}, '{status}')"
        );
        database.execute(&row, []).unwrap();
    };
    add("Done", 1, 2);
    add("Done", 1, 2);
    add("In progress", now, 0);
    let expected = "is sound, 3 tasks: 2 Done, 1 In progress";
    assert!(
        site.line("task database", &[]).ends_with(expected),
        "while it is open"
    );
    add("In progress", 1, 1);
    let line = site.line("task database", &[]);
    assert!(
        line.starts_with("warning ") && line.contains("1 in progress should have"),
        "{line}"
    );
    database
        .execute("DELETE FROM TASKS WHERE CREATE_TIME = 1", [])
        .unwrap();
    drop(database);

    let before = std::fs::read(site.database()).unwrap();
    let line = site.line("task database", &[]);
    assert!(line.ends_with("is sound, 1 tasks: 1 In progress"), "{line}");
    assert_eq!(std::fs::read(site.database()).unwrap(), before);
    let folder = site.database().parent().unwrap().read_dir().unwrap();
    let mut names: Vec<_> = folder.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["tasks.db"], "no file beside it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_database_that_is_broken_or_another_is_a_failure() {
    let site = Site::new(healthy(Vec::new())).await;
    std::fs::write(
        site.database(),
        "this is no database, but long enough to look",
    )
    .unwrap();
    let line = site.line("task database", &[]);
    assert!(
        line.starts_with("failure ") && line.contains("not a database"),
        "{line}"
    );

    std::fs::remove_file(site.database()).unwrap();
    let database = rusqlite::Connection::open(site.database()).unwrap();
    let tables = TABLES.replace("STATUS TEXT,", "");
    database.execute_batch(&tables).unwrap();
    let line = site.line("task database", &[]);
    assert!(line.contains("has no column TASKS.STATUS"), "{line}");

    // As long as somebody has it open, a file that was removed is a failure.
    std::fs::remove_file(site.database()).unwrap();
    let line = site.line("task database", &[]);
    assert!(
        line.starts_with("failure ") && line.contains("still has the file open"),
        "{line}"
    );
    drop(database);
    assert!(site.line("task database", &[]).starts_with("warning "));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_table_that_the_store_cannot_fill_is_a_failure() {
    let site = Site::new(healthy(Vec::new())).await;
    std::fs::remove_file(site.database()).unwrap();
    let database = rusqlite::Connection::open(site.database()).unwrap();
    let tables = TABLES.replace(
        "ERROR_MESSAGE TEXT",
        "ERROR_MESSAGE TEXT, TENANT TEXT NOT NULL",
    );
    database.execute_batch(&tables).unwrap();
    let line = site.line("task database", &[]);
    assert!(
        line.starts_with("failure ") && line.contains("TENANT"),
        "{line}"
    );
}

/// A clock that was set back, or was far ahead when the tasks were created.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn tasks_from_the_future_are_a_warning() {
    let site = Site::new(healthy(Vec::new())).await;
    let database = rusqlite::Connection::open(site.database()).unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.unwrap().as_secs();
    let at = |time: u64| {
        let row = "INSERT INTO TASKS (AGENT_ID, CREATE_TIME, LAST_UPDATE_TIME, STATUS) \
                   VALUES (1, ?1, 0, 'Done')";
        database.execute(row, [time as i64]).unwrap();
    };
    at(now + 60);
    assert!(!site.doctor(&[]).out.contains("task times"));
    at(now + 30 * 86_400 + 600);
    let line = site.line("task times", &[]);
    assert!(
        line.starts_with("warning ") && line.contains("30 d ahead of this machine's clock"),
        "{line}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn tasks_that_wait_for_another_name_of_this_daemon_are_a_warning() {
    let site = Site::new(healthy(Vec::new())).await;
    let database = rusqlite::Connection::open(site.database()).unwrap();
    let orders = "CREATE TABLE WPKD_ORDERS (TASK_ID INTEGER PRIMARY KEY, TASK_ORDER TEXT, \
                  INSTALLER_BEGUN INTEGER);";
    database.execute_batch(orders).unwrap();
    let task = |node: &str, order: Option<&str>| {
        let row = "INSERT INTO TASKS (AGENT_ID, NODE, CREATE_TIME, STATUS) \
                   VALUES (1, ?1, 1, 'Pending')";
        database.execute(row, [node]).unwrap();
        let row = "INSERT INTO WPKD_ORDERS (TASK_ID, TASK_ORDER) VALUES (last_insert_rowid(), ?1)";
        database.execute(row, [order]).unwrap();
    };
    // Its own, and one that a worker node entered at the task socket.
    task("node01", Some("{}"));
    task("worker01", None);
    assert!(!site.doctor(&[]).out.contains("waiting tasks"));
    task("old-name", Some("{}"));
    let line = site.line("waiting tasks", &[]);
    assert!(
        line.starts_with("warning ")
            && line.contains("1 tasks wait for the node \"old-name\"")
            && line.contains("node.name"),
        "{line}"
    );
}
