//! The tables: made once, whoever comes first, and refused where they are newer.

use tokio::task::JoinSet;
use wpk_api::{
    Attempt, AttemptChange, AttemptWrite, Created, DocumentWrite, Fence, NewDocument, NewTask,
    Revision, StoreError, TaskId,
};
use wpk_testkit::PostgresServer;
use wpk_testkit::store_suite::{START, upgrade};

use crate::common::{agent, create, enter, open, settings};

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_first_makes_the_tables_and_a_newer_layout_is_refused() {
    let Some(server) = PostgresServer::start() else {
        return;
    };
    let settings = settings(&server, "tables");
    let mut openers = JoinSet::new();
    for _ in 0..8 {
        let store = open(&settings);
        openers.spawn(async move { store.latest(&[agent(1)]).await });
    }
    for answer in openers.join_all().await {
        assert_eq!(answer, Ok(vec![None]));
    }
    let store = open(&settings);
    create(&*store, 1).await;
    server.sql("UPDATE tables.about SET layout = layout + 1");
    let refused = open(&settings).latest(&[agent(1)]).await;
    let Err(StoreError::Damaged(text)) = refused else {
        panic!("{refused:?}");
    };
    assert!(
        text.contains("layout 5") && text.contains("store.schema"),
        "{text}"
    );
    // One that was open already writes nothing into tables that it does not know.
    let refused = store.withdraw(&[]).await;
    assert!(
        matches!(refused, Err(StoreError::Damaged(_))),
        "{refused:?}"
    );
}

/// What was made for a document before there were marks.
#[tokio::test(flavor = "multi_thread")]
async fn tables_of_the_layout_before_are_brought_up_to_date() {
    let Some(server) = PostgresServer::start() else {
        return;
    };
    let settings = settings(&server, "former");
    let store = open(&settings);
    let new = NewDocument {
        epoch: 1,
        keeps_tasks: true,
        text: String::new(),
    };
    let write = DocumentWrite {
        key: "a".to_owned(),
        expected: None,
        becomes: Some(new),
    };
    store.write_documents(vec![write], None).await.unwrap();
    let fence = Fence {
        key: "a".to_owned(),
        epoch: 1,
        opens: START + 1,
        closes: None,
        mark: "lost".to_owned(),
    };
    let task = NewTask {
        fence: Some(Box::new(fence)),
        ..upgrade(1, "node01", START)
    };
    let created = store.create(vec![task]).await.unwrap();
    assert_eq!(created, [Created::Task(TaskId(1))]);
    drop(store);
    server.sql(
        "ALTER TABLE former.tasks DROP COLUMN fence_staged, DROP COLUMN fence_mark; DROP INDEX former.tasks_created; \
         DROP INDEX former.documents_version; \
         UPDATE former.about SET layout = 1",
    );
    let store = open(&settings);
    let found = store.attempts_of(&[TaskId(1)]).await.unwrap();
    let known = |one: &Attempt| (one.opens, one.staged, one.mark.clone());
    let known = found[0].as_ref().map(known);
    assert_eq!(known, Some((START + 1, false, String::new())));
    let change = AttemptChange::Mark("kept".to_owned());
    let write = AttemptWrite {
        task: TaskId(1),
        change,
    };
    let applied = store.write_attempts(vec![write], None).await;
    assert_eq!(applied, Ok(Some(1)));
    let found = store.attempts_of(&[TaskId(1)]).await.unwrap();
    assert_eq!(found[0].as_ref().map(|one| one.mark.as_str()), Some("kept"));
}

/// Readers of a node that is long gone keep nothing, and those of one that lives do.
#[tokio::test(flavor = "multi_thread")]
async fn readers_of_nodes_that_are_gone_for_a_week_are_forgotten() {
    let Some(server) = PostgresServer::start() else {
        return;
    };
    let (gone, lives) = (
        open(&settings(&server, "readers")),
        open(&settings(&server, "readers")),
    );
    enter(&*gone, "gone").await;
    enter(&*lives, "lives").await;
    gone.set_place("mirror", Revision(1)).await.unwrap();
    lives.set_place("mirror", Revision(2)).await.unwrap();
    assert_eq!(gone.place("mirror").await, Ok(Revision(1)));
    assert_eq!(lives.place("mirror").await, Ok(Revision(2)));
    lives.keep_readers(&[]).await.unwrap();
    assert_eq!(lives.place("mirror").await, Ok(Revision(0)));
    assert_eq!(gone.place("mirror").await, Ok(Revision(1)), "another's");
    lives.set_place("mirror", Revision(2)).await.unwrap();
    let aged = |days: u32| {
        format!(
            "UPDATE readers.leases SET until = clock_timestamp() - interval '{days} days' \
             WHERE node = 'gone'"
        )
    };
    server.sql(&aged(6));
    lives.purge(0).await.unwrap();
    assert_eq!(gone.place("mirror").await, Ok(Revision(1)));
    server.sql(&aged(8));
    lives.purge(0).await.unwrap();
    let readers = server.sql("SELECT node FROM readers.readers");
    let nodes = server.sql("SELECT node FROM readers.nodes");
    assert_eq!((readers.as_str(), nodes.as_str()), ("lives", "lives"));
}

/// Nobody reads the feed: the first who does finds it numbered all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_lease_numbers_what_nobody_read() {
    let Some(server) = PostgresServer::start() else {
        return;
    };
    let store = open(&settings(&server, "unread"));
    enter(&*store, "node01").await;
    for agent in 1..=3 {
        create(&*store, agent).await;
    }
    let unread = "SELECT count(*) FROM unread.changes WHERE revision IS NULL";
    assert_eq!(server.sql(unread), "3");
    store.renew().await.unwrap();
    assert_eq!(server.sql(unread), "0");
    let changes = store.changes(Revision(0), 10).await.unwrap();
    let revisions: Vec<u64> = changes.iter().map(|change| change.revision.0).collect();
    assert_eq!(revisions, [1, 2, 3]);
}
