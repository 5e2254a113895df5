//! Changes as they come: in order, more than once, few and many, of whatever kind.

use wpk_api::{Changed, Revision, Status};

use super::stand::{MANY, Stand, foreign, gone, is, takes, task};

/// All stories.
pub async fn run(make: &impl AsyncFn() -> Stand) {
    nothing_is_taken(make().await).await;
    the_last_word_counts(make().await).await;
    what_comes_again_is_harmless(make().await).await;
    what_is_put_right_comes_late(make().await).await;
    tasks_go(make().await).await;
    tasks_of_others_are_nobody_s_business(make().await).await;
    words_of_any_kind_are_taken(make().await).await;
    many_are_taken_at_once(make().await).await;
    a_restart_goes_on(make().await).await;
}

async fn nothing_is_taken(stand: Stand) {
    let observer = &*stand.open.open().await;
    takes("no change at all", observer, &[]).await;
    takes("no change at all", observer, &[]).await;
    takes("the first", observer, &[is(1, 1, Status::Pending)]).await;
    takes("no change at all", observer, &[]).await;
    stand.shows("after nothing new", &[(1, Some(Status::Pending))]);
}

async fn the_last_word_counts(stand: Stand) {
    let observer = &*stand.open.open().await;
    let together = [
        is(1, 1, Status::Pending),
        is(2, 2, Status::Pending),
        is(3, 1, Status::InProgress),
        is(4, 3, Status::Pending),
        is(5, 1, Status::Done),
        is(6, 2, Status::InProgress),
    ];
    takes("three tasks together", observer, &together).await;
    let expected = [
        (1, Some(Status::Done)),
        (2, Some(Status::InProgress)),
        (3, Some(Status::Pending)),
    ];
    stand.shows("changes that came together", &expected);
    // One by one, and numbers with gaps.
    takes("a later one", observer, &[is(70, 2, Status::Failed)]).await;
    stand.shows("a later change", &[(2, Some(Status::Failed))]);
    takes("a later one", observer, &[is(800, 3, Status::Cancelled)]).await;
    takes(
        "a word that is late",
        observer,
        &[is(801, 4, Status::Timeout), is(802, 4, Status::Done)],
    )
    .await;
    let expected = [
        (1, Some(Status::Done)),
        (2, Some(Status::Failed)),
        (3, Some(Status::Cancelled)),
        (4, Some(Status::Done)),
    ];
    stand.shows("changes one by one", &expected);
}

/// The engine tells all of a batch again whose end it did not see.
async fn what_comes_again_is_harmless(stand: Stand) {
    let observer = &*stand.open.open().await;
    let batch = [
        is(1, 1, Status::Pending),
        is(2, 1, Status::InProgress),
        is(3, 2, Status::Pending),
        is(4, 1, Status::Failed),
        gone(5, 2, Some(Status::Pending)),
    ];
    let expected = [(1, Some(Status::Failed)), (2, None)];
    for _ in 0..3 {
        takes("what came before", observer, &batch).await;
        stand.shows("the same changes again", &expected);
    }
    let twice = [is(6, 3, Status::Pending), is(6, 3, Status::Pending)];
    takes("one change twice", observer, &twice).await;
    stand.shows("one change twice", &[(3, Some(Status::Pending))]);
}

/// Where something differs the engine tells how it is now, under a number that was before.
async fn what_is_put_right_comes_late(stand: Stand) {
    let observer = &*stand.open.open().await;
    let batch = [is(7, 1, Status::InProgress), is(8, 2, Status::Pending)];
    takes("two tasks", observer, &batch).await;
    takes("one put right", observer, &[is(7, 1, Status::Done)]).await;
    stand.shows(
        "one put right",
        &[(1, Some(Status::Done)), (2, Some(Status::Pending))],
    );
    takes("one gone", observer, &[gone(8, 2, Some(Status::Pending))]).await;
    takes("one back", observer, &[is(8, 2, Status::Cancelled)]).await;
    stand.shows("one that came back", &[(2, Some(Status::Cancelled))]);
}

async fn tasks_go(stand: Stand) {
    let observer = &*stand.open.open().await;
    let batch = [
        is(1, 1, Status::Done),
        is(2, 2, Status::Failed),
        is(3, 3, Status::Pending),
    ];
    takes("three tasks", observer, &batch).await;
    takes("one gone", observer, &[gone(4, 1, Some(Status::Done))]).await;
    stand.shows(
        "a task that is gone",
        &[
            (1, None),
            (2, Some(Status::Failed)),
            (3, Some(Status::Pending)),
        ],
    );
    // Of this one nobody knows any more how it was.
    takes("one gone without a trace", observer, &[gone(5, 2, None)]).await;
    // Of these nobody has heard.
    takes("an unknown one gone", observer, &[gone(6, 4711, None)]).await;
    let unknown = [gone(7, 4712, Some(Status::Done))];
    takes("an unknown one gone", observer, &unknown).await;
    takes(
        "one gone twice",
        observer,
        &[gone(4, 1, Some(Status::Done))],
    )
    .await;
    stand.shows(
        "deletions of all kinds",
        &[
            (1, None),
            (3, Some(Status::Pending)),
            (4711, None),
            (4712, None),
        ],
    );
    // Made and gone before anybody heard of it.
    let brief = [is(8, 5, Status::Pending), gone(9, 5, Some(Status::Pending))];
    takes("a brief one", observer, &brief).await;
    stand.shows("a task that was there for a moment", &[(5, None)]);
}

async fn tasks_of_others_are_nobody_s_business(stand: Stand) {
    let observer = &*stand.open.open().await;
    let batch = [
        is(1, 1, Status::Pending),
        foreign(2, 900, Status::Pending),
        is(3, 1, Status::InProgress),
        foreign(4, 900, Status::Done),
        foreign(5, 901, Status::Legacy),
    ];
    takes("tasks of somebody else", observer, &batch).await;
    stand.shows("tasks of somebody else", &[(1, Some(Status::InProgress))]);
    takes("one of them gone", observer, &[gone(6, 900, None)]).await;
    takes("one of ours", observer, &[is(7, 1, Status::Done)]).await;
    stand.shows("one of ours among them", &[(1, Some(Status::Done))]);
}

/// Texts come from agents, packages and other programs.
async fn words_of_any_kind_are_taken(stand: Stand) {
    let observer = &*stand.open.open().await;
    let long = "x".repeat(100_000);
    let texts = [
        "",
        " ",
        "d'été \"quoted\" \\ 'again'",
        "two\nlines\r\n\tand a tab",
        "\u{1b}[2J\u{0}\u{7f}\u{202e}",
        "); DROP TABLE TASKS; --",
        "{\"status\": \"Done\"}",
        &long,
    ];
    for (id, text) in (1_i64..).zip(texts) {
        let mut odd = task(id, Status::Failed);
        odd.error_msg = Some(text.to_owned());
        odd.node = text.chars().take(200).collect();
        let mut change = is(id.unsigned_abs(), id, Status::Failed);
        change.changed = Changed::Task(odd);
        let start: String = text.chars().take(20).collect();
        let what = format!("a task with the text {start:?}");
        takes(&what, observer, std::slice::from_ref(&change)).await;
        stand.shows(&what, &[(id, Some(Status::Failed))]);
    }
    // The ends of what numbers can say.
    let mut far = is(u64::MAX, i64::MAX, Status::Done);
    far.revision = Revision(i64::MAX.unsigned_abs());
    takes("the highest numbers", observer, &[far]).await;
    stand.shows("the highest numbers", &[(i64::MAX, Some(Status::Done))]);
}

async fn many_are_taken_at_once(stand: Stand) {
    let observer = &*stand.open.open().await;
    let half = i64::try_from(MANY / 2).unwrap_or(i64::MAX);
    let new = (1..=half).map(|id| is(id.unsigned_abs(), id, Status::Pending));
    let moved = (1..=half).map(|id| {
        let status = match id % 3 {
            0 => Status::Failed,
            _ => Status::InProgress,
        };
        is((half + id).unsigned_abs(), id, status)
    });
    let all: Vec<_> = new.chain(moved).collect();
    takes("10,000 changes", observer, &all).await;
    let expected: Vec<_> = (1..=half)
        .map(|id| match id % 3 {
            0 => (id, Some(Status::Failed)),
            _ => (id, Some(Status::InProgress)),
        })
        .collect();
    stand.shows("10,000 changes", &expected);
}

async fn a_restart_goes_on(stand: Stand) {
    let first = stand.open.open().await;
    let batch = [is(1, 1, Status::Pending), is(2, 2, Status::Pending)];
    takes("two tasks", &*first, &batch).await;
    drop(first);
    let second = stand.open.open().await;
    stand.shows(
        "a restart",
        &[(1, Some(Status::Pending)), (2, Some(Status::Pending))],
    );
    // The engine may not have written down how far it was.
    let again = [is(2, 2, Status::Pending), is(3, 1, Status::InProgress)];
    takes("what came before, and more", &*second, &again).await;
    takes("a later one", &*second, &[is(4, 2, Status::Done)]).await;
    stand.shows(
        "changes after a restart",
        &[(1, Some(Status::InProgress)), (2, Some(Status::Done))],
    );
}
