//! Tasks that somebody else made, sentence by sentence of
//! [`TaskStore::import`]. Not every store takes any over.

use std::sync::Arc;

use wpk_api::{
    Cancel, Changed, Command, Created, Imported, Mover, Revision, Selector, Status, StoreError,
    Task, TaskId, TaskStore, TimelineEntry, TimelineStep, Transition, TransitionResult,
};

use super::tasks::{START, agent, bare, create, ok, to, upgrade};

/// All stories if the store takes tasks over; what it says otherwise is looked at.
pub async fn run_where_supported(make: &impl AsyncFn() -> Arc<dyn TaskStore>) {
    match make().await.import(vec![foreign(1, 7)]).await {
        Ok(_) => run(make).await,
        Err(StoreError::Unavailable(_)) => {}
        Err(other) => panic!("a store that takes nothing over says Unavailable: {other}"),
    }
}

/// All stories, each on a store of its own.
pub async fn run(make: &impl AsyncFn() -> Arc<dyn TaskStore>) {
    they_keep_their_ids_and_history(&*make().await).await;
    nobody_carries_them_out(&*make().await).await;
    later_ids_are_above_them(&*make().await).await;
    a_taken_id_gives_another_one(&*make().await).await;
    what_makes_room_for_it_takes_the_next_id_in_turn(&*make().await).await;
    what_was_imported_is_followed(&*make().await).await;
    what_is_ours_stays_as_it_is(&*make().await).await;
    what_was_deleted_does_not_come_back(&*make().await).await;
    they_are_purged_like_others(&*make().await).await;
}

/// A task of a manager's own module.
fn foreign(id: i64, of: u32) -> Task {
    Task {
        id: TaskId(id),
        agent: agent(of),
        node: "node01".to_owned(),
        module: "upgrade_module".to_owned(),
        command: Command::Upgrade,
        created: START - 100,
        updated: Some(START - 50),
        status: Status::Failed,
        error_msg: Some("Send open file error".to_owned()),
        confirmation: None,
    }
}

fn live(id: i64, of: u32, status: Status) -> Task {
    Task {
        updated: None,
        error_msg: None,
        status,
        ..foreign(id, of)
    }
}

async fn import(store: &dyn TaskStore, task: &Task) -> Imported {
    let imported = ok(store.import(vec![task.clone()]).await);
    assert_eq!(imported.len(), 1, "one entry for each: {imported:?}");
    imported[0]
}

async fn the_task(store: &dyn TaskStore, id: TaskId) -> Task {
    match ok(store.tasks(&[id]).await).pop().flatten() {
        Some(task) => task,
        None => panic!("task {id} is there"),
    }
}

async fn told(store: &dyn TaskStore, after: Revision) -> Vec<Changed> {
    let changes = ok(store.changes(after, 99).await);
    changes.into_iter().map(|one| one.changed).collect()
}

async fn they_keep_their_ids_and_history(store: &dyn TaskStore) {
    let rows = vec![foreign(41, 7), live(43, 8, Status::InProgress)];
    assert_eq!(ok(store.import(Vec::new()).await), []);
    let imported = ok(store.import(rows.clone()).await);
    assert_eq!(
        imported,
        [Imported::New(TaskId(41)), Imported::New(TaskId(43))]
    );
    let kept = ok(store.latest(&[agent(7), agent(8)]).await);
    assert_eq!(kept, rows.iter().cloned().map(Some).collect::<Vec<_>>());
    let foreign: Vec<_> = rows.into_iter().map(Changed::Foreign).collect();
    assert_eq!(told(store, Revision(0)).await, foreign);
    let created = TimelineEntry::new(START - 100, TimelineStep::Created);
    assert_eq!(ok(store.timeline(TaskId(41)).await), [created]);
}

async fn nobody_carries_them_out(store: &dyn TaskStore) {
    let waiting = live(5, 1, Status::Pending);
    import(store, &waiting).await;
    assert_eq!(ok(store.claim("node01", 9, START).await), []);
    assert_eq!(ok(store.interrupted("node01", false).await), []);
    assert_eq!(
        ok(store.cancel("node01", Cancel::Abandoned, START).await),
        0
    );
    // One live upgrade per agent holds for them as well.
    let asked = ok(store.create(vec![upgrade(1, "node01", START)]).await);
    assert_eq!(asked, [Created::AlreadyLive(TaskId(5))]);
    assert_eq!(
        ok(store.cancel("node01", Cancel::WithoutOrder, START).await),
        1
    );
    assert!(matches!(
        told(store, Revision(0)).await.as_slice(),
        [_, Changed::Foreign(task)] if task.status == Status::Cancelled
    ));
    // An agent's word needs no installer that we began.
    import(store, &live(9, 2, Status::InProgress)).await;
    let word = Transition {
        select: Selector::SpokenOf(agent(2)),
        by: Mover::Report,
        ..to(TaskId(9), Status::Done, "node01", START)
    };
    let moved = ok(store.transition(vec![word]).await);
    assert!(matches!(&moved[0], TransitionResult::Moved(task) if task.id == TaskId(9)));
}

async fn later_ids_are_above_them(store: &dyn TaskStore) {
    import(store, &foreign(500, 7)).await;
    let next = create(store, bare(1, "node01", START)).await;
    assert!(next > TaskId(500), "{next}");
    // Of what is known as well: others may have given ids above it meanwhile.
    let mut shown = the_task(store, next).await;
    shown.id = TaskId(700);
    shown.created -= 1;
    import(store, &shown).await;
    let next = create(store, bare(2, "node01", START)).await;
    assert!(next > TaskId(700), "{next}");
}

async fn a_taken_id_gives_another_one(store: &dyn TaskStore) {
    let ours = create(store, upgrade(1, "node01", START)).await;
    let theirs = foreign(ours.0, 2);
    let Imported::New(id) = import(store, &theirs).await else {
        panic!("agent 2 has no task here");
    };
    assert!(id > ours, "{id}");
    let again = import(store, &theirs).await;
    assert_eq!(
        again,
        Imported::Unchanged(id),
        "it is known under the other id"
    );
    // Ours stands there under another id as well.
    let mut shown = the_task(store, ours).await;
    shown.id = TaskId(id.0 + 9);
    assert_eq!(import(store, &shown).await, Imported::Own(ours));
    assert_eq!(ok(store.tasks(&[shown.id]).await), [None]);
    // Two of one agent in one second are two.
    let twins = [foreign(900, 3), foreign(901, 3)];
    let imported = ok(store.import(twins.to_vec()).await);
    assert_eq!(
        imported,
        [Imported::New(TaskId(900)), Imported::New(TaskId(901))]
    );
}

/// One of others has the id of our first task, which stands under that of our second, and
/// so on: all of them are ours still.
async fn what_makes_room_for_it_takes_the_next_id_in_turn(store: &dyn TaskStore) {
    let (mut rest, mut ours) = (Vec::new(), Vec::new());
    for number in 1..=4 {
        let id = create(store, upgrade(number, "node01", START)).await;
        let mut task = the_task(store, id).await;
        task.id = TaskId(id.0 + 1);
        ours.push(Imported::Own(id));
        rest.push(task);
    }
    let first = foreign(rest[0].id.0 - 1, 9);
    assert!(matches!(import(store, &first).await, Imported::New(_)));
    // At once, and one by one at a later time.
    assert_eq!(ok(store.import(rest.clone()).await), ours);
    for (task, own) in rest.iter().zip(&ours) {
        assert_eq!(import(store, task).await, *own);
    }
    // A twin of one of ours is somebody else's all the same, where ours has its own id.
    let mine = create(store, upgrade(7, "node01", START)).await;
    let mut twin = the_task(store, mine).await;
    assert_eq!(import(store, &twin).await, Imported::Own(mine));
    twin.id = TaskId(mine.0 + 50);
    twin.status = Status::Cancelled;
    assert_eq!(import(store, &twin).await, Imported::New(twin.id));
}

async fn what_was_imported_is_followed(store: &dyn TaskStore) {
    let begun = live(5, 1, Status::InProgress);
    import(store, &begun).await;
    assert_eq!(import(store, &begun).await, Imported::Unchanged(TaskId(5)));
    let done = Task {
        status: Status::Done,
        updated: Some(START),
        ..begun.clone()
    };
    let before = ok(store.revision().await);
    assert_eq!(import(store, &done).await, Imported::Followed(TaskId(5)));
    assert_eq!(told(store, before).await, [Changed::Foreign(done.clone())]);
    assert_eq!(ok(store.tasks(&[TaskId(5)]).await), [Some(done)]);
    // Its end stays, whatever is shown later; its agent can be upgraded again.
    assert_eq!(import(store, &begun).await, Imported::Unchanged(TaskId(5)));
    create(store, upgrade(1, "node01", START)).await;
}

async fn what_is_ours_stays_as_it_is(store: &dyn TaskStore) {
    let ours = create(store, upgrade(1, "node01", START)).await;
    let task = the_task(store, ours).await;
    let cancelled = Task {
        status: Status::Cancelled,
        updated: Some(START + 1),
        ..task.clone()
    };
    let before = ok(store.revision().await);
    assert_eq!(import(store, &cancelled).await, Imported::Own(ours));
    assert_eq!(ok(store.tasks(&[ours]).await), [Some(task)]);
    assert_eq!(ok(store.revision().await), before);
}

async fn what_was_deleted_does_not_come_back(store: &dyn TaskStore) {
    ok(store.set_place("mirror", Revision(0)).await);
    let ours = create(store, bare(1, "node01", START)).await;
    let task = the_task(store, ours).await;
    ok(store.withdraw(&[ours]).await);
    let Some(last) = ok(store.changes(Revision(0), 99).await).pop() else {
        panic!("its deletion is told");
    };
    assert_eq!(last.changed, Changed::Deleted(ours));
    assert_eq!(last.was.as_ref(), Some(&task), "what it was is told");
    assert_eq!(import(store, &task).await, Imported::Deleted);
    assert_eq!(ok(store.tasks(&[ours]).await), [None]);
    ok(store.set_place("mirror", last.revision).await);
    // Whoever shows it now made it anew.
    assert_eq!(import(store, &task).await, Imported::New(ours));
}

async fn they_are_purged_like_others(store: &dyn TaskStore) {
    ok(store.set_place("mirror", Revision(0)).await);
    let imported = foreign(5, 1);
    import(store, &imported).await;
    assert_eq!(ok(store.purge(START).await), 1);
    let changes = ok(store.changes(Revision(0), 99).await);
    let [first, last] = changes.as_slice() else {
        panic!("one came and went: {changes:?}");
    };
    assert_eq!(
        first.changed,
        Changed::Foreign(imported),
        "also when it is gone"
    );
    assert_eq!(last.changed, Changed::Deleted(TaskId(5)));
    assert_eq!(last.was, None, "it is not ours to delete anywhere");
}
