//! What an observer shows to be compared: pages in order, and ours among them as they were
//! told. One that shows nothing shows nothing, always.

use wpk_api::{Status, Task, TaskId, TaskObserver};

use super::stand::{Stand, gone, is, takes};
use crate::suite::{ok, within};

/// All stories.
pub async fn run(make: &impl AsyncFn() -> Stand) {
    let stand = make().await;
    let observer = &*stand.open.open().await;
    let before = pages(observer, 7).await;
    let told: Vec<_> = (1..=40)
        .map(|id| is(id, id.cast_signed(), Status::Pending))
        .collect();
    takes("40 tasks", observer, &told).await;
    let last = [
        is(41, 40, Status::InProgress),
        is(42, 40, Status::Done),
        gone(43, 39, Some(Status::Pending)),
    ];
    takes("the last of them", observer, &last).await;
    let all = page(observer, TaskId(0), 1_000_000).await;
    for size in [1, 7, 38, 39, 40, 1_000_000] {
        assert_eq!(pages(observer, size).await, all, "pages of {size}");
    }
    assert_eq!(
        page(observer, TaskId(0), 0).await,
        [],
        "none were asked for"
    );
    assert_eq!(page(observer, TaskId(i64::MAX), 10).await, []);
    let ours: Vec<(i64, &Status)> = (all.iter())
        .filter(|task| (1..=40).contains(&task.id.0))
        .map(|task| (task.id.0, &task.status))
        .collect();
    if ours.is_empty() {
        assert_eq!(all, before, "it shows what it was not told of");
        return;
    }
    let pending = (1..=38).map(|id| (id, &Status::Pending));
    let expected: Vec<_> = pending.chain([(40, &Status::Done)]).collect();
    assert_eq!(ours, expected, "what it shows of 40 tasks");
}

/// One page; ids above `after`, ascending, `limit` at the most.
async fn page(observer: &dyn TaskObserver, after: TaskId, limit: usize) -> Vec<Task> {
    let shown = within("shown", observer.shown(after, limit)).await;
    let shown = ok("shown", shown);
    assert!(
        shown.len() <= limit,
        "{} tasks, and {limit} were asked for",
        shown.len()
    );
    let ids: Vec<i64> = (shown.iter()).map(|task| task.id.0).collect();
    let ascending = ids.iter().zip(ids.iter().skip(1)).all(|(a, b)| a < b);
    assert!(ascending, "ids that do not ascend: {ids:?}");
    assert!(
        ids.iter().all(|id| *id > after.0),
        "ids above {after} were asked for: {ids:?}"
    );
    shown
}

/// All of it, in pages.
async fn pages(observer: &dyn TaskObserver, size: usize) -> Vec<Task> {
    let mut all: Vec<Task> = Vec::new();
    loop {
        let after = all.last().map_or(TaskId(0), |task| task.id);
        let next = page(observer, after, size).await;
        if next.is_empty() {
            return all;
        }
        all.extend(next);
    }
}
