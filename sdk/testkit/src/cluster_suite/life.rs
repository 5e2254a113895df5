//! Tasks from their creation to their end, with a master that answers.

use wpk_api::{
    Changed, Confirmation, Created, Mover, Selector, Status, StoreError, TaskId, TaskStore,
    TimelineEntry, TimelineStep, Transition, TransitionResult, Version,
};

use super::stand::{NODE, NOW, Stand, id, order, to, upgrade};
use crate::cluster::TaskTable;
use crate::stands::AnyFactory;
use crate::suite::ok;

/// All stories.
pub async fn run(factory: &AnyFactory<dyn TaskStore>) {
    a_task_lives_at_the_master_and_its_order_here(factory).await;
    an_agent_has_one_live_task_and_another_node_s_waiting_one_gives_way(factory).await;
    what_another_node_carries_out_keeps_its_agent(factory).await;
    requests_at_the_same_time_create_one_task(factory).await;
    moves_that_are_not_legal_change_nothing(factory).await;
    thousands_of_agents_fit_the_frames_of_a_4x_peer(factory).await;
    a_word_counts_once_the_installer_was_begun_and_is_remembered_here(factory).await;
}

async fn a_task_lives_at_the_master_and_its_order_here(factory: &AnyFactory<dyn TaskStore>) {
    for table in [TaskTable::documented(), TaskTable::wazuh4()] {
        let stand = Stand::new(factory, table);
        let created = ok(
            "create",
            stand.store.create(vec![upgrade(1), upgrade(2)]).await,
        );
        let [Created::Task(first), Created::Task(second)] = created[..] else {
            panic!("{created:?}");
        };
        assert_eq!(stand.table.statuses(1), ["Pending"]);
        let task = stand.task_of(1).await;
        assert_eq!((task.id, task.status), (first, Status::Pending));
        assert_eq!((task.created, task.updated), (NOW, None));
        assert_eq!(
            (task.node.as_str(), task.command.as_str()),
            (NODE, "upgrade_custom")
        );

        let claimed = ok("claim", stand.store.claim(NODE, 1, NOW + 1).await);
        assert_eq!(claimed.len(), 1, "no more than asked for");
        assert_eq!(claimed[0].task.id, first);
        assert_eq!(claimed[0].task.status, Status::InProgress);
        assert_eq!(claimed[0].order.as_ref(), Ok(&order(1)));
        assert_eq!(stand.table.statuses(1), ["In progress"]);
        assert_eq!(stand.claim().await, [second], "each once");
        assert_eq!(stand.claim().await, []);

        assert!(ok(
            "begin_installer",
            stand.store.begin_installer(first, None, NOW).await
        ));
        assert!(!ok(
            "begin_installer",
            stand.store.begin_installer(first, None, NOW).await
        ));
        assert_eq!(ok("begun", stand.store.begun(first).await), Some(0));
        assert_eq!(ok("begun", stand.store.begun(second).await), None);

        let moved = ok(
            "transition",
            stand
                .store
                .transition(vec![to(Selector::LatestOf(id(1)), Status::Done, None)])
                .await,
        );
        assert!(
            matches!(&moved[..], [TransitionResult::Moved(task)]
                if task.status == Status::Done && task.updated == Some(NOW + 60)),
            "{moved:?}"
        );
        let text = "Send open file error";
        let failed = to(Selector::Task(second), Status::Failed, Some(text));
        let moved = ok("transition", stand.store.transition(vec![failed]).await);
        assert!(matches!(&moved[..], [TransitionResult::Moved(task)]
            if task.id == second && task.error_msg.as_deref() == Some(text)));
        assert_eq!(stand.task_of(2).await.error_msg.as_deref(), Some(text));
        assert_eq!(stand.table.statuses(1), ["Done"]);
        assert_eq!(stand.cluster().violations(), Vec::<String>::new());

        // What has ended is out of the way.
        assert!(!ok(
            "begin_installer",
            stand.store.begin_installer(first, None, NOW).await
        ));
        assert_ne!(stand.create(1).await, first);
        assert_eq!(stand.latest(3).await, None);
    }
}

async fn an_agent_has_one_live_task_and_another_node_s_waiting_one_gives_way(
    factory: &AnyFactory<dyn TaskStore>,
) {
    let stand = Stand::new(factory, TaskTable::wazuh4());
    stand.table.add(2, "node01");
    stand.table.add(3, "node01");
    stand.table.set_status(3, "In progress");
    let new = [1, 2, 3, 1].map(upgrade).to_vec();
    let created = ok("create", stand.store.create(new).await);
    let [
        Created::Task(first),
        Created::Task(_),
        Created::AlreadyLive(foreign),
        Created::AlreadyLive(twice),
    ] = created[..]
    else {
        panic!("{created:?}");
    };
    assert_eq!(twice, first);
    assert_eq!(Some(foreign), stand.latest(3).await.map(|task| task.id));
    assert_eq!(
        stand.table.statuses(2),
        ["Pending"],
        "the other was deleted"
    );
    let again = ok("create", stand.store.create(vec![upgrade(1)]).await);
    assert_eq!(again, [Created::AlreadyLive(first)]);
    assert_eq!(stand.claim().await.len(), 2);
    let again = ok("create", stand.store.create(vec![upgrade(1)]).await);
    assert_eq!(again, [Created::AlreadyLive(first)]);
}

/// A master of ours tells of it; what it has deleted is free.
async fn what_another_node_carries_out_keeps_its_agent(factory: &AnyFactory<dyn TaskStore>) {
    let stand = Stand::new(factory, TaskTable::documented());
    let theirs = stand.table.add_held(1, "node01");
    stand.table.add(2, "node01");
    let new = [1, 2].map(upgrade).to_vec();
    let created = ok("create", stand.store.create(new).await);
    assert!(
        matches!(created[..], [Created::AlreadyLive(live), Created::Task(_)] if live.0 == theirs),
        "{created:?}"
    );
    assert_eq!(stand.table.statuses(1), ["Pending"]);
    assert_eq!(stand.task_of(1).await.node, "node01");
    let claimed = stand.claim().await;
    assert_eq!(claimed.len(), 1, "{claimed:?}");
    // What would be made for a document is not made.
    let fence = wpk_api::Fence {
        key: "rollout/1".to_owned(),
        epoch: 1,
        opens: 0,
        closes: None,
        mark: String::new(),
    };
    let fenced = wpk_api::NewTask {
        fence: Some(Box::new(fence)),
        ..upgrade(3)
    };
    let created = stand.store.create(vec![fenced, upgrade(4)]).await;
    let created = ok("create", created);
    assert!(
        matches!(created[..], [Created::Fenced, Created::Task(_)]),
        "{created:?}"
    );
    assert_eq!(stand.latest(3).await, None);
}

async fn requests_at_the_same_time_create_one_task(factory: &AnyFactory<dyn TaskStore>) {
    let stand = Stand::new(factory, TaskTable::wazuh4());
    let both = tokio::join!(
        stand.store.create(vec![upgrade(1)]),
        stand.store.create(vec![upgrade(1)]),
        stand.store.create(vec![upgrade(1)])
    );
    let all = [both.0, both.1, both.2].map(|one| ok("create", one));
    let created = all.iter().flatten();
    let new = created.filter(|created| matches!(created, Created::Task(_)));
    assert_eq!(new.count(), 1, "{all:?}");
    assert_eq!(stand.table.statuses(1), ["Pending"]);
}

async fn moves_that_are_not_legal_change_nothing(factory: &AnyFactory<dyn TaskStore>) {
    let stand = Stand::new(factory, TaskTable::documented());
    let task = stand.create(1).await;
    let moves = vec![
        to(Selector::LatestOf(id(1)), Status::Done, None),
        to(Selector::LatestOf(id(9)), Status::Done, None),
        to(Selector::Task(wpk_api::TaskId(99)), Status::Done, None),
        to(Selector::LatestOf(id(1)), Status::Timeout, None),
    ];
    let results = ok("transition", stand.store.transition(moves).await);
    let [
        TransitionResult::Refused(Some(pending)),
        TransitionResult::Refused(None),
        TransitionResult::Refused(None),
        TransitionResult::Refused(Some(_)),
    ] = &results[..]
    else {
        panic!("{results:?}");
    };
    assert_eq!(pending.id, task);
    assert!(
        !stand
            .cluster()
            .commands()
            .contains(&"upgrade_update_status".to_owned())
    );
    // An installer could begin between what is written here and what the master hears.
    let back = Transition {
        by: Mover::Operator,
        ..to(Selector::Task(task), Status::Cancelled, None)
    };
    let back = stand.store.transition(vec![back]).await;
    assert!(matches!(back, Err(StoreError::Unavailable(_))), "{back:?}");
    // One after the other: the second builds on the first.
    let moves = vec![
        to(Selector::LatestOf(id(1)), Status::InProgress, None),
        to(Selector::LatestOf(id(1)), Status::Legacy, None),
    ];
    let results = ok("transition", stand.store.transition(moves).await);
    assert!(
        results
            .iter()
            .all(|one| matches!(one, TransitionResult::Moved(_)))
    );
    assert_eq!(stand.table.statuses(1), ["Legacy"]);
}

async fn thousands_of_agents_fit_the_frames_of_a_4x_peer(factory: &AnyFactory<dyn TaskStore>) {
    let stand = Stand::new(factory, TaskTable::wazuh4());
    // The longest ids, and the longest texts.
    let agents: Vec<i64> = (2_147_480_000..2_147_482_000).collect();
    let new = agents.iter().map(|agent| upgrade(*agent)).collect();
    let created = ok("create", stand.store.create(new).await);
    assert_eq!(created.len(), agents.len());
    assert_eq!(
        ok("claim", stand.store.claim(NODE, 5_000, NOW).await).len(),
        agents.len()
    );
    for agent in &agents {
        stand.table.set_status(*agent, "Timeout");
    }
    let ids: Vec<_> = agents.iter().map(|agent| id(*agent)).collect();
    let latest = ok("latest", stand.store.latest(&ids).await);
    for (task, (id, created)) in latest.iter().zip(ids.iter().zip(&created)) {
        let Some(task) = task else {
            panic!("agent {id} has no task");
        };
        assert_eq!((task.agent, &task.status), (*id, &Status::Timeout));
        assert_eq!(Created::Task(task.id), *created);
    }
    assert_eq!(stand.cluster().violations(), Vec::<String>::new());
    assert!(stand.cluster().longest_answer() < 65_536);
}

async fn a_word_counts_once_the_installer_was_begun_and_is_remembered_here(
    factory: &AnyFactory<dyn TaskStore>,
) {
    let stand = Stand::new(factory, TaskTable::documented());
    let store = &stand.store;
    let created = ok("create", store.create(vec![upgrade(1)]).await);
    let [Created::Task(task)] = created[..] else {
        panic!("{created:?}");
    };
    let start = ok("revision", store.revision().await);
    let target = Version::new(4, 14, 9);
    ok("claim", store.claim(NODE, 9, NOW).await);
    let word = || Transition {
        by: Mover::Report,
        entry: Some(TimelineEntry::new(NOW + 60, TimelineStep::Report)),
        ..to(Selector::SpokenOf(id(1)), Status::Done, None)
    };
    let early = ok("transition", store.transition(vec![word()]).await);
    assert!(
        matches!(early[..], [TransitionResult::Refused(_)]),
        "{early:?}"
    );
    assert!(ok(
        "begin_installer",
        store.begin_installer(task, Some(target), NOW + 30).await
    ));
    let heard = ok("transition", store.transition(vec![word()]).await);
    assert!(
        matches!(heard[..], [TransitionResult::Moved(_)]),
        "{heard:?}"
    );
    let timeline = ok("timeline", store.timeline(task).await);
    let steps: Vec<_> = timeline.iter().map(|entry| entry.step).collect();
    use TimelineStep::{Created as New, Report, Upgrade};
    assert_eq!(steps, [New, Upgrade, Report]);
    let done = stand.task_of(1).await;
    assert_eq!(done.confirmation, Some(Confirmation::Awaited));
    let awaiting = ok("awaiting", store.awaiting(NODE, TaskId(0), 9).await);
    assert!(
        matches!(&awaiting[..], [one] if one.task.id == task && one.target == target
            && one.task.updated == Some(NOW + 60) && one.next.is_none()),
        "{awaiting:?}"
    );
    let seen = || TimelineEntry::new(NOW + 90, TimelineStep::Confirm);
    for first in [true, false] {
        let confirmed = store.confirm(task, Confirmation::Confirmed, seen());
        assert_eq!(ok("confirm", confirmed.await), first);
    }
    let confirmation = stand.task_of(1).await.confirmation;
    assert_eq!(confirmation, Some(Confirmation::Confirmed));
    assert_eq!(ok("awaiting", store.awaiting(NODE, TaskId(0), 9).await), []);
    let timeline = ok("timeline", store.timeline(task).await);
    assert_eq!(timeline.last(), Some(&seen()));
    let statuses: Vec<Status> = (ok("changes", store.changes(start, 99).await).into_iter())
        .map(|change| match change.changed {
            Changed::Task(task) | Changed::Foreign(task) => task.status,
            Changed::Deleted(id) => panic!("{id} was deleted"),
        })
        .collect();
    assert_eq!(statuses, [Status::InProgress, Status::Done, Status::Done]);
}
