//! Many tasks at once.

use std::time::{Duration, Instant};

use wpk_api::{Created, Revision};
use wpk_testkit::PostgresServer;
use wpk_testkit::store_suite::{START, upgrade};

use crate::common::{enter, open, settings};

const MANY: u32 = 50_000;
/// Far more than it takes, with everything unoptimised on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn fifty_thousand_tasks_are_one_call() {
    let Some(server) = PostgresServer::start() else {
        return;
    };
    let store = open(&settings(&server, "many"));
    enter(&*store, "node01").await;
    let new = (1..=MANY).map(|n| upgrade(n, "node01", START)).collect();
    let begin = Instant::now();
    let created = store.create(new).await.unwrap();
    let took = begin.elapsed();
    println!("{MANY} tasks in {took:?}");
    assert_eq!(created.len(), MANY as usize);
    assert!(created.iter().all(|one| matches!(one, Created::Task(_))));
    assert!(took < LIMIT, "{took:?}");
    assert_eq!(store.revision().await, Ok(Revision(u64::from(MANY))));
    let again = (1..=MANY).map(|n| upgrade(n, "node01", START)).collect();
    let again = store.create(again).await.unwrap();
    assert!(
        again
            .iter()
            .all(|one| matches!(one, Created::AlreadyLive(_)))
    );
}
