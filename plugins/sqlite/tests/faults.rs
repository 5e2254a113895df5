//! A process killed while it writes, and a disk that is full. Both happen to a
//! child: this test program again, told by its environment which part to play.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::HashSet;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use wpk_api::{
    Created, Status, StoreError, TaskId, TaskStore, TimelineEntry, TimelineStep, TransitionResult,
};
use wpk_plugin_sqlite::SqliteStore;
use wpk_testkit::store_suite::{START, agent, to, upgrade};

const FILE: &str = "WPK_TEST_STORE_FILE";
const FIRST_AGENT: &str = "WPK_TEST_STORE_FIRST_AGENT";
const DEADLINE: Duration = Duration::from_secs(60);

/// This program, playing one of its tests. A write beyond the limit of a file's
/// size must be an error there and not the end of the process.
fn child(part: &str, file: &Path) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", part, "--nocapture"])
        .env(FILE, file)
        .kill_on_drop(true);
    command
}

fn say(line: &str) {
    // A line of its own, in one write: whole or not at all.
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// Plays the process that is killed: says what the store acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_writes_for_ever() {
    let Some(file) = std::env::var_os(FILE) else {
        return;
    };
    let first: u32 = std::env::var(FIRST_AGENT).unwrap().parse().unwrap();
    let store = Arc::new(SqliteStore::open(file).unwrap());
    let next = Arc::new(AtomicU32::new(first));
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let (store, next) = (Arc::clone(&store), Arc::clone(&next));
        writers.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                let created = store.create(vec![upgrade(n, "node01", START)]).await;
                let [Created::Task(id)] = created.unwrap()[..] else {
                    panic!("agent {n} has a task already");
                };
                say(&format!("created {n} {id}"));
                for claimed in store.claim("node01", 1, START).await.unwrap() {
                    let id = claimed.task.id;
                    say(&format!("claimed {id}"));
                    if id.0 % 2 == 0 {
                        assert!(store.begin_installer(id, None, START).await.unwrap());
                        say(&format!("begun {id}"));
                    }
                }
            }
        });
    }
    writers.join_all().await;
}

#[tokio::test]
async fn a_killed_process_loses_nothing_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tasks.db");
    let mut created = Vec::new();
    let mut claimed = HashSet::new();
    let mut begun = HashSet::new();
    for round in 0..4_u32 {
        let mut process = child("child_that_writes_for_ever", &file)
            .env(FIRST_AGENT, (round * 1_000_000).to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut heard = 0;
        let all = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                let words: Vec<&str> = line.split(' ').collect();
                let number = |at: usize| words[at].parse::<i64>().unwrap();
                match words[0] {
                    "created" => {
                        created.push((u32::try_from(number(1)).unwrap(), TaskId(number(2))))
                    }
                    "claimed" => {
                        assert!(claimed.insert(TaskId(number(1))), "claimed twice: {line}")
                    }
                    "begun" => assert!(begun.insert(TaskId(number(1))), "begun twice: {line}"),
                    _ => continue,
                }
                heard += 1;
                if heard == 60 + 45 * round {
                    process.start_kill().unwrap();
                }
            }
        };
        tokio::time::timeout(DEADLINE, all).await.unwrap();
        let status = process.wait().await.unwrap();
        assert!(
            !status.success() && heard >= 60,
            "{status} after {heard} lines"
        );

        let store = SqliteStore::open(&file).unwrap();
        let interrupted = store.interrupted("node01", false).await.unwrap();
        let interrupted: HashSet<_> = interrupted.into_iter().map(|one| one.task.id).collect();
        for (n, id) in &created {
            let task = store.latest(&[agent(*n)]).await.unwrap().remove(0);
            let task = task.unwrap_or_else(|| panic!("task {id} is lost"));
            assert_eq!(task.id, *id);
            let running = task.status == Status::InProgress;
            assert!(
                running || !claimed.contains(id),
                "the claim of {id} is lost"
            );
            assert!(
                !(begun.contains(id) && interrupted.contains(id)),
                "{id} would run twice"
            );
        }
        for id in &begun {
            assert!(
                !store.begin_installer(*id, None, START).await.unwrap(),
                "{id} would run twice"
            );
        }
    }
}

/// The most bytes of a file, where the disk is full.
const LIMIT: u64 = 3_000_000;

/// Plays the process whose disk is full: the size of files is limited.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_on_a_full_disk() {
    let Some(file) = std::env::var_os(FILE) else {
        return;
    };
    let store = Arc::new(SqliteStore::open(&file).unwrap());
    let before = getrlimit(Resource::Fsize);
    let limited = Rlimit {
        current: Some(LIMIT),
        ..before
    };
    setrlimit(Resource::Fsize, limited).unwrap();
    let mut accepted = Vec::new();
    let mut refused = Vec::new();
    let mut next = 0;
    while refused.len() < 40 {
        assert!(next < 100_000, "the disk is never full");
        let mut calls = tokio::task::JoinSet::new();
        for n in next..next + 20 {
            let store = Arc::clone(&store);
            calls.spawn(async move { (n, store.create(vec![upgrade(n, "node01", START)]).await) });
        }
        next += 20;
        for (n, result) in calls.join_all().await {
            match result {
                Ok(created) => accepted.push((n, created[0])),
                Err(error) => {
                    assert_no_room(&error);
                    refused.push(n);
                }
            }
        }
    }
    // Larger calls are refused as a whole, and questions are still answered.
    let large = (next..next + 5_000).map(|n| upgrade(n, "node01", START));
    let error = store.create(large.collect()).await.unwrap_err();
    assert_no_room(&error);
    assert_all(&store, &accepted, &refused).await;
    assert!(accepted.len() >= 20, "{} accepted", accepted.len());

    // Room is kept for what runs, also where the file and its log are at their limit: what
    // happens to it is written, nothing new takes that room, and all of it can end.
    let task = |(_, created): &(u32, Created)| match created {
        Created::Task(id) => *id,
        other => panic!("{other:?}"),
    };
    for some in accepted[..600].chunks(10) {
        let entry = TimelineEntry {
            detail: Some("x".repeat(1_000)),
            ..TimelineEntry::new(START, TimelineStep::Wait)
        };
        let entries = some.iter().map(|one| (task(one), entry.clone()));
        store.note(entries.collect()).await.unwrap();
    }
    let error = store.create(vec![upgrade(next, "node01", START)]).await;
    assert_no_room(&error.unwrap_err());
    let ended = accepted.len() - 10;
    for some in accepted[..ended].chunks(7) {
        let moves = some
            .iter()
            .map(|one| to(task(one), Status::Cancelled, "node01", START));
        let moved = store.transition(moves.collect()).await.unwrap();
        let is_moved = |moved: &TransitionResult| matches!(moved, TransitionResult::Moved(_));
        assert!(moved.iter().all(is_moved), "{moved:?}");
    }

    setrlimit(Resource::Fsize, before).unwrap();
    for n in std::mem::take(&mut refused) {
        let created = store
            .create(vec![upgrade(n, "node01", START)])
            .await
            .unwrap();
        accepted.push((n, created[0]));
    }
    assert_all(&store, &accepted, &[next]).await;
    // For the next time.
    let look = rusqlite::Connection::open(&file).unwrap();
    let kept = look.query_row("SELECT sum(length(ROOM)) FROM WPKD_RESERVE", [], |row| {
        row.get(0)
    });
    assert_eq!(kept, Ok(1_048_576_i64));
    let claimed = store.claim("node01", usize::MAX, START).await.unwrap();
    assert_eq!(claimed.len(), accepted.len() - ended);
    say("all is well");
}

/// A limit on the size of files is, as a quota is, an I/O error to SQLite: it is
/// told as that, and not as a full disk.
fn assert_no_room(error: &StoreError) {
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("tasks.db: disk I/O error"), "{text}");
    assert!(text.contains("limit on the size of files"), "{text}");
    assert!(!text.contains("free disk space"), "{text}");
}

async fn assert_all(store: &SqliteStore, accepted: &[(u32, Created)], refused: &[u32]) {
    for (n, created) in accepted {
        let task = store.latest(&[agent(*n)]).await.unwrap().remove(0);
        assert_eq!(task.map(|task| Created::Task(task.id)), Some(*created));
    }
    for n in refused {
        assert_eq!(store.latest(&[agent(*n)]).await.unwrap(), [None]);
    }
}

#[tokio::test]
async fn a_full_disk_costs_no_accepted_task_and_passes() {
    let folder = tempfile::tempdir().unwrap();
    let output = child("child_on_a_full_disk", &folder.path().join("tasks.db")).output();
    let output = tokio::time::timeout(DEADLINE, output)
        .await
        .unwrap()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("all is well"),
        "{said}\n{errors}"
    );
}
