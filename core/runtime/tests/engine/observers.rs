//! Who is told of changes, and what others did where they are shown.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, timeout};
use wpk_api::{Changed, Command, Status, StoreError, Task, TaskId, TaskStore, TimelineStep};
use wpk_testkit::memory::{Instead, MemoryObserver, Say};

use crate::stand::{EPOCH, Stand, id};

/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_secs(3_600);

async fn until<T>(observer: &MemoryObserver, look: impl FnMut(&MemoryObserver) -> Option<T>) -> T {
    let found = timeout(PATIENCE, observer.until(look)).await;
    found.unwrap_or_else(|_| panic!("it was told {:?}", observer.seen()))
}

/// Waits until an observer knows a task in this status.
async fn hears(observer: &MemoryObserver, task: TaskId, status: Status) {
    let known = |observer: &MemoryObserver| {
        let statuses = observer.statuses(task);
        (statuses.last() == Some(&status)).then_some(())
    };
    until(observer, known).await;
}

/// A task of the manager's own module.
fn foreign(id_of_task: i64, agent: u32, status: Status) -> Task {
    Task {
        id: TaskId(id_of_task),
        agent: id(agent),
        node: "node01".into(),
        module: "upgrade_module".into(),
        command: Command::Upgrade,
        created: EPOCH - 100,
        updated: Some(EPOCH - 50),
        status,
        error_msg: None,
        confirmation: None,
    }
}

fn writing() -> Arc<MemoryObserver> {
    Arc::new(MemoryObserver::that_writes())
}

#[tokio::test(start_paused = true)]
async fn every_observer_hears_of_every_change_in_order() {
    let observers = vec![writing(), Arc::default()];
    let stand = Stand::watched_by(observers.clone()).await;
    stand.upgrade(&[1, 2]).await;
    stand.delivered(1).await;
    stand.word(1, 0, "Done").await;
    let task = stand.task(1).id;
    for observer in &observers {
        hears(observer, task, Status::Done).await;
        let statuses = observer.statuses(task);
        assert_eq!(statuses.first(), Some(&Status::Pending));
        assert!(statuses.contains(&Status::InProgress), "{statuses:?}");
    }
    let place = stand.store.place("observer-0").await.unwrap();
    assert_eq!(place, observers[0].seen().last().unwrap().revision);
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_or_crashes_is_behind_and_nobody_waits() {
    let (broken, other) = (writing(), writing());
    broken.rule("observe", Instead::Panic("a table of glass"), 1);
    broken.rule("observe", Instead::Fail("no table"), 2);
    broken.rule("observe", Instead::Hang, 1);
    broken.rule("shown", Instead::Panic("no glass either"), 1);
    let stand = Stand::watched_by(vec![broken.clone(), other.clone()]).await;
    let began = Instant::now();
    assert_eq!(stand.upgrade(&[1]).await, [0]);
    assert_eq!(began.elapsed(), Duration::ZERO, "requests do not wait");
    stand.delivered(1).await;
    stand.word(1, 0, "Done").await;
    let task = stand.task(1).id;
    hears(&other, task, Status::Done).await;
    until(&broken, |observer| {
        (observer.count("observe") >= 4).then_some(())
    })
    .await;
    assert!(broken.seen().is_empty());
    broken.release();
    hears(&broken, task, Status::Done).await;
    assert_eq!(broken.picture(), other.picture());
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_it_goes_on_where_it_was() {
    let observer = writing();
    let stand = Stand::watched_by(vec![observer.clone()]).await;
    stand.rule(2, "lock_restart", Say::Hang);
    stand.upgrade(&[1]).await;
    stand.delivered(1).await;
    hears(&observer, stand.task(1).id, Status::InProgress).await;
    // Stopped while it takes nothing: it hears of the rest later.
    observer.rule("observe", Instead::Fail("locked"), usize::MAX);
    stand.word(1, 0, "Done").await;
    let parts = stand.stop().await;
    observer.release();
    let heard = observer.seen().len();
    let stand = parts.start().await;
    let task = stand.task(1).id;
    hears(&observer, task, Status::Done).await;
    let again = observer.seen().split_off(heard);
    assert!(
        again
            .iter()
            .all(|change| change.revision > observer.seen()[heard - 1].revision),
        "what it has heard of does not come again: {again:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stop_tells_what_the_last_deliveries_came_to() {
    let observer = writing();
    let stand = Stand::watched_by(vec![observer.clone()]).await;
    stand.upgrade(&[1]).await;
    stand.delivered(1).await;
    stand.word(1, 0, "Done").await;
    let task = stand.task(1).id;
    let parts = stand.stop().await;
    assert_eq!(observer.statuses(task).last(), Some(&Status::Done));
    // One that hangs holds the stop up for a moment only.
    observer.rule("observe", Instead::Hang, usize::MAX);
    observer.rule("shown", Instead::Hang, usize::MAX);
    let stand = parts.start().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    stand.upgrade(&[2]).await;
    let began = Instant::now();
    stand.stop().await;
    assert!(
        began.elapsed() <= Duration::from_secs(30),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_the_word_of_who_has_heard() {
    let observer = writing();
    let stand = Stand::watched_by(vec![observer.clone()]).await;
    observer.rule("observe", Instead::HangAfterwards, 1);
    stand.upgrade(&[1]).await;
    until(&observer, |observer| observer.seen().first().map(drop)).await;
    let released = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        observer.release();
    };
    let (parts, ()) = tokio::join!(stand.stop(), released);
    let stand = parts.start().await;
    stand.delivered(1).await;
    hears(&observer, stand.task(1).id, Status::InProgress).await;
    let seen = observer.seen();
    let again = seen
        .windows(2)
        .find(|two| two[0].revision >= two[1].revision);
    assert_eq!(again, None, "what it has heard of does not come again");
}

#[tokio::test(start_paused = true)]
async fn one_that_is_gone_keeps_nothing_for_ever() {
    let stand = Stand::watched_by(vec![writing()]).await;
    stand.upgrade(&[1]).await;
    stand.until(1, Status::InProgress).await;
    let mut parts = stand.stop().await;
    let known = parts.store.place("observer-0").await.unwrap();
    assert!(known.0 > 0);
    parts.observers.clear();
    let stand = parts.start().await;
    assert_eq!(stand.store.place("observer-0").await.unwrap().0, 0);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_asked_again() {
    let observer = writing();
    let stand = Stand::watched_by(vec![observer.clone()]).await;
    for operation in ["changes", "set_place"] {
        let away = StoreError::Unavailable("gone".into());
        stand.faults.add(operation, 3, away);
    }
    stand.upgrade(&[1]).await;
    hears(&observer, stand.task(1).id, Status::InProgress).await;
}

#[tokio::test(start_paused = true)]
async fn what_others_made_meanwhile_is_history_before_the_first_request() {
    let observer = writing();
    let failed = Task {
        error_msg: Some("Send open file error".into()),
        ..foreign(41, 7, Status::Failed)
    };
    observer.put([failed, foreign(43, 8, Status::Pending)]);
    let before = observer.there();
    let stand = Stand::watched_by(vec![observer.clone()]).await;
    let items = stand.items("upgrade_result", json!({"agents": [7]})).await;
    assert_eq!(items[0]["task_id"], 41, "{items:?}");
    assert_eq!(items[0]["error_msg"], "Send open file error");
    // The built-in may carry out what waits there; nobody else does.
    assert_eq!(stand.upgrade(&[8]).await, [10]);
    assert_eq!(stand.task(8).status, Status::Pending);
    assert_eq!(stand.upgrade(&[1]).await, [0]);
    let ours = stand.task(1).id;
    assert!(ours > TaskId(43), "{ours}");
    hears(&observer, ours, Status::InProgress).await;
    let mut there = observer.there();
    there.remove(&ours);
    assert_eq!(there, before, "what others made stays as it is there");
    // The built-in's own start cancels what it no longer has in hand.
    stand
        .ask_task("node01", "upgrade_cancel_tasks", json!({}))
        .await;
    assert_eq!(stand.task(8).status, Status::Cancelled);
    assert_eq!(stand.task(1).status, Status::InProgress);
}

#[tokio::test(start_paused = true)]
async fn an_observer_that_cannot_tell_holds_the_start_up_for_a_moment() {
    let observer = writing();
    observer.put([foreign(41, 7, Status::Failed)]);
    observer.rule("shown", Instead::Hang, 1);
    let stand = Stand::watched_by(vec![observer.clone()]).await;
    let began = Instant::now();
    assert_eq!(stand.upgrade(&[1]).await, [0]);
    assert!(began.elapsed() <= Duration::from_secs(3));
    observer.release();
    let known = async {
        while stand.store.tables().latest(&[id(7)])[0].is_none() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_secs(70), known).await.unwrap();
}

/// Later ids are above theirs.
#[tokio::test(start_paused = true)]
async fn one_that_cannot_tell_takes_no_time_from_the_others() {
    let (mute, other) = (writing(), writing());
    mute.rule("shown", Instead::Hang, usize::MAX);
    other.put([foreign(41, 7, Status::Failed)]);
    let stand = Stand::watched_by(vec![mute.clone(), other]).await;
    assert_eq!(stand.upgrade(&[1]).await, [0]);
    assert!(stand.task(1).id > stand.task(7).id);
    assert_eq!(stand.task(7).id, TaskId(41));
    mute.release();
}

#[tokio::test(start_paused = true)]
async fn what_others_made_while_the_sockets_were_theirs_is_seen_at_once() {
    let observer = writing();
    let stand = Stand::watched_by(vec![observer.clone()]).await;
    until(&observer, |observer| {
        (observer.count("shown") >= 2).then_some(())
    })
    .await;
    observer.put([foreign(50, 7, Status::Done)]);
    let began = Instant::now();
    stand.was_away();
    let known = async {
        while stand.store.tables().latest(&[id(7)])[0].is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, known).await.unwrap();
    assert!(
        began.elapsed() <= Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn what_others_write_of_a_begun_task_is_the_agents_word() {
    for status in [Status::Done, Status::Failed] {
        let observer = writing();
        let stand = Stand::watched_by(vec![observer.clone()]).await;
        stand.upgrade(&[1]).await;
        stand.delivered(1).await;
        let task = stand.task(1);
        hears(&observer, task.id, Status::InProgress).await;
        let word = Task {
            status: status.clone(),
            updated: Some(EPOCH + 30),
            error_msg: (status == Status::Failed).then(|| "exit 1".to_owned()),
            ..task.clone()
        };
        observer.put([word.clone()]);
        let ended = stand.until(1, status).await;
        assert_eq!(ended.updated, Some(EPOCH + 30));
        assert_eq!(ended.error_msg, word.error_msg);
        let report = stand.timeline(1).pop().unwrap();
        assert_eq!(report.step, TimelineStep::Report);
        let by = report.asked.unwrap();
        assert!(by.contains("the manager's own module"), "{by}");
    }
}

#[tokio::test(start_paused = true)]
async fn other_changes_of_ours_are_put_right_where_they_were_made() {
    let observer = writing();
    let stand = Stand::watched_by(vec![observer.clone()]).await;
    stand.rule(1, "lock_restart", Say::Hang);
    stand.upgrade(&[1]).await;
    stand.came(1, "lock_restart", 1).await;
    let task = stand.task(1);
    hears(&observer, task.id, Status::InProgress).await;
    for status in [Status::Timeout, Status::Cancelled, Status::Done] {
        // Its installer was not begun: no word can be about it.
        observer.put([Task {
            status: status.clone(),
            updated: Some(EPOCH + 99),
            ..task.clone()
        }]);
        let shown = observer.count("shown");
        let right = |observer: &MemoryObserver| {
            let there = observer.there()[&task.id].clone();
            (observer.count("shown") > shown && there.status == Status::InProgress).then_some(())
        };
        until(&observer, right).await;
        assert_eq!(stand.task(1).status, Status::InProgress, "{status}");
    }
    let last = observer.seen().pop().unwrap();
    assert!(matches!(last.changed, Changed::Task(task) if task.status == Status::InProgress));
}
