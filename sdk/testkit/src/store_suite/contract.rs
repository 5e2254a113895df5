//! The sentences of [`TaskStore`]'s documentation, one story each.

use std::sync::Arc;

use wpk_api::{
    Cancel, Command, Created, Mover, Selector, Status, TaskId, TaskStore, Transition,
    TransitionResult,
};

use super::tasks::{START, Way, agent, arrive, bare, create, held, ok, order, to, upgrade};

/// All stories, each on a store of its own.
pub async fn run(make: &impl AsyncFn() -> Arc<dyn TaskStore>) {
    a_new_task_is_pending(&*make().await).await;
    an_exclusive_task_is_refused_alone(&*make().await).await;
    what_waits_for_another_node_gives_way(&*make().await).await;
    every_move_follows_the_table(&*make().await).await;
    the_newest_task_decides(&*make().await).await;
    texts_and_times_of_a_move(&*make().await).await;
    claims_are_oldest_first(&*make().await).await;
    an_interrupted_task_is_found(&*make().await).await;
    an_installer_begins_once(&*make().await).await;
    what_somebody_moved_is_still_carried_out(&*make().await).await;
    crashes_are_counted(&*make().await).await;
    nothing_to_do_is_fine(&*make().await).await;
}

async fn a_new_task_is_pending(store: &dyn TaskStore) {
    let custom = wpk_api::NewTask {
        command: Command::UpgradeCustom,
        module: "a \"module\"; DROP TABLE TASKS".to_owned(),
        ..upgrade(2_147_483_647, "node'01", START)
    };
    let created = ok(store
        .create(vec![
            upgrade(5, "node01", START),
            custom,
            bare(3, "", START),
        ])
        .await);
    let ids: Vec<_> = created
        .iter()
        .map(|one| match one {
            Created::Task(id) => id.0,
            Created::AlreadyLive(id) => panic!("no agent had a task, the store says {id} is live"),
            Created::Fenced => panic!("no task had a fence"),
        })
        .collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "ids ascend: {ids:?}");
    assert!(ids.iter().all(|id| *id > 0), "ids start at 1: {ids:?}");
    let found = ok(store
        .latest(&[agent(2_147_483_647), agent(9), agent(5), agent(3), agent(5)])
        .await);
    let [Some(custom), None, Some(five), Some(bare), Some(again)] = found.as_slice() else {
        panic!("one entry per agent, in the order asked: {found:?}");
    };
    assert_eq!(five, again);
    assert_eq!([five.id.0, custom.id.0, bare.id.0], ids[..]);
    assert_eq!(custom.node, "node'01");
    assert_eq!(custom.module, "a \"module\"; DROP TABLE TASKS");
    assert_eq!(custom.command, Command::UpgradeCustom);
    assert_eq!(five.status, Status::Pending);
    assert_eq!((five.created, five.updated), (START, None));
    assert_eq!(five.error_msg, None);
    assert_eq!(bare.node, "");
}

async fn an_exclusive_task_is_refused_alone(store: &dyn TaskStore) {
    let new = vec![
        upgrade(1, "node01", START),
        upgrade(2, "node01", START),
        upgrade(1, "node01", START),
        bare(1, "node01", START),
        upgrade(1, "node01", START),
    ];
    let created = ok(store.create(new).await);
    let [
        Created::Task(first),
        Created::Task(_),
        Created::AlreadyLive(live),
        Created::Task(second),
        Created::AlreadyLive(_),
    ] = created.as_slice()
    else {
        panic!("an agent may have one live task, the others are created: {created:?}");
    };
    assert_eq!(live, first);
    // Both live tasks of the agent keep it from another one, until both ended.
    for id in [second, first] {
        let again = ok(store.create(vec![upgrade(1, "node01", START)]).await);
        assert!(matches!(again[..], [Created::AlreadyLive(_)]), "{again:?}");
        let moves = vec![
            to(*id, Status::InProgress, "node01", START + 1),
            to(*id, Status::Done, "node01", START + 2),
        ];
        ok(store.transition(moves).await);
    }
    create(store, upgrade(1, "node01", START)).await;
}

/// Unless somebody holds an order of it: then it is carried out.
async fn what_waits_for_another_node_gives_way(store: &dyn TaskStore) {
    let waiting = create(store, bare(1, "node02", START)).await;
    let ours = create(store, upgrade(2, "node02", START)).await;
    let its_nodes = create(store, held(3, "node02", START)).await;
    let begun = create(store, bare(4, "node02", START)).await;
    let own = create(store, bare(5, "node01", START)).await;
    let began = to(begun, Status::InProgress, "node02", START);
    ok(store.transition(vec![began]).await);
    let new = (1..=5).map(|n| upgrade(n, "node01", START)).collect();
    let created = ok(store.create(new).await);
    let live = [ours, its_nodes, begun, own].map(Created::AlreadyLive);
    assert!(matches!(created[0], Created::Task(_)), "{created:?}");
    assert_eq!(created[1..], live);
    let gone = vec![to(waiting, Status::InProgress, "node02", START)];
    assert_eq!(
        ok(store.transition(gone).await),
        [TransitionResult::Refused(None)]
    );
    let claimed = ok(store.claim("node02", 10, START).await);
    assert_eq!(claimed.len(), 1, "what is ours goes on: {claimed:?}");
}

async fn every_move_follows_the_table(store: &dyn TaskStore) {
    let mut next = 0;
    let mut statuses = Status::KNOWN.to_vec();
    statuses.push(Status::Other("Weird".to_owned()));
    let ways = [Way::Foreign, Way::Ours, Way::Begun];
    for (from, way) in
        (Status::KNOWN.into_iter()).flat_map(|from| ways.map(|way| (from.clone(), way)))
    {
        for target in &statuses {
            for (node, by) in [
                ("node01", Mover::Delivery),
                ("node01", Mover::Report),
                ("node02", Mover::Report),
                ("node01", Mover::Operator),
                ("node02", Mover::Operator),
            ] {
                next += 1;
                let (id, standing) = arrive(store, next, &from, way).await;
                let one = Transition {
                    by,
                    ..to(id, target.clone(), node, START + 1)
                };
                let moved = ok(store.transition(vec![one]).await);
                let legal = from.may_become(target, standing, by)
                    && (node == "node01" || by == Mover::Operator || !target.needs_same_node());
                let after = match moved.as_slice() {
                    [TransitionResult::Moved(task)] if legal => task,
                    [TransitionResult::Refused(Some(task))] if !legal => task,
                    other => {
                        panic!("{from} -> {target} of {standing:?} by {by:?}, {node}: {other:?}")
                    }
                };
                assert_eq!(
                    after.status,
                    if legal { target.clone() } else { from.clone() }
                );
                let stored = ok(store.latest(&[agent(next)]).await);
                assert_eq!(stored, [Some(after.clone())]);
            }
        }
    }
}

async fn the_newest_task_decides(store: &dyn TaskStore) {
    let old = create(store, bare(1, "node01", START)).await;
    let new = create(store, bare(1, "node01", START)).await;
    ok(store
        .transition(vec![to(new, Status::Cancelled, "node01", START)])
        .await);
    let latest = |agent| Transition {
        select: Selector::LatestOf(agent),
        ..to(old, Status::InProgress, "node01", START)
    };
    let moved = ok(store
        .transition(vec![latest(agent(1)), latest(agent(2))])
        .await);
    let [
        TransitionResult::Refused(Some(task)),
        TransitionResult::Refused(None),
    ] = moved.as_slice()
    else {
        panic!("the newest task is cancelled, agent 2 has none: {moved:?}");
    };
    assert_eq!(task.id, new);
    // By its id the older one still moves.
    let moved = ok(store
        .transition(vec![to(old, Status::InProgress, "node01", START)])
        .await);
    assert!(
        matches!(moved[..], [TransitionResult::Moved(_)]),
        "{moved:?}"
    );
}

async fn texts_and_times_of_a_move(store: &dyn TaskStore) {
    let id = create(store, upgrade(1, "node01", START)).await;
    let with = |status, text: Option<&str>, at| Transition {
        error_msg: text.map(str::to_owned),
        ..to(id, status, "node01", at)
    };
    // One call, moves one after the other: the second builds on the first.
    let moved = ok(store
        .transition(vec![
            with(Status::InProgress, Some("a text"), START + 1),
            with(Status::InProgress, Some("refused"), START + 2),
            with(Status::Failed, None, START + 3),
        ])
        .await);
    assert!(matches!(moved[1], TransitionResult::Refused(Some(_))));
    let TransitionResult::Moved(task) = &moved[2] else {
        panic!("In progress -> Failed was refused: {moved:?}");
    };
    assert_eq!(task.error_msg.as_deref(), Some("a text"));
    assert_eq!((task.created, task.updated), (START, Some(START + 3)));
    assert_eq!(ok(store.latest(&[agent(1)]).await), [Some(task.clone())]);
}

async fn claims_are_oldest_first(store: &dyn TaskStore) {
    let mut ids = Vec::new();
    for n in 1..=3 {
        ids.push(create(store, upgrade(n, "node01", START)).await);
        create(store, bare(100 + n, "node01", START)).await;
        create(store, upgrade(200 + n, "node02", START)).await;
    }
    assert_eq!(ok(store.claim("node01", 0, START).await), []);
    let mut claimed = ok(store.claim("node01", 2, START + 7).await);
    claimed.extend(ok(store.claim("node01", 99, START + 7).await));
    assert_eq!(
        claimed.iter().map(|one| one.task.id).collect::<Vec<_>>(),
        ids
    );
    for (n, one) in (1..).zip(&claimed) {
        assert_eq!(one.task.status, Status::InProgress);
        assert_eq!(one.task.updated, Some(START + 7));
        assert_eq!(one.order, Ok(order(n)));
        assert_eq!(
            ok(store.latest(&[agent(n)]).await),
            [Some(one.task.clone())]
        );
    }
    assert_eq!(ok(store.claim("node01", 99, START + 8).await), []);
}

async fn an_interrupted_task_is_found(store: &dyn TaskStore) {
    for n in 1..=4 {
        create(store, upgrade(n, "node01", START)).await;
    }
    let claimed = ok(store.claim("node01", 3, START + 1).await);
    assert!(ok(store
        .begin_installer(claimed[1].task.id, None, START + 2)
        .await));
    let found = ok(store.interrupted("node01", false).await);
    assert_eq!(found, [claimed[0].clone(), claimed[2].clone()]);
    assert_eq!(ok(store.interrupted("node01", false).await), found);
    assert_eq!(ok(store.interrupted("node02", false).await), []);
}

async fn crashes_are_counted(store: &dyn TaskStore) {
    create(store, upgrade(1, "node01", START)).await;
    let claimed = ok(store.claim("node01", 1, START).await);
    assert_eq!(claimed[0].crashes, 0);
    for crashes in 1..=2 {
        let found = ok(store.interrupted("node01", true).await);
        assert_eq!(found[0].crashes, crashes);
        assert_eq!(ok(store.interrupted("node01", false).await), found);
    }
    create(store, upgrade(2, "node01", START)).await;
    assert_eq!(ok(store.claim("node01", 9, START).await)[0].crashes, 0);
}

async fn what_somebody_moved_is_still_carried_out(store: &dyn TaskStore) {
    let id = create(store, upgrade(1, "node01", START)).await;
    ok(store
        .transition(vec![to(id, Status::InProgress, "node01", START)])
        .await);
    assert_eq!(ok(store.interrupted("node01", false).await), []);
    let claimed = ok(store.claim("node01", 9, START + 1).await);
    assert_eq!(claimed.len(), 1, "it has an order and nobody took it");
    assert_eq!(claimed[0].task.id, id);
    assert_eq!(ok(store.claim("node01", 9, START + 1).await), []);
    assert_eq!(ok(store.interrupted("node01", false).await), claimed);
}

async fn an_installer_begins_once(store: &dyn TaskStore) {
    let id = create(store, upgrade(1, "node01", START)).await;
    assert!(
        !ok(store.begin_installer(id, None, START).await),
        "still Pending"
    );
    ok(store.claim("node01", 1, START).await);
    assert!(ok(store.begin_installer(id, None, START).await));
    assert!(!ok(store.begin_installer(id, None, START).await), "twice");
    ok(store
        .transition(vec![to(id, Status::Done, "node01", START)])
        .await);
    assert!(!ok(store.begin_installer(id, None, START).await), "ended");
    let unknown = wpk_api::TaskId(id.0 + 1);
    assert!(
        !ok(store.begin_installer(unknown, None, START).await),
        "no task"
    );
}

async fn nothing_to_do_is_fine(store: &dyn TaskStore) {
    assert_eq!(ok(store.create(vec![]).await), []);
    assert_eq!(ok(store.latest(&[]).await), []);
    assert_eq!(ok(store.transition(vec![]).await), []);
    assert_eq!(ok(store.claim("node01", 5, START).await), []);
    assert_eq!(ok(store.interrupted("node01", true).await), []);
    assert_eq!(ok(store.in_progress(TaskId(0), 9).await), []);
    ok(store.touch(&[TaskId(7)], START).await);
    assert_eq!(ok(store.cancel("node01", Cancel::NotBegun, START).await), 0);
    assert_eq!(ok(store.withdraw(&[TaskId(7)]).await), 0);
    assert_eq!(ok(store.expire(&[], START).await), []);
    assert_eq!(ok(store.purge(START).await), 0);
}
