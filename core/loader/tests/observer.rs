//! Observers, and stores that were built before there were any, as libraries in C: each is
//! asked what it knows, and one that hangs keeps nobody.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use wpk_api::{
    AgentId, Cancel, Change, Changed, Command, Created, Entered, Entrance, Entry, Factory, Fence,
    Guard, Holder, Mover, NewTask, Revision, Selector, Status, StoreError, Task, TaskId,
    TaskObserver, TaskQuery, TaskStore, Transition,
};
use wpk_loader::{LoadOptions, LoadedPlugin, load};
use wpk_testkit::library::Library;
use wpk_testkit::{Home, wait_until};

const SOURCE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../sdk/testkit/hostile/hostile.c"
);
const DEADLINE: Duration = Duration::from_secs(1);
const GRACE: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(30);

fn plugin(kind: &str, mode: &str, more: &[&str]) -> LoadedPlugin {
    let kind = format!("KIND=\"{kind}\"");
    let mode = format!("MODE=\"{mode}\"");
    let defines = [&[kind.as_str(), mode.as_str()], more].concat();
    let library = Library::of_c(Path::new(SOURCE), &defines).unwrap();
    let options = LoadOptions {
        deadline: Some(DEADLINE),
        grace: GRACE,
        ..LoadOptions::default()
    };
    load(library.path(), &options).unwrap()
}

fn observer(mode: &str) -> (LoadedPlugin, Arc<dyn TaskObserver>) {
    let plugin = plugin("observer", mode, &[]);
    let factory = plugin.observers().pop().unwrap();
    let home = Home::new().unwrap();
    let observer = factory.build(&json!({}), &home.context()).unwrap();
    (plugin, observer)
}

fn store(more: &[&str]) -> (LoadedPlugin, Arc<dyn TaskStore>) {
    let plugin = plugin("store", "good", more);
    let factory = plugin.stores().pop().unwrap();
    let home = Home::new().unwrap();
    let store = factory.build(&json!({}), &home.context()).unwrap();
    (plugin, store)
}

fn task() -> Task {
    Task {
        id: TaskId(1),
        agent: AgentId::new(1).unwrap(),
        node: "node01".to_owned(),
        module: "upgrade_module".to_owned(),
        command: Command::Upgrade,
        created: 1_700_000_000,
        updated: None,
        status: Status::Pending,
        error_msg: None,
        confirmation: None,
    }
}

fn changes() -> Vec<Change> {
    let change = |changed, was| Change {
        revision: Revision(1),
        changed,
        was,
    };
    vec![
        change(Changed::Task(task()), None),
        change(Changed::Foreign(task()), None),
        change(Changed::Deleted(TaskId(1)), Some(task())),
    ]
}

async fn nothing_is_left(plugin: &LoadedPlugin) {
    let empty = wait_until(PATIENCE, async || (plugin.outstanding() == 0).then_some(())).await;
    assert!(empty.is_some(), "{} things are left", plugin.outstanding());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observer_in_c_takes_changes_and_need_not_know_more() {
    let (plugin, observer) = observer("good");
    assert_eq!(observer.observe(&changes()).await, Ok(()));
    assert_eq!(observer.observe(&[]).await, Ok(()));
    // Oftener than rules may be broken.
    for _ in 0..101 {
        assert_eq!(observer.shown(TaskId(0), 10).await, Ok(Vec::new()));
    }
    assert_eq!(plugin.quarantined(), None);
    drop(observer);
    nothing_is_left(&plugin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn why_an_observer_takes_nothing_is_told_in_its_words() {
    let (plugin, refusing) = observer("refuses");
    let error = refusing.observe(&changes()).await.unwrap_err();
    assert_eq!(error.to_string(), "no room: a full disk");
    assert_eq!(plugin.quarantined(), None, "it may be told again");
    let (_, garbage) = observer("garbage");
    for error in [
        garbage.observe(&changes()).await.unwrap_err(),
        garbage.shown(TaskId(0), 1).await.unwrap_err(),
    ] {
        assert!(error.to_string().contains("makes no sense"), "{error}");
    }
}

#[tokio::test]
async fn an_observer_that_hangs_is_quarantined_and_keeps_no_thread_of_ours() {
    for mode in ["never", "block"] {
        let (plugin, observer) = observer(mode);
        let (changes, began) = (changes(), Instant::now());
        // One thread: what is beside it goes on meanwhile.
        let mut beside = 0_u32;
        let ticks = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(10));
            while plugin.quarantined().is_none() {
                ticks.tick().await;
                beside += 1;
            }
        };
        let (answer, ()) = tokio::join!(observer.observe(&changes), ticks);
        let error = answer.unwrap_err().to_string();
        assert!(error.contains("quarantined"), "{mode}: {error}");
        assert!(error.contains("`observe`"), "{mode}: {error}");
        assert!(began.elapsed() < PATIENCE, "{mode}");
        assert!(beside > 10, "{mode}: {beside} turns");
        let began = Instant::now();
        observer.observe(&changes).await.unwrap_err();
        observer.shown(TaskId(0), 1).await.unwrap_err();
        assert!(began.elapsed() < DEADLINE, "{mode}: it is asked no more");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_an_older_minor_version_is_asked_in_words_it_knows() {
    let abandoned = async |store: &dyn TaskStore| {
        let cancelled = store.cancel("node01", Cancel::Abandoned, 1_700_000_000);
        cancelled.await
    };
    for minor in ["MINOR=0", "MINOR=1"] {
        let (plugin, store) = store(&[minor]);
        assert_eq!(abandoned(&*store).await, Ok(1), "{minor}");
        assert_eq!(plugin.quarantined(), None);
    }
    let (_, store) = store(&[]);
    assert_eq!(abandoned(&*store).await, Ok(2), "it knows the difference");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_takes_nothing_over_says_what_the_trait_says() {
    for minor in ["MINOR=1", "MINOR=2"] {
        let (plugin, store) = store(&[minor]);
        for _ in 0..101 {
            let imported = store.import(vec![task()]).await;
            assert_eq!(imported, Err(StoreError::imports_nothing()), "{minor}");
        }
        assert_eq!(plugin.quarantined(), None, "it is no broken rule");
    }
}

/// A store of contract 2 is one daemon's: it is not asked what it cannot know, and no task
/// comes to it that it would carry out against its fence.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_contract_2_is_one_daemon_s_and_keeps_no_documents() {
    let entry = Entry {
        node: "node01".into(),
        holder: Holder::default(),
        replaces: None,
    };
    let fenced = NewTask {
        agent: AgentId::new(1).unwrap(),
        node: "node01".into(),
        module: "upgrade_module".into(),
        command: Command::Upgrade,
        created: 1_700_000_000,
        order: None,
        exclusive: true,
        held: false,
        fence: Some(Box::new(Fence {
            key: "rollout".into(),
            epoch: 1,
            opens: 0,
            closes: None,
            mark: String::new(),
        })),
    };
    let guard = Guard {
        key: "rollout".into(),
        version: 1,
    };
    // The last was compiled again, and knows no more than before.
    for minor in ["MINOR=0", "MINOR=2", "MINOR=3", "MINOR=4", "MINOR=5"] {
        let (plugin, store) = store(&[minor]);
        let none = Err(StoreError::keeps_no_documents());
        for _ in 0..101 {
            let entered = Entrance::Entered(Entered {
                incarnation: 0,
                lease: None,
            });
            assert_eq!(store.enter(&entry).await, Ok(entered), "{minor}");
            assert_eq!(store.clock().await, Ok(None));
            assert_eq!(store.begun(TaskId(1)).await, Ok(None));
            assert_eq!(store.orphans(TaskId(0), 9).await, Ok(vec![]));
            assert_eq!(store.documents("", "", 9).await, none);
        }
        assert_eq!(store.renew().await, Ok(()));
        assert_eq!(store.leave().await, Ok(()));
        assert_eq!(store.nodes().await, Ok(vec![]));
        assert_eq!(store.take_over(&[TaskId(1)]).await, Ok(vec![]));
        assert_eq!(store.hand_over(&[TaskId(1)], "node02").await, Ok(vec![]));
        assert_eq!(store.keep_readers(&[]).await, Ok(()));
        assert_eq!(
            store.staging("node01", TaskId(0), 9).await,
            Ok(vec![]),
            "{minor}"
        );
        let written = store.write_documents(vec![], None).await;
        assert_eq!(written, Err(StoreError::keeps_no_documents()));
        let created = store.create_guarded(vec![], guard.clone()).await;
        assert_eq!(created, Err(StoreError::keeps_no_documents()));
        let changed = store.write_attempts(vec![], None).await;
        assert_eq!(changed, Err(StoreError::changes_no_attempts()), "{minor}");
        let found = store.attempts_of(&[TaskId(1)]).await;
        assert_eq!(found, Err(StoreError::changes_no_attempts()), "{minor}");
        let listed = store.history(&TaskQuery::default()).await;
        assert_eq!(listed, Err(StoreError::lists_no_tasks()), "{minor}");
        let back = Transition {
            select: Selector::Task(TaskId(1)),
            to: Status::Cancelled,
            node: "node01".into(),
            error_msg: None,
            at: 1,
            by: Mover::Operator,
            entry: None,
        };
        let back = store.transition(vec![back]).await;
        match minor {
            // It is asked, and has no moves at all.
            "MINOR=5" => assert!(back.is_err(), "{back:?}"),
            _ => assert_eq!(back, Err(StoreError::takes_nothing_back()), "{minor}"),
        }
        assert_eq!(plugin.quarantined(), None, "it is no broken rule");
        // It cannot create at all, so only the rest of the call may reach it.
        let created = store.create(vec![fenced.clone()]).await;
        assert_eq!(created, Ok(vec![Created::Fenced]), "{minor}");
    }
}
