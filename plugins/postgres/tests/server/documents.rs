//! Documents, and the tasks that are made for them.

use wpk_api::{
    Created, DocumentWrite, Fence, Guard, LONGEST_KEY, NewDocument, NewTask, Status, TaskId,
    TaskStore,
};
use wpk_testkit::PostgresServer;
use wpk_testkit::store_suite::{START, upgrade};

use crate::common::{enter, open, settings};

fn write(key: &str, expected: Option<u64>, epoch: u64, text: &str) -> DocumentWrite {
    DocumentWrite {
        key: key.to_owned(),
        expected,
        becomes: Some(NewDocument {
            epoch,
            keeps_tasks: true,
            text: text.to_owned(),
        }),
    }
}

fn fenced(agent: u32, epoch: u64) -> NewTask {
    NewTask {
        fence: Some(Box::new(Fence {
            key: "rollout/1".to_owned(),
            epoch,
            opens: 0,
            closes: None,
            mark: String::new(),
        })),
        ..upgrade(agent, "node01", START)
    }
}

async fn version(store: &dyn TaskStore, writes: Vec<DocumentWrite>) -> u64 {
    store.write_documents(writes, None).await.unwrap().unwrap()[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_compared_and_set() {
    let Some(server) = PostgresServer::start() else {
        return;
    };
    let store = open(&settings(&server, "documents"));
    enter(&*store, "node01").await;
    let first = version(&*store, vec![write("rollout/1", None, 1, "a")]).await;
    let other = version(&*store, vec![write("rollout/2", None, 1, "b")]).await;
    assert!(first > 0 && other > first);
    let long = "x".repeat(LONGEST_KEY + 1);
    for refused in [
        write("rollout/1", None, 1, "c"),
        write("rollout/1", Some(first + 99), 1, "c"),
        write("rollout/1", Some(first), 0, "an epoch is only raised"),
        write(&long, None, 1, "c"),
        write("", None, 1, "c"),
    ] {
        // All or none.
        let both = vec![write("rollout/3", None, 1, "d"), refused];
        assert_eq!(store.write_documents(both, None).await, Ok(None));
    }
    let guard = |version| {
        Some(Guard {
            key: "rollout/2".to_owned(),
            version,
        })
    };
    let next = || vec![write("rollout/1", Some(first), 1, "c")];
    assert_eq!(store.write_documents(next(), guard(first)).await, Ok(None));
    let written = store.write_documents(next(), guard(other)).await.unwrap();
    assert!(written.unwrap()[0] > other);
    let found = store.documents("rollout/", "", 9).await.unwrap();
    let told: Vec<_> = found
        .iter()
        .map(|one| (one.key.as_str(), one.text.as_str()))
        .collect();
    assert_eq!(told, [("rollout/1", "c"), ("rollout/2", "b")]);
    let page = store.documents("rollout/", "rollout/1", 9).await.unwrap();
    assert_eq!(page, found[1..]);
    assert_eq!(store.documents("label/", "", 9).await, Ok(vec![]));
    let gone = DocumentWrite {
        key: "rollout/2".to_owned(),
        expected: Some(other),
        becomes: None,
    };
    version(&*store, vec![gone]).await;
    let again = version(&*store, vec![write("rollout/2", None, 1, "e")]).await;
    assert!(again > other + 1, "no version comes twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raised_epoch_ends_what_was_not_begun() {
    let Some(server) = PostgresServer::start() else {
        return;
    };
    let store = open(&settings(&server, "fences"));
    enter(&*store, "node01").await;
    let document = version(&*store, vec![write("rollout/1", None, 1, "a")]).await;
    let new = vec![fenced(1, 1), fenced(2, 1), fenced(3, 2)];
    let created = store.create(new).await.unwrap();
    let [Created::Task(begun), Created::Task(waits), Created::Fenced] = created[..] else {
        panic!("{created:?}");
    };
    store.claim("node01", 1, START).await.unwrap();
    assert!(store.begin_installer(begun, None, START).await.unwrap());
    let guard = |version| Guard {
        key: "rollout/1".to_owned(),
        version,
    };
    let wrong = store
        .create_guarded(vec![fenced(4, 1)], guard(document + 1))
        .await;
    assert_eq!(wrong, Ok(None));
    let right = store
        .create_guarded(vec![fenced(4, 1)], guard(document))
        .await;
    let Ok(Some(right)) = right else {
        panic!("{right:?}");
    };
    let [Created::Task(taken)] = right[..] else {
        panic!("{right:?}");
    };
    assert_eq!(store.claim("node01", 9, START).await.unwrap().len(), 2);
    let attempts = store.attempts("rollout/1", TaskId(0), 9).await.unwrap();
    let told: Vec<_> = attempts
        .iter()
        .map(|one| (one.task.id, one.epoch, one.begun))
        .collect();
    assert_eq!(
        told,
        [(begun, 1, true), (waits, 1, false), (taken, 1, false)]
    );
    version(&*store, vec![write("rollout/1", Some(document), 2, "b")]).await;
    assert!(!store.begin_installer(waits, None, START).await.unwrap());
    let found = store.tasks(&[begun, waits, taken]).await.unwrap();
    let statuses: Vec<_> = found.iter().flatten().map(|task| &task.status).collect();
    let ended = [&Status::InProgress, &Status::Cancelled, &Status::Cancelled];
    assert_eq!(statuses, ended);
    // The document keeps them, however old they are.
    let far = store.clock().await.unwrap().unwrap() + 1;
    assert_eq!(store.purge(far).await, Ok(0));
}

/// Before a fence opens its task is only sent, and after it closed it is not begun.
#[tokio::test(flavor = "multi_thread")]
async fn a_fence_opens_and_closes_by_the_servers_clock() {
    let Some(server) = PostgresServer::start() else {
        return;
    };
    let store = open(&settings(&server, "windows"));
    enter(&*store, "node01").await;
    version(&*store, vec![write("rollout/1", None, 1, "a")]).await;
    let now = store.clock().await.unwrap().unwrap();
    let within = |agent, opens, closes| {
        let mut task = fenced(agent, 1);
        if let Some(fence) = &mut task.fence {
            (fence.opens, fence.closes) = (opens, closes);
        }
        task
    };
    let new = vec![
        within(1, now + 3_600, None),
        within(2, now - 1, Some(now - 1)),
        within(3, now - 1, Some(now + 3_600)),
        upgrade(4, "node01", START),
    ];
    let created = store.create(new).await.unwrap();
    let ids: Vec<TaskId> = (created.iter())
        .map(|one| match one {
            Created::Task(id) => *id,
            other => panic!("{other:?}"),
        })
        .collect();
    let staged = store.staging("node01", TaskId(0), 9).await.unwrap();
    let staged: Vec<TaskId> = staged.iter().map(|one| one.task.id).collect();
    assert_eq!(staged, ids[..3]);
    // Whatever the caller's clock says.
    let claimed = store.claim("node01", 9, now + 7_200).await.unwrap();
    let claimed: Vec<TaskId> = claimed.iter().map(|one| one.task.id).collect();
    assert_eq!(claimed, ids[1..]);
    let mut begun = Vec::new();
    for id in &ids {
        begun.push(store.begin_installer(*id, None, 0).await.unwrap());
    }
    assert_eq!(begun, [false, false, true, true]);
}

/// It keeps documents, so that the suite's stories of them are told of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_suite_of_documents_holds() {
    let Some(server) = PostgresServer::start() else {
        return;
    };
    let next = std::sync::atomic::AtomicU32::new(0);
    let make = async || {
        let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        open(&settings(&server, &format!("documents{number}")))
    };
    wpk_testkit::store_suite::documents::run(&make).await;
}
