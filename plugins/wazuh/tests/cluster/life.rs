//! Tasks from their creation to their end, with a master that answers.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use wpk_api::{
    Changed, Confirmation, Created, Factory, Mover, Selector, Status, TimelineEntry, TimelineStep,
    Transition, TransitionResult,
};
use wpk_plugin_wazuh::cluster;
use wpk_testkit::Home;
use wpk_testkit::cluster::TaskTable;

use crate::common::{NODE, NOW, Stand, id, order, to, upgrade};

#[tokio::test]
async fn a_task_lives_at_the_master_and_its_order_here() {
    for table in [TaskTable::documented(), TaskTable::wazuh4()] {
        let stand = Stand::new(table);
        let created = stand
            .store
            .create(vec![upgrade(1), upgrade(2)])
            .await
            .unwrap();
        let [Created::Task(first), Created::Task(second)] = created[..] else {
            panic!("{created:?}");
        };
        assert_eq!(stand.table.statuses(1), ["Pending"]);
        let task = stand.latest(1).await.unwrap();
        assert_eq!((task.id, task.status), (first, Status::Pending));
        assert_eq!((task.created, task.updated), (NOW, None));
        assert_eq!(
            (task.node.as_str(), task.command.as_str()),
            (NODE, "upgrade_custom")
        );

        let claimed = stand.store.claim(NODE, 1, NOW + 1).await.unwrap();
        assert_eq!(claimed.len(), 1, "no more than asked for");
        assert_eq!(claimed[0].task.id, first);
        assert_eq!(claimed[0].task.status, Status::InProgress);
        assert_eq!(claimed[0].order.as_ref().unwrap(), &order(1));
        assert_eq!(stand.table.statuses(1), ["In progress"]);
        assert_eq!(stand.claim().await, [second], "each once");
        assert_eq!(stand.claim().await, []);

        assert!(stand.store.begin_installer(first, NOW).await.unwrap());
        assert!(!stand.store.begin_installer(first, NOW).await.unwrap());

        let moved = stand
            .store
            .transition(vec![to(Selector::LatestOf(id(1)), Status::Done, None)])
            .await
            .unwrap();
        assert!(
            matches!(&moved[..], [TransitionResult::Moved(task)]
                if task.status == Status::Done && task.updated == Some(NOW + 60)),
            "{moved:?}"
        );
        let text = "Send open file error";
        let failed = to(Selector::Task(second), Status::Failed, Some(text));
        let moved = stand.store.transition(vec![failed]).await.unwrap();
        assert!(matches!(&moved[..], [TransitionResult::Moved(task)]
            if task.id == second && task.error_msg.as_deref() == Some(text)));
        assert_eq!(
            stand.latest(2).await.unwrap().error_msg.as_deref(),
            Some(text)
        );
        assert_eq!(stand.table.statuses(1), ["Done"]);
        assert_eq!(stand.cluster().violations(), Vec::<String>::new());

        // What has ended is out of the way.
        assert!(!stand.store.begin_installer(first, NOW).await.unwrap());
        assert_ne!(stand.create(1).await, first);
        assert_eq!(stand.latest(3).await, None);
    }
}

#[tokio::test]
async fn an_agent_has_one_live_task_and_another_node_s_waiting_one_gives_way() {
    let stand = Stand::new(TaskTable::wazuh4());
    stand.table.add(2, "node01");
    stand.table.add(3, "node01");
    stand.table.set_status(3, "In progress");
    let new = [1, 2, 3, 1].map(upgrade).to_vec();
    let created = stand.store.create(new).await.unwrap();
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
    let again = stand.store.create(vec![upgrade(1)]).await.unwrap();
    assert_eq!(again, [Created::AlreadyLive(first)]);
    assert_eq!(stand.claim().await.len(), 2);
    let again = stand.store.create(vec![upgrade(1)]).await.unwrap();
    assert_eq!(again, [Created::AlreadyLive(first)]);
}

#[tokio::test]
async fn requests_at_the_same_time_create_one_task() {
    let stand = Stand::new(TaskTable::wazuh4());
    let both = tokio::join!(
        stand.store.create(vec![upgrade(1)]),
        stand.store.create(vec![upgrade(1)]),
        stand.store.create(vec![upgrade(1)])
    );
    let all = [both.0.unwrap(), both.1.unwrap(), both.2.unwrap()];
    let created = all.iter().flatten();
    let new = created.filter(|created| matches!(created, Created::Task(_)));
    assert_eq!(new.count(), 1, "{all:?}");
    assert_eq!(stand.table.statuses(1), ["Pending"]);
}

#[tokio::test]
async fn moves_that_are_not_legal_change_nothing() {
    let stand = Stand::new(TaskTable::documented());
    let task = stand.create(1).await;
    let moves = vec![
        to(Selector::LatestOf(id(1)), Status::Done, None),
        to(Selector::LatestOf(id(9)), Status::Done, None),
        to(Selector::Task(wpk_api::TaskId(99)), Status::Done, None),
        to(Selector::LatestOf(id(1)), Status::Timeout, None),
    ];
    let results = stand.store.transition(moves).await.unwrap();
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
    // One after the other: the second builds on the first.
    let moves = vec![
        to(Selector::LatestOf(id(1)), Status::InProgress, None),
        to(Selector::LatestOf(id(1)), Status::Legacy, None),
    ];
    let results = stand.store.transition(moves).await.unwrap();
    assert!(
        results
            .iter()
            .all(|one| matches!(one, TransitionResult::Moved(_)))
    );
    assert_eq!(stand.table.statuses(1), ["Legacy"]);
}

#[tokio::test]
async fn thousands_of_agents_fit_the_frames_of_a_4x_peer() {
    let stand = Stand::new(TaskTable::wazuh4());
    // The longest ids, and the longest texts.
    let agents: Vec<i64> = (2_147_480_000..2_147_482_000).collect();
    let new = agents.iter().map(|agent| upgrade(*agent)).collect();
    let created = stand.store.create(new).await.unwrap();
    assert_eq!(created.len(), agents.len());
    assert_eq!(
        stand.store.claim(NODE, 5_000, NOW).await.unwrap().len(),
        agents.len()
    );
    for agent in &agents {
        stand.table.set_status(*agent, "Timeout");
    }
    let ids: Vec<_> = agents.iter().map(|agent| id(*agent)).collect();
    let latest = stand.store.latest(&ids).await.unwrap();
    for (task, (id, created)) in latest.iter().zip(ids.iter().zip(&created)) {
        let task = task.as_ref().unwrap();
        assert_eq!((task.agent, &task.status), (*id, &Status::Timeout));
        assert_eq!(Created::Task(task.id), *created);
    }
    assert_eq!(stand.cluster().violations(), Vec::<String>::new());
    assert!(stand.cluster().longest_answer() < 65_536);
}

#[tokio::test]
async fn our_own_file_is_for_us_and_the_group() {
    let stand = Stand::new(TaskTable::wazuh4());
    stand.create(1).await;
    for file in ["worker.db", "worker.db-wal"] {
        let file = stand.home.path("queue/tasks").join(file);
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640, "{}", file.display());
    }
}

#[tokio::test]
async fn a_master_node_has_tasks_of_its_own() {
    let home = Home::new().unwrap();
    let refused = cluster().build(&json!({}), &home.context());
    let text = refused.err().unwrap().to_string();
    assert!(text.contains("node.role"), "{text}");
}

#[tokio::test]
async fn a_word_counts_once_the_installer_was_begun_and_is_remembered_here() {
    let stand = Stand::new(TaskTable::documented());
    let store = &stand.store;
    let created = store.create(vec![upgrade(1)]).await.unwrap();
    let [Created::Task(task)] = created[..] else {
        panic!("{created:?}");
    };
    let start = store.revision().await.unwrap();
    store.claim(NODE, 9, NOW).await.unwrap();
    let word = || Transition {
        by: Mover::Report,
        entry: Some(TimelineEntry::new(NOW + 60, TimelineStep::Report)),
        confirmation: Some(Confirmation::Awaited),
        ..to(Selector::SpokenOf(id(1)), Status::Done, None)
    };
    let early = store.transition(vec![word()]).await.unwrap();
    assert!(
        matches!(early[..], [TransitionResult::Refused(_)]),
        "{early:?}"
    );
    assert!(store.begin_installer(task, NOW + 30).await.unwrap());
    let heard = store.transition(vec![word()]).await.unwrap();
    assert!(
        matches!(heard[..], [TransitionResult::Moved(_)]),
        "{heard:?}"
    );
    let timeline = store.timeline(task).await.unwrap();
    let steps: Vec<_> = timeline.iter().map(|entry| entry.step).collect();
    use TimelineStep::{Created as New, Report, Upgrade};
    assert_eq!(steps, [New, Upgrade, Report]);
    assert!(
        store
            .confirm(task, Confirmation::Confirmed, NOW + 90)
            .await
            .unwrap()
    );
    let found = store.latest(&[id(1)]).await.unwrap();
    let confirmation = found[0].as_ref().unwrap().confirmation.clone();
    assert_eq!(confirmation, Some(Confirmation::Confirmed));
    let statuses: Vec<Status> = (store.changes(start, 99).await.unwrap().into_iter())
        .map(|change| match change.changed {
            Changed::Task(task) => task.status,
            Changed::Deleted(id) => panic!("{id} was deleted"),
        })
        .collect();
    assert_eq!(statuses, [Status::InProgress, Status::Done]);
}
