//! What was made for a document, opened, cancelled and marked task by task.

use std::time::{Duration, Instant};

use wpk_api::{
    Attempt, AttemptChange, AttemptWrite, Changed, Created, Guard, LONGEST_MARK, NewTask, Revision,
    Status, TaskId, TaskStore, TimelineStep, UnixTime,
};

use super::writing::{guard, made_for, put, statuses, write};
use crate::store_suite::stand::Stand;
use crate::store_suite::tasks::{START, TARGET, agent, create, ok, to, upgrade};

/// How long 10,000 changes in one call may take; far above what any needs.
const BOUND: Duration = Duration::from_secs(60);

fn change(task: TaskId, change: AttemptChange) -> AttemptWrite {
    AttemptWrite { task, change }
}

fn open(task: TaskId, opens: UnixTime, closes: Option<UnixTime>) -> AttemptWrite {
    change(task, AttemptChange::Open { opens, closes })
}

fn cancel(task: TaskId, words: &str) -> AttemptWrite {
    change(task, AttemptChange::Cancel(words.to_owned()))
}

fn staged(task: TaskId, staged: bool) -> AttemptWrite {
    change(task, AttemptChange::Staged(staged))
}

fn mark(task: TaskId, mark: &str) -> AttemptWrite {
    change(task, AttemptChange::Mark(mark.to_owned()))
}

/// How many of the changes applied.
async fn applied(
    store: &dyn TaskStore,
    writes: Vec<AttemptWrite>,
    guard: Option<Guard>,
) -> Option<u64> {
    ok(store.write_attempts(writes, guard).await)
}

async fn attempt(store: &dyn TaskStore, task: TaskId) -> Attempt {
    let found = ok(store.attempts_of(&[task]).await);
    match found.into_iter().next().flatten() {
        Some(attempt) => attempt,
        None => panic!("{task} was made for a document"),
    }
}

/// A task with a window that nobody reaches, and a mark.
fn closed(id: u32) -> NewTask {
    let mut task = made_for("a", 1, id);
    if let Some(fence) = &mut task.fence {
        fence.opens = UnixTime::MAX;
        fence.mark = "made".to_owned();
    }
    task
}

pub(super) async fn attempts_are_found_by_their_tasks(store: &dyn TaskStore) {
    put(store, write("a", None, 1, "")).await;
    let fenced = create(store, closed(1)).await;
    let plain = create(store, upgrade(2, "node01", START)).await;
    let begun = create(store, made_for("a", 1, 3)).await;
    ok(store.claim("node01", 9, START + 1).await);
    assert!(ok(store
        .begin_installer(begun, Some(TARGET), START + 2)
        .await));
    // When it was begun stays known after it ended.
    ok(store.touch(&[begun], START + 3).await);
    let ended = to(begun, Status::Failed, "node01", START + 4);
    ok(store.transition(vec![ended]).await);
    let asked = [begun, plain, TaskId(9_999), fenced, begun];
    let found = ok(store.attempts_of(&asked).await);
    let task = async |id| ok(store.tasks(&[id]).await).into_iter().flatten().next();
    let expected_begun = task(begun).await.map(|task| Attempt {
        key: "a".to_owned(),
        epoch: 1,
        begun: true,
        target: Some(TARGET),
        opens: 0,
        closes: None,
        begun_at: Some(START + 2),
        staged: false,
        mark: String::new(),
        task,
    });
    let expected_fenced = task(fenced).await.map(|task| Attempt {
        key: "a".to_owned(),
        epoch: 1,
        begun: false,
        target: None,
        opens: UnixTime::MAX,
        closes: None,
        begun_at: None,
        staged: false,
        mark: "made".to_owned(),
        task,
    });
    let expected = [
        expected_begun.clone(),
        None,
        None,
        expected_fenced,
        expected_begun,
    ];
    assert_eq!(found, expected);
    assert_eq!(ok(store.attempts_of(&[]).await), []);
}

pub(super) async fn it_may_be_taken_from_its_opening_and_begun_until_its_closing(
    store: &dyn TaskStore,
) {
    put(store, write("a", None, 1, "")).await;
    let [one, other] = [
        create(store, closed(1)).await,
        create(store, closed(2)).await,
    ];
    let claim = async |now| {
        let claimed = ok(store.claim("node01", 9, now).await);
        claimed.iter().map(|one| one.task.id).collect::<Vec<_>>()
    };
    assert_eq!(claim(START + 99).await, []);
    let before = ok(store.tasks(&[one]).await);
    let closes = Some(START + 20);
    let writes = vec![
        open(one, START + 10, closes),
        // The last word counts.
        open(other, START + 1, None),
        open(other, START + 11, closes),
    ];
    assert_eq!(applied(store, writes, None).await, Some(3));
    assert_eq!(ok(store.tasks(&[one]).await), before, "it waits as before");
    let now = attempt(store, one).await;
    assert_eq!((now.opens, now.closes), (START + 10, closes));
    assert_eq!(claim(START + 9).await, []);
    assert_eq!(claim(START + 10).await, [one]);
    assert_eq!(claim(START + 11).await, [other]);
    let begin = async |task, now| ok(store.begin_installer(task, None, now).await);
    assert!(!begin(one, START + 20).await);
    // One that was taken may still be given more time.
    let longer = open(one, START + 10, Some(START + 30));
    assert_eq!(applied(store, vec![longer], None).await, Some(1));
    assert!(begin(one, START + 29).await);
    assert!(begin(other, START + 19).await);
}

pub(super) async fn a_change_applies_to_what_is_live_and_not_begun(store: &dyn TaskStore) {
    put(store, write("a", None, 1, "")).await;
    let plain = create(store, upgrade(9, "node01", START)).await;
    let ended = create(store, made_for("a", 1, 1)).await;
    let begun = create(store, made_for("a", 1, 2)).await;
    ok(store.claim("node01", 9, START).await);
    assert!(ok(store.begin_installer(begun, None, START).await));
    let failed = to(ended, Status::Failed, "node01", START);
    ok(store.transition(vec![failed]).await);
    let waits = create(store, closed(3)).await;
    let elsewhere = create(
        store,
        NewTask {
            node: "node02".to_owned(),
            ..closed(4)
        },
    )
    .await;
    let before = ok(store.revision().await);
    let all = [plain, ended, begun, waits, elsewhere, TaskId(9_999)];
    let changed =
        async |of: fn(TaskId) -> AttemptWrite| applied(store, all.map(of).to_vec(), None).await;
    // Marks are the owner's, whatever became of the task; no feed tells of them.
    assert_eq!(changed(|task| mark(task, "seen")).await, Some(4));
    assert_eq!(ok(store.revision().await), before);
    assert_eq!(attempt(store, begun).await.mark, "seen");
    assert_eq!(attempt(store, ended).await.mark, "seen");
    assert_eq!(changed(|task| staged(task, true)).await, Some(2));
    assert_eq!(changed(|task| open(task, START, None)).await, Some(2));
    assert!(!attempt(store, begun).await.staged);
    // What lies there already may still be sent: whoever delivers decides.
    let found = ok(store.staging("node01", TaskId(0), 9).await);
    assert_eq!(found.len(), 1);
    assert_eq!(changed(|task| cancel(task, "enough")).await, Some(2));
    assert_eq!(
        statuses(store, &all).await,
        [
            "In progress",
            "Failed",
            "In progress",
            "Cancelled",
            "Cancelled"
        ]
    );
    for of in [
        |task| staged(task, false),
        |task| cancel(task, "again"),
        |task| open(task, 0, None),
    ] {
        assert_eq!(changed(of).await, Some(0));
    }
    let now = attempt(store, waits).await;
    assert!(now.staged && now.opens == START, "{now:?}");
    assert_eq!(
        told_since(store, before).await,
        [waits, elsewhere].repeat(3)
    );
}

/// The tasks of which the feed tells.
async fn told_since(store: &dyn TaskStore, before: Revision) -> Vec<TaskId> {
    let told = ok(store.changes(before, 99).await);
    let task = |changed| match changed {
        Changed::Task(task) => task.id,
        other => panic!("a task changed: {other:?}"),
    };
    told.into_iter().map(|one| task(one.changed)).collect()
}

pub(super) async fn a_cancelled_one_says_who_took_it_back_and_frees_its_agent(
    store: &dyn TaskStore,
) {
    put(store, write("a", None, 1, "")).await;
    let waits = create(store, closed(1)).await;
    let taken = create(store, made_for("a", 1, 2)).await;
    ok(store.claim("node01", 9, START).await);
    let long = "no\n".repeat(999);
    let writes = vec![
        // In their order: what comes after the end is late.
        staged(waits, true),
        cancel(waits, "the agent left the rollout"),
        staged(waits, false),
        cancel(taken, &long),
    ];
    assert_eq!(applied(store, writes, None).await, Some(3));
    assert!(attempt(store, waits).await.staged);
    let found = ok(store.tasks(&[waits]).await);
    let updated = found.iter().flatten().next().and_then(|task| task.updated);
    assert!(updated.is_some_and(|at| at > START), "{found:?}");
    let last = async |task| ok(store.timeline(task).await).pop();
    let entry = last(waits).await;
    let said = entry.as_ref().and_then(|entry| entry.detail.as_deref());
    assert_eq!(said, Some("the agent left the rollout"));
    let entry = entry.map(|entry| (entry.step, entry.asked));
    assert_eq!(entry, Some((TimelineStep::Cancelled, Some("a".to_owned()))));
    let said = last(taken).await.and_then(|entry| entry.detail);
    let said = said.unwrap_or_default();
    let limit = wpk_api::words::LONGEST_CAUSE;
    assert!(
        (1..=limit).contains(&said.len()) && !said.contains('\n'),
        "{said}"
    );
    assert!(!ok(store.begin_installer(taken, None, START).await));
    for id in [1, 2] {
        create(store, upgrade(id, "node01", START)).await;
    }
}

pub(super) async fn nothing_changes_unless_the_guard_holds(store: &dyn TaskStore) {
    let version = put(store, write("a", None, 1, "")).await;
    let task = create(store, closed(1)).await;
    let all = || {
        vec![
            open(task, START, None),
            staged(task, true),
            mark(task, "new"),
            cancel(task, ""),
        ]
    };
    let before = (attempt(store, task).await, ok(store.revision().await));
    for wrong in [guard("a", version + 1), guard("b", version)] {
        assert_eq!(applied(store, all(), Some(wrong.clone())).await, None);
        assert_eq!(applied(store, vec![], Some(wrong)).await, None);
        let now = (attempt(store, task).await, ok(store.revision().await));
        assert_eq!(now, before);
    }
    let right = || Some(guard("a", version));
    assert_eq!(applied(store, vec![], right()).await, Some(0));
    assert_eq!(applied(store, all(), right()).await, Some(4));
    put(store, write("a", Some(version), 1, "")).await;
    assert_eq!(applied(store, all(), right()).await, None);
}

pub(super) async fn a_mark_that_is_too_long_is_not_kept(store: &dyn TaskStore) {
    put(store, write("a", None, 1, "")).await;
    let long = "x".repeat(LONGEST_MARK + 1);
    let marked = |id, mark: &str| {
        let mut task = made_for("a", 1, id);
        if let Some(fence) = &mut task.fence {
            mark.clone_into(&mut fence.mark);
        }
        task
    };
    let longest = "é".repeat(LONGEST_MARK / 2);
    let created = ok(store
        .create(vec![marked(1, &long), marked(2, &longest)])
        .await);
    let [Created::Fenced, Created::Task(task)] = created[..] else {
        panic!("{created:?}");
    };
    assert_eq!(ok(store.latest(&[agent(1)]).await), [None]);
    assert_eq!(attempt(store, task).await.mark, longest);
    let writes = vec![mark(task, "short"), mark(task, &long)];
    assert_eq!(applied(store, writes, None).await, Some(1));
    assert_eq!(attempt(store, task).await.mark, "short");
    assert_eq!(applied(store, vec![mark(task, "")], None).await, Some(1));
    assert_eq!(attempt(store, task).await.mark, "");
}

pub(super) async fn many_change_in_one_call(store: &dyn TaskStore) {
    const MANY: u32 = 2_500;
    let version = put(store, write("a", None, 1, "")).await;
    let created = ok(store.create((1..=MANY).map(closed).collect()).await);
    let tasks: Vec<TaskId> = (created.iter())
        .filter_map(|one| match one {
            Created::Task(id) => Some(*id),
            Created::AlreadyLive(_) | Created::Fenced => None,
        })
        .collect();
    assert_eq!(tasks.len(), MANY as usize);
    let words = "x".repeat(LONGEST_MARK);
    let writes = tasks.iter().flat_map(|task| {
        [
            open(*task, START, None),
            staged(*task, true),
            mark(*task, &words),
            cancel(*task, "all of them"),
        ]
    });
    let writes = writes.collect();
    let begun = Instant::now();
    let count = applied(store, writes, Some(guard("a", version))).await;
    assert_eq!(count, Some(u64::from(4 * MANY)));
    let found = ok(store.attempts_of(&tasks).await);
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    let done = found.iter().flatten().filter(|one| {
        one.task.status == Status::Cancelled
            && one.staged
            && one.mark == words
            && one.opens == START
    });
    assert_eq!(done.count(), tasks.len());
}

/// What one daemon opened another one takes, and it is there after a restart.
pub(in crate::store_suite) async fn opened_for_another(stand: &Stand) {
    let first = stand.daemon("node01").await;
    let other = stand.daemon("node02").await;
    if first.store.documents("", "", 1).await.is_err() {
        return;
    }
    put(&*first.store, write("a", None, 1, "")).await;
    let theirs = NewTask {
        node: "node02".to_owned(),
        ..closed(1)
    };
    let task = create(&*first.store, theirs).await;
    assert_eq!(ok(other.store.claim("node02", 9, START).await), []);
    let writes = vec![open(task, 0, None), staged(task, true), mark(task, "sent")];
    assert_eq!(applied(&*first.store, writes, None).await, Some(3));
    let before = attempt(&*first.store, task).await;
    drop(first);
    assert_eq!(attempt(&*other.store, task).await, before);
    assert!(before.staged && before.opens == 0 && before.mark == "sent");
    assert_eq!(ok(other.store.claim("node02", 9, START).await).len(), 1);
}
