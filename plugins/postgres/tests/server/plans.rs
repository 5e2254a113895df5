//! How many rows a call looks at where the planner knows least: nobody lived when it counted
//! last, and there is a history.

use std::ops::Range;
use std::sync::Arc;

use wpk_api::{Cancel, TaskStore, UnixTime};
use wpk_testkit::manager::PATIENCE;
use wpk_testkit::store_suite::{START, upgrade};
use wpk_testkit::{PostgresServer, wait_until};

use crate::common::{enter, open, settings};

const SCHEMA: &str = "plans";
/// Tasks that ended long ago.
const OLD: u64 = 50_000;
/// Tasks that ended since.
const ENDED: u64 = 20_000;
/// Tasks that wait.
const WAITING: u32 = 5_000;

/// Rows of the tasks that were looked at.
const TASKS: &str = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables \
                     WHERE schemaname = 'plans' AND relname = 'tasks'";
/// Places in the index by time.
const BY_TIME: &str = "SELECT idx_tup_read FROM pg_stat_user_indexes \
                       WHERE schemaname = 'plans' AND indexrelname = 'tasks_created'";

/// What the server counts while `call` has a store of its own.
async fn count<F>(server: &PostgresServer, what: &str, node: &str, call: F) -> u64
where
    F: AsyncFnOnce(&dyn TaskStore),
{
    server.sql("SELECT pg_stat_reset()");
    let store = open(&settings(server, SCHEMA));
    enter(&*store, node).await;
    call(&*store).await;
    close(server, store).await;
    server.sql(what).parse().unwrap()
}

/// What a connection has counted is seen by others once it is gone.
async fn close(server: &PostgresServer, store: Arc<dyn TaskStore>) {
    store.leave().await.unwrap();
    drop(store);
    let gone = || async {
        let others = server.sql(
            "SELECT count(*) FROM pg_stat_activity \
             WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
        );
        (others == "0").then_some(())
    };
    wait_until(PATIENCE, gone).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_looks_at_what_it_names() {
    let Some(mut server) = PostgresServer::start() else {
        return;
    };
    server.configure("autovacuum = off");
    server.restart();
    let store = open(&settings(&server, SCHEMA));
    enter(&*store, "node01").await;
    let ended = |tasks: u64, at: UnixTime| {
        server.sql(&format!(
            "INSERT INTO {SCHEMA}.tasks (created, updated, agent, exclusive, ours, held, node, \
                 module, command, status) SELECT {at}, {at}, i, true, true, false, 'node01', \
                 'upgrade_module', 'upgrade', 'Done' FROM generate_series(1, {tasks}) AS i;"
        ));
    };
    ended(ENDED, 2 * START);
    server.sql("VACUUM ANALYZE");
    ended(OLD, START);
    let waiting = (100_000..100_000 + WAITING).map(|n| upgrade(n, "node01", START));
    store.create(waiting.collect()).await.unwrap();
    close(&server, store).await;

    // Ten requests for one agent each, and one for five hundred.
    let make = async |store: &dyn TaskStore| {
        let request = |agents: Range<u32>| {
            let tasks = agents.map(|agent| upgrade(agent, "node02", START));
            store.create(tasks.collect())
        };
        for agent in 200_000..200_010 {
            request(agent..agent + 1).await.unwrap();
        }
        request(300_000..300_500).await.unwrap();
    };
    let made = count(&server, TASKS, "node02", make).await;
    let cancel = async |store: &dyn TaskStore| {
        let cancelled = store.cancel("node02", Cancel::Pending, START).await;
        assert_eq!(cancelled, Ok(510));
    };
    let cancelled = count(&server, TASKS, "node02", cancel).await;
    let purge = async |store: &dyn TaskStore| assert_eq!(store.purge(START).await, Ok(OLD));
    let purged = count(&server, BY_TIME, "node01", purge).await;
    assert!(
        made < 5 * 510 && cancelled < 4 * u64::from(WAITING) && purged < 2 * OLD,
        "rows: {made} for 510 new tasks, {cancelled} for the same that end, {purged} places for \
         {OLD} that go"
    );
}
