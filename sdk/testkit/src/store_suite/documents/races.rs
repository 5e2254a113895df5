//! Callers that race each other, over one set of documents.

use std::sync::Arc;

use tokio::task::JoinSet;
use wpk_api::TaskStore;

use super::writing::{made_for, put, statuses, write};
use crate::store_suite::tasks::{START, create, ok};

/// How often a race is run, and by how many.
const ROUNDS: u32 = 12;
const WRITERS: usize = 8;

/// Callers that race each other, with as many stores over the same data as there are.
pub(in crate::store_suite) async fn races(stores: &[Arc<dyn TaskStore>]) {
    one_of_many_writers_is_first(stores).await;
    it_is_begun_or_ended_never_both(stores).await;
}

async fn one_of_many_writers_is_first(stores: &[Arc<dyn TaskStore>]) {
    let Some(store) = stores.first() else { return };
    let mut version = None;
    for round in 0..u64::from(ROUNDS) {
        let mut writers = JoinSet::new();
        for (n, store) in stores.iter().cycle().take(WRITERS).enumerate() {
            let (store, one) = (
                Arc::clone(store),
                write("race", version, round, &n.to_string()),
            );
            writers.spawn(async move {
                let written = ok(store.write_documents(vec![one], None).await);
                written.map(|versions| (n.to_string(), versions))
            });
        }
        let written: Vec<_> = writers.join_all().await.into_iter().flatten().collect();
        let [(text, versions)] = written.as_slice() else {
            panic!("of those who expect one version one writes: {written:?}");
        };
        let found = ok(store.documents("race", "", 9).await);
        assert_eq!(
            (&found[0].text, vec![found[0].version]),
            (text, versions.clone())
        );
        version = versions.first().copied();
    }
}

async fn it_is_begun_or_ended_never_both(stores: &[Arc<dyn TaskStore>]) {
    let [first, .., last] = stores else { return };
    let mut version = put(&**first, write("stopped", None, 0, "")).await;
    for round in 0..ROUNDS {
        let epoch = u64::from(round);
        let task = create(&**first, made_for("stopped", epoch, 100 + round)).await;
        let claimed = ok(first.claim("node01", 9, START).await);
        assert_eq!(claimed.len(), 1);
        let begin = {
            let store = Arc::clone(first);
            async move { ok(store.begin_installer(task, None, START).await) }
        };
        let stop = {
            let store = Arc::clone(last);
            async move { put(&*store, write("stopped", Some(version), epoch + 1, "")).await }
        };
        let (begin, stop) = match round % 2 {
            0 => (tokio::spawn(begin), tokio::spawn(stop)),
            _ => {
                let stop = tokio::spawn(stop);
                (tokio::spawn(begin), stop)
            }
        };
        let (Ok(begun), Ok(now)) = tokio::join!(begin, stop) else {
            panic!("beginning it or raising the epoch failed");
        };
        version = now;
        let expected = if begun { "In progress" } else { "Cancelled" };
        assert_eq!(statuses(&**first, &[task]).await, [expected]);
    }
}
