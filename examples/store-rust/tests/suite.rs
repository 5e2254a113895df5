//! The suite for all stores on this one, and what is its own: the file.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use store_rust::JournalStore;
use wpk_plugin::api::{Cancel, Created, Status, StoreError, TaskId, TaskStore};
use wpk_testkit::store_suite::{self, START, Stand, agent, bare, to, upgrade};
use wpk_testkit::suite::now;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_does_what_every_store_must() {
    let folder = tempfile::tempdir().unwrap();
    let next = AtomicU32::new(0);
    store_suite::run(async || {
        let name = next.fetch_add(1, Ordering::Relaxed).to_string();
        Arc::new(JournalStore::open(&folder.path().join(name)).unwrap()) as Arc<dyn TaskStore>
    })
    .await;
    store_suite::restarts::run(async || {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tasks.journal");
        Stand::new(move || now(Arc::new(JournalStore::open(&file).unwrap()) as Arc<dyn TaskStore>))
            .keep(folder)
    })
    .await;
}

/// A task of agent 1, claimed and begun, and one of agent 2 that waits.
async fn fill(file: &Path) {
    let store = JournalStore::open(file).unwrap();
    let new = vec![upgrade(1, "node01", START), upgrade(2, "node01", START)];
    store.create(new).await.unwrap();
    let claimed = store.claim("node01", 1, START + 1).await.unwrap();
    assert!(
        store
            .begin_installer(claimed[0].task.id, None, START + 2)
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn a_restart_finds_everything_and_gives_no_id_twice() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tasks.journal");
    fill(&file).await;
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let store = JournalStore::open(&file).unwrap();
    let found = store.latest(&[agent(1), agent(2)]).await.unwrap();
    let statuses = found.into_iter().map(|task| task.unwrap().status);
    assert!(statuses.eq([Status::InProgress, Status::Pending]));
    assert_eq!(store.interrupted("node01", false).await.unwrap(), []);
    // Only what has ended is deleted.
    assert_eq!(store.purge(START).await.unwrap(), 0);
    let moves = vec![
        to(TaskId(1), Status::Done, "node01", START),
        to(TaskId(2), Status::Cancelled, "node01", START),
    ];
    store.transition(moves).await.unwrap();
    assert_eq!(store.purge(START).await.unwrap(), 2);
    drop(store);
    let store = JournalStore::open(&file).unwrap();
    let created = store
        .create(vec![upgrade(1, "node01", START)])
        .await
        .unwrap();
    assert!(
        matches!(created[..], [Created::Task(id)] if id.0 == 3),
        "{created:?}"
    );
}

#[tokio::test]
async fn what_a_crash_left_of_a_line_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tasks.journal");
    fill(&file).await;
    let whole = std::fs::read(&file).unwrap();
    let last_line = whole[..whole.len() - 1]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .unwrap()
        + 1;
    for torn in [
        &whole[..whole.len() - 1],
        &whole[..last_line + 1],
        &[&whole[..last_line], &[0; 4096]].concat(),
        &[&whole[..last_line], b"\0\0\0\"}\n".as_slice()].concat(),
    ] {
        std::fs::write(&file, torn).unwrap();
        let store = JournalStore::open(&file).unwrap();
        // The line that said so is gone, the others are there.
        let interrupted = store.interrupted("node01", false).await.unwrap();
        assert_eq!(interrupted.len(), 1, "{interrupted:?}");
        store
            .transition(vec![to(
                interrupted[0].task.id,
                Status::Done,
                "node01",
                START,
            )])
            .await
            .unwrap();
        drop(store);
        JournalStore::open(&file).unwrap();
    }
    std::fs::write(&file, &whole[..5]).unwrap();
    fill(&file).await;
}

#[tokio::test]
async fn a_damaged_or_foreign_file_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tasks.journal");
    fill(&file).await;
    let mut damaged = std::fs::read(&file).unwrap();
    let second_line = damaged.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    damaged[second_line] = b'?';
    for bytes in [damaged.as_slice(), b"root:x:0:0\n", b"x"] {
        std::fs::write(&file, bytes).unwrap();
        let error = JournalStore::open(&file).unwrap_err();
        assert!(matches!(error, StoreError::Damaged(_)), "{error}");
        assert!(error.to_string().contains("tasks.journal"), "{error}");
        assert_eq!(std::fs::read(&file).unwrap(), bytes);
    }
}

#[tokio::test]
async fn two_processes_do_not_write_one_journal() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tasks.journal");
    let first = JournalStore::open(&file).unwrap();
    let error = JournalStore::open(&file).unwrap_err().to_string();
    assert!(error.contains("another process"), "{error}");
    drop(first);
    JournalStore::open(&file).unwrap();
}

#[tokio::test]
async fn a_journal_that_grew_is_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tasks.journal");
    let store = JournalStore::open(&file).unwrap();
    let length = || file.metadata().unwrap().len();
    let round = async || {
        let many = (0..10_000).map(|n| bare(2 + n % 50, "node01", START));
        store.create(many.collect()).await.unwrap();
        store
            .cancel("node01", Cancel::Pending, START)
            .await
            .unwrap();
        store.purge(START).await.unwrap();
    };
    round().await;
    let one = length();
    for _ in 0..9 {
        round().await;
    }
    assert!(length() < one * 6, "{} after ten rounds of {one}", length());
    let new = vec![upgrade(1, "node01", START + 1)];
    store.create(new).await.unwrap();
    drop(store);
    let store = JournalStore::open(&file).unwrap();
    let found = store.latest(&[agent(1), agent(2)]).await.unwrap();
    assert!(
        matches!(&found[..], [Some(task), None] if task.created == START + 1),
        "{found:?}"
    );
}
