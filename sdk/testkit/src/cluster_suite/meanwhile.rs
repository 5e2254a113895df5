//! What others do to the tasks of a worker meanwhile: a built-in upgrade module that
//! starts cancels all that waits for its node, and the master times tasks out.

use serde_json::json;
use wpk_api::{
    AgentId, Cancel, Cause, Changed, Created, Mover, Revision, Selector, Status, TaskId, TaskStore,
    TimelineEntry, TimelineStep, Transition, TransitionResult,
};

use super::stand::{NODE, NOW, Stand, id, order, to, upgrade};
use crate::cluster::{Mood, TaskTable};
use crate::stands::AnyFactory;
use crate::suite::{DEADLINE, ok};
use crate::wait_until;

/// All stories.
pub async fn run(factory: &AnyFactory<dyn TaskStore>) {
    what_a_4x_master_cancels_is_created_anew_once(factory).await;
    the_queue_is_looked_at_also_while_nothing_is_claimed(factory).await;
    thousands_are_created_anew_in_their_order(factory).await;
    what_this_node_cancels_stays_cancelled(factory).await;
    a_cancel_that_was_cut_short_leaves_nothing_to_create_anew(factory).await;
    a_lost_answer_makes_no_second_task(factory).await;
    what_was_not_created_anew_is_asked_for_later(factory).await;
    another_task_of_the_agent_takes_the_place_of_a_cancelled_one(factory).await;
    a_master_of_ours_spares_what_the_worker_holds(factory).await;
    nobody_s_tasks_are_cancelled_where_no_order_is_lost_by_it(factory).await;
    a_late_word_stays_here(factory).await;
    a_late_word_about_a_former_task_is_kept_with_that(factory).await;
}

async fn timeline(stand: &Stand, task: TaskId) -> Vec<(TimelineStep, String)> {
    let timeline = ok("timeline", stand.store.timeline(task).await).into_iter();
    let told = |entry: TimelineEntry| (entry.step, entry.detail.unwrap_or_default());
    timeline.map(told).collect()
}

async fn told(stand: &Stand, after: Revision) -> Vec<(TaskId, Status)> {
    let changes = ok("changes", stand.store.changes(after, 999).await);
    let told = changes.into_iter().map(|change| match change.changed {
        Changed::Task(task) | Changed::Foreign(task) => (task.id, task.status),
        Changed::Deleted(id) => panic!("{id} was deleted"),
    });
    told.collect()
}

fn count(stand: &Stand, command: &str) -> usize {
    let commands = stand.cluster().commands();
    commands.iter().filter(|one| *one == command).count()
}

async fn what_a_4x_master_cancels_is_created_anew_once(factory: &AnyFactory<dyn TaskStore>) {
    let stand = Stand::new(factory, TaskTable::wazuh4());
    let running = stand.create(9).await;
    assert_eq!(stand.claim().await, [running]);
    let former = [stand.create(1).await, stand.create(2).await];
    let start = ok("revision", stand.store.revision().await);
    stand.table.module_starts(NODE);
    assert_eq!(stand.table.statuses(1), ["Cancelled"]);
    let claimed = ok("claim", stand.store.claim(NODE, 9, NOW + 1).await);
    let ids: Vec<TaskId> = claimed.iter().map(|one| one.task.id).collect();
    assert_eq!(claimed.len(), 2, "{claimed:?}");
    for (agent, one) in (1..).zip(&claimed) {
        assert_eq!(
            one.order.as_ref(),
            Ok(&order(agent)),
            "in the order they came"
        );
        assert!(one.task.id > former[1], "{}", one.task.id);
        let statuses = stand.table.statuses(agent);
        assert_eq!(statuses, ["Cancelled", "In progress"]);
    }
    assert_eq!(stand.claim().await, [], "each once");
    // What has begun goes on.
    assert_eq!(stand.table.statuses(9), ["In progress"]);
    for id in [running, ids[0], ids[1]] {
        let begun = stand.store.begin_installer(id, None, NOW + 2).await;
        assert!(ok("begin_installer", begun), "{id}");
    }
    // Both say what became of it.
    use TimelineStep::{Cancelled, Created as New, Upgrade, Wait};
    let (old, new) = (former[0], ids[0]);
    let steps = timeline(&stand, old).await;
    assert!(
        matches!(&steps[..], [(New, _), (Cancelled, why), (Wait, then)]
            if why.contains("built-in upgrade module") && then.ends_with(&format!("task {new}"))),
        "{steps:?}"
    );
    let steps = timeline(&stand, new).await;
    assert!(
        matches!(&steps[..], [(New, why), (Upgrade, _)] if why.contains(&format!("task {old},"))),
        "{steps:?}"
    );
    let told = told(&stand, start).await;
    for expected in [
        (old, Status::Cancelled),
        (new, Status::Pending),
        (new, Status::InProgress),
    ] {
        let times = told.iter().filter(|one| **one == expected).count();
        assert_eq!(times, 1, "{expected:?} in {told:?}");
    }
    assert_eq!(told.len(), 6, "{told:?}");
    let found = ok("tasks", stand.store.tasks(&[old, new]).await);
    let statuses: Vec<_> = found.iter().flatten().map(|task| &task.status).collect();
    assert_eq!(statuses, [&Status::Cancelled, &Status::InProgress]);
}

async fn the_queue_is_looked_at_also_while_nothing_is_claimed(factory: &AnyFactory<dyn TaskStore>) {
    let stand = Stand::new(factory, TaskTable::wazuh4());
    for agent in 1..=3 {
        stand.create(agent).await;
    }
    stand.table.module_starts(NODE);
    stand.settle(NOW + 30).await;
    for agent in 1..=3 {
        assert_eq!(stand.table.statuses(agent), ["Cancelled", "Pending"]);
    }
    let asked = count(&stand, "upgrade_custom");
    stand.settle(NOW + 60).await;
    assert_eq!(count(&stand, "upgrade_custom"), asked);
    // It is the agent's live task.
    let again = ok("create", stand.store.create(vec![upgrade(1)]).await);
    let newest = stand.task_of(1).await.id;
    assert_eq!(again, [Created::AlreadyLive(newest)]);
    // Each start of the module costs one task.
    stand.table.module_starts(NODE);
    assert_eq!(stand.claim().await.len(), 3);
    let statuses = stand.table.statuses(1);
    assert_eq!(statuses, ["Cancelled", "Cancelled", "In progress"]);
}

async fn thousands_are_created_anew_in_their_order(factory: &AnyFactory<dyn TaskStore>) {
    let stand = Stand::new(factory, TaskTable::wazuh4());
    let new = (1..=1_200).map(upgrade).collect();
    ok("create", stand.store.create(new).await);
    stand.table.module_starts(NODE);
    // The head of the queue is enough to notice.
    let claimed = ok("claim", stand.store.claim(NODE, 2, NOW).await);
    let agents: Vec<AgentId> = claimed.iter().map(|one| one.task.agent).collect();
    assert_eq!(agents, [id(1), id(2)]);
    assert_eq!(stand.table.statuses(1_200), ["Cancelled", "Pending"]);
    let rest = ok("claim", stand.store.claim(NODE, 5_000, NOW).await);
    let agents: Vec<AgentId> = rest.iter().map(|one| one.task.agent).collect();
    assert_eq!(agents, (3..=1_200).map(id).collect::<Vec<_>>());
    assert_eq!(stand.cluster().violations(), Vec::<String>::new());
    assert!(stand.cluster().longest_answer() < 65_536);
}

async fn what_this_node_cancels_stays_cancelled(factory: &AnyFactory<dyn TaskStore>) {
    for table in [TaskTable::wazuh4(), TaskTable::ours()] {
        let stand = Stand::new(factory, table);
        stand.create(1).await;
        let cancel = stand.store.cancel(NODE, Cancel::NotBegun, NOW);
        assert_eq!(ok("cancel", cancel.await), 1);
        assert_eq!(stand.claim().await, []);
        stand.settle(NOW + 3_600).await;
        assert_eq!(stand.claim().await, []);
        assert_eq!(stand.table.statuses(1), ["Cancelled"]);
    }
}

async fn a_cancel_that_was_cut_short_leaves_nothing_to_create_anew(
    factory: &AnyFactory<dyn TaskStore>,
) {
    let mut stand = Stand::new(factory, TaskTable::wazuh4());
    stand.create(1).await;
    // The program that cancels ends before it hears that the master has done so.
    let dying = stand.store(&json!({"timeout": "5m"}));
    stand.cluster().set_next(Mood::Silent);
    let asking = tokio::spawn(async move { dying.cancel(NODE, Cancel::NotBegun, NOW).await });
    let asked = wait_until(DEADLINE, async || {
        (count(&stand, "upgrade_cancel_tasks") == 1).then_some(())
    });
    assert!(asked.await.is_some(), "the master is asked");
    asking.abort();
    stand.table.module_starts(NODE);
    stand.restart();
    assert_eq!(stand.claim().await, []);
    stand.settle(NOW + 30).await;
    assert_eq!(stand.claim().await, []);
    assert_eq!(stand.table.statuses(1), ["Cancelled"]);
}

async fn a_lost_answer_makes_no_second_task(factory: &AnyFactory<dyn TaskStore>) {
    let mut stand = Stand::new(factory, TaskTable::wazuh4());
    let former = stand.create(1).await;
    stand.table.module_starts(NODE);
    // Looked at by the claim, then under the lock; then the task is asked for.
    for mood in [Mood::Well, Mood::Well, Mood::Forgetful] {
        stand.cluster().set_next(mood);
    }
    assert_eq!(stand.claim().await, [], "nobody knows yet");
    let new = stand.task_of(1).await.id;
    assert_ne!(new, former);
    // It is the task of the one who asked first.
    let again = ok("create", stand.store.create(vec![upgrade(1)]).await);
    assert_eq!(again, [Created::AlreadyLive(new)]);
    stand.restart();
    stand.settle(NOW + 30).await;
    assert_eq!(stand.table.statuses(1), ["Cancelled", "Pending"]);
    let claimed = ok("claim", stand.store.claim(NODE, 9, NOW).await);
    assert_eq!(claimed[0].task.id, new);
    assert_eq!(claimed[0].order.as_ref(), Ok(&order(1)));
    let steps = timeline(&stand, former).await;
    assert_eq!(steps.len(), 3, "{steps:?}");
    assert_eq!(timeline(&stand, new).await.len(), 1);
}

async fn what_was_not_created_anew_is_asked_for_later(factory: &AnyFactory<dyn TaskStore>) {
    let stand = Stand::new(factory, TaskTable::wazuh4());
    let former = stand.create(1).await;
    stand.table.module_starts(NODE);
    stand.cluster().set_next(Mood::Well);
    stand.cluster().set_next(Mood::Well);
    let busy = Mood::Failing("Error 3020".to_owned());
    stand.cluster().set_next(busy);
    assert_eq!(stand.claim().await, []);
    // The question may still be on its way.
    stand.settle(NOW + 60).await;
    assert_eq!(stand.claim().await, []);
    assert_eq!(stand.table.statuses(1), ["Cancelled"]);
    stand.settle(NOW + 3_600).await;
    assert_eq!(stand.table.statuses(1), ["Cancelled", "Pending"]);
    assert_eq!(stand.claim().await.len(), 1);
    let steps = timeline(&stand, former).await;
    let cancelled = |one: &&(TimelineStep, String)| one.0 == TimelineStep::Cancelled;
    assert_eq!(steps.iter().filter(cancelled).count(), 1, "{steps:?}");
}

async fn another_task_of_the_agent_takes_the_place_of_a_cancelled_one(
    factory: &AnyFactory<dyn TaskStore>,
) {
    let stand = Stand::new(factory, TaskTable::wazuh4());
    stand.create(1).await;
    stand.create(2).await;
    stand.table.module_starts(NODE);
    // One by another node, one by a new request here.
    stand.table.add(1, "node01");
    let asked = stand.create(2).await;
    assert_eq!(stand.claim().await, [asked]);
    stand.settle(NOW + 30).await;
    assert_eq!(stand.table.statuses(1), ["Cancelled", "Pending"]);
    assert_eq!(stand.table.statuses(2), ["Cancelled", "In progress"]);
}

async fn a_master_of_ours_spares_what_the_worker_holds(factory: &AnyFactory<dyn TaskStore>) {
    let stand = Stand::new(factory, TaskTable::ours());
    let waiting = stand.create(1).await;
    // What is no order of this node is nobody's.
    stand.table.add(2, NODE);
    stand.table.module_starts(NODE);
    assert_eq!(stand.table.statuses(1), ["Pending"]);
    assert_eq!(stand.table.statuses(2), ["Cancelled"]);
    assert_eq!(stand.claim().await, [waiting]);
    assert_eq!(stand.table.statuses(1), ["In progress"]);
}

async fn nobody_s_tasks_are_cancelled_where_no_order_is_lost_by_it(
    factory: &AnyFactory<dyn TaskStore>,
) {
    let stand = Stand::new(factory, TaskTable::wazuh4());
    let waiting = stand.create(1).await;
    stand.table.add(2, NODE);
    // A built-in module that asks the task socket of this very node.
    let cancel = async |node| stand.store.cancel(node, Cancel::WithoutOrder, NOW).await;
    ok("cancel", cancel(NODE).await);
    assert_eq!(count(&stand, "upgrade_cancel_tasks"), 0);
    assert_eq!(stand.claim().await, [waiting]);
    ok("cancel", cancel(NODE).await);
    assert_eq!(stand.table.statuses(2), ["Cancelled"]);
    // For another node it is handed on as it is.
    ok("cancel", cancel("node07").await);
    let last = stand.cluster().requests().pop().unwrap_or_default();
    assert_eq!(last["origin"]["name"], "node07", "{last}");
    assert_eq!(last["parameters"], json!({}), "{last}");
}

/// An agent's word.
fn word(agent: i64, at: i64, said: Result<&str, &str>) -> Transition {
    let entry = TimelineEntry::new(at, TimelineStep::Report);
    let (status, entry) = match said {
        Ok(words) => (Status::Done, entry.detail(words)),
        Err(words) => (Status::Failed, entry.failed(Cause::new(26, words, ""))),
    };
    Transition {
        by: Mover::Report,
        at,
        entry: Some(entry),
        ..to(Selector::SpokenOf(id(agent)), status, None)
    }
}

async fn say(stand: &Stand, word: Transition) {
    let heard = ok("transition", stand.store.transition(vec![word]).await);
    assert!(
        matches!(heard[..], [TransitionResult::Refused(_)]),
        "{heard:?}"
    );
}

async fn begin(stand: &Stand, agent: i64) -> TaskId {
    let task = stand.create(agent).await;
    stand.claim().await;
    let begun = stand.store.begin_installer(task, None, NOW + 2).await;
    assert!(ok("begin_installer", begun));
    task
}

async fn a_late_word_stays_here(factory: &AnyFactory<dyn TaskStore>) {
    // Before and after the worker saw that the master has given up.
    for seen in [false, true] {
        let mut stand = Stand::new(factory, TaskTable::wazuh4());
        let task = begin(&stand, 1).await;
        let start = ok("revision", stand.store.revision().await);
        stand.table.set_status(1, "Timeout");
        if seen {
            stand.settle(NOW + 30).await;
        }
        // The agent repeats itself until it is told to stop.
        for at in [60, 90] {
            say(&stand, word(1, NOW + at, Err("exit code 3"))).await;
        }
        assert_eq!(stand.table.statuses(1), ["Timeout"], "it stays as it is");
        stand.restart();
        stand.settle(NOW + 120).await;
        say(&stand, word(1, NOW + 150, Err("exit code 3"))).await;
        let entries = ok("timeline", stand.store.timeline(task).await);
        let late = |entry: &&TimelineEntry| entry.step == TimelineStep::LateReport;
        let late: Vec<_> = entries.iter().filter(late).collect();
        let cause = late.first().and_then(|entry| entry.failure.as_ref());
        assert_eq!(late.len(), 1, "{entries:?}");
        assert_eq!(cause.map(|cause| cause.said.as_str()), Some("exit code 3"));
        let timed_out = entries
            .iter()
            .filter(|one| one.step == TimelineStep::Timeout);
        assert_eq!(timed_out.count(), 1, "{entries:?}");
        assert_eq!(told(&stand, start).await, [(task, Status::Timeout)]);
    }
    // Of a task that another node began nothing is known here.
    let stand = Stand::new(factory, TaskTable::wazuh4());
    let theirs = stand.table.add(1, "node01");
    stand.table.set_status(1, "Timeout");
    say(&stand, word(1, NOW + 60, Ok("done"))).await;
    assert_eq!(timeline(&stand, TaskId(theirs)).await, []);
}

async fn a_late_word_about_a_former_task_is_kept_with_that(factory: &AnyFactory<dyn TaskStore>) {
    let stand = Stand::new(factory, TaskTable::wazuh4());
    let former = begin(&stand, 1).await;
    stand.table.set_status(1, "Timeout");
    stand.settle(NOW + 30).await;
    let next = stand.create(1).await;
    let start = ok("revision", stand.store.revision().await);
    for named in [false, true] {
        let word = word(1, NOW + 60, Ok("done"));
        let select = match named {
            true => Selector::TaskOf {
                task: former,
                agent: id(1),
            },
            false => word.select,
        };
        say(&stand, Transition { select, ..word }).await;
    }
    let steps = timeline(&stand, former).await;
    let late = (TimelineStep::LateReport, "done".to_owned());
    assert_eq!(steps.iter().filter(|one| **one == late).count(), 1);
    assert_eq!(steps.last(), Some(&late));
    assert_eq!(timeline(&stand, next).await.len(), 1);
    let found = ok("tasks", stand.store.tasks(&[former]).await);
    assert!(
        matches!(&found[..], [Some(task)] if task.status == Status::Timeout),
        "{found:?}"
    );
    assert_eq!(told(&stand, start).await, []);
    assert_eq!(stand.table.statuses(1), ["Timeout", "Pending"]);
}
