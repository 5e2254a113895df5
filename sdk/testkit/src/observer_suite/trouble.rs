//! What goes wrong: an observer that cannot work says so or waits, and works again when it
//! can; whoever gives up waiting for it breaks nothing.

use std::time::Duration;

use wpk_api::{Change, Status, TaskObserver};

use super::stand::{Stand, is, takes};
use crate::suite::at_every_point;

/// How long an observer that cannot work is waited for: it may wait as well.
const A_WHILE: Duration = Duration::from_secs(1);

/// All stories.
pub async fn run(make: &impl AsyncFn() -> Stand) {
    an_error_leaves_it_usable(make().await).await;
    a_broken_one_can_be_opened_again(make().await).await;
    whoever_gives_up_breaks_nothing(make().await).await;
}

/// It must not say that all is done.
async fn does_not_take(observer: &dyn TaskObserver, changes: &[Change]) {
    let answer = tokio::time::timeout(A_WHILE, observer.observe(changes)).await;
    match answer {
        Ok(Ok(())) => panic!("it cannot work, and said that it took {changes:?}"),
        Ok(Err(error)) => {
            let text = error.to_string();
            assert!(!text.trim().is_empty(), "an error without words");
        }
        Err(_) => {}
    }
}

async fn an_error_leaves_it_usable(stand: Stand) {
    let Some(break_it) = &stand.break_it else {
        return;
    };
    let observer = &*stand.open.open().await;
    takes("the first", observer, &[is(1, 1, Status::Pending)]).await;
    let batch = [is(2, 1, Status::InProgress), is(3, 2, Status::Pending)];
    for _ in 0..2 {
        break_it(true);
        does_not_take(observer, &batch).await;
        does_not_take(observer, &batch).await;
        break_it(false);
        // The engine tells the same again.
        takes("what could not be taken before", observer, &batch).await;
        stand.shows(
            "changes after trouble",
            &[(1, Some(Status::InProgress)), (2, Some(Status::Pending))],
        );
    }
    takes("a later one", observer, &[is(4, 2, Status::Done)]).await;
    stand.shows(
        "a change after trouble",
        &[(1, Some(Status::InProgress)), (2, Some(Status::Done))],
    );
}

/// The daemon is stopped and started while something is in its way.
async fn a_broken_one_can_be_opened_again(stand: Stand) {
    let Some(break_it) = &stand.break_it else {
        return;
    };
    let first = stand.open.open().await;
    takes("the first", &*first, &[is(1, 1, Status::Pending)]).await;
    break_it(true);
    does_not_take(&*first, &[is(2, 1, Status::Done)]).await;
    drop(first);
    break_it(false);
    let second = stand.open.open().await;
    takes("what was not taken", &*second, &[is(2, 1, Status::Done)]).await;
    stand.shows("a restart after trouble", &[(1, Some(Status::Done))]);
}

async fn whoever_gives_up_breaks_nothing(stand: Stand) {
    let observer = &*stand.open.open().await;
    let batch = [
        is(1, 1, Status::Pending),
        is(2, 2, Status::Pending),
        is(3, 1, Status::InProgress),
        is(4, 2, Status::Cancelled),
    ];
    at_every_point(
        "an observe that is given up",
        async || takes("changes", observer, &batch).await,
        async || {
            takes("changes that were given up", observer, &batch).await;
            stand.shows(
                "changes that were given up and came again",
                &[(1, Some(Status::InProgress)), (2, Some(Status::Cancelled))],
            );
        },
    )
    .await;
    at_every_point(
        "a shown that is given up",
        async || drop(observer.shown(wpk_api::TaskId(0), 100).await),
        async || takes("the first again", observer, &batch[..1]).await,
    )
    .await;
    takes("the last again", observer, &batch[2..]).await;
    stand.shows(
        "the last",
        &[(1, Some(Status::InProgress)), (2, Some(Status::Cancelled))],
    );
}
