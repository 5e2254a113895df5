//! Several engines over one store: who enters, what becomes of a node that dies, and of
//! agents that another node has.

use std::sync::Arc;
use std::time::Duration;

use wpk_api::{AgentInfo, ConnectionStatus, Status, TaskStore, TimelineStep};
use wpk_runtime::EngineError;
use wpk_testkit::memory::{Lost, MemoryStore, MemoryTransport, Say, agent};

use crate::stand::{EPOCH, Parts, Stand, id};

const LEASE: Duration = Duration::from_secs(15);
/// Longer than it takes until a node looks around, shorter than the lease.
const LOOK: Duration = Duration::from_secs(6);

/// A node over a store that others share; its directory shows all agents at `node01`.
fn node(name: &str, store: &MemoryStore) -> Parts {
    let mut parts = Stand::parts_over(MemoryTransport::default(), |settings| {
        settings.node.name = name.to_owned();
        settings.delivery.max_concurrent = 1.into();
    });
    parts.store = Arc::new(store.open_again());
    shows(&parts, &[1, 2, 3, 4], "node01");
    parts
}

/// The directory shows these agents as connected to a node.
fn shows(parts: &Parts, agents: &[u32], node: &str) {
    let at = |id: &u32| AgentInfo {
        node: Some(node.to_owned()),
        ..agent(*id, "Wazuh v4.7.0")
    };
    parts.directory.put(agents.iter().map(at));
}

pub fn shared() -> MemoryStore {
    MemoryStore::shared(LEASE, EPOCH)
}

/// Two nodes that know each other.
pub async fn two(store: &MemoryStore) -> (Stand, Stand) {
    let first = node("node01", store).start().await;
    let second = node("node02", store).start().await;
    tokio::time::sleep(LOOK).await;
    (first, second)
}

#[tokio::test(start_paused = true)]
async fn a_dead_nodes_tasks_go_on_where_their_agents_come() {
    let store = shared();
    let (first, second) = two(&store).await;
    first.upgrade(&[1]).await;
    first.delivered(1).await;
    first.rule(2, "write", Say::Hang);
    first.upgrade(&[2, 3, 4]).await;
    first.came(2, "write", 1).await;
    let dead = first.kill().await;
    // Agent 4 is nowhere.
    shows(&second, &[1, 2, 3], "node02");
    let gone = AgentInfo {
        connection: ConnectionStatus::Disconnected,
        ..agent(4, "Wazuh v4.7.0")
    };
    second.directory.put([gone]);
    tokio::time::sleep(LOOK).await;
    assert_eq!(second.steps(2), [""; 0], "the lease lives");
    store.pass(LEASE + Duration::from_secs(1));
    second.delivered(2).await;
    second.delivered(3).await;
    assert_eq!(second.task(2).node, "node02");
    let moved = second.timeline(2);
    let moved = moved.iter().find(|entry| entry.step == TimelineStep::Moved);
    let moved = format!("{:?}", moved.unwrap());
    assert!(
        moved.contains("node01") && moved.contains("node02"),
        "{moved}"
    );
    assert_eq!(second.task(4).node, "node01", "nobody has its agent");
    assert_eq!(second.task(4).status, Status::Pending);
    // What was begun waits for the agent's word, wherever that comes.
    assert_eq!(second.transport.begun(id(1)), 0, "never twice");
    assert_eq!(second.task(1).status, Status::InProgress);
    assert_eq!(second.word(1, 0, "Done").await, 0);
    assert_eq!(second.task(1).status, Status::Done);
    assert_eq!(dead.transport.begun(id(2)), 0);
    // Agent 4 comes here later.
    shows(&second, &[4], "node02");
    second.delivered(4).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_stops_in_order_leaves_its_tasks_at_once() {
    let store = shared();
    let (first, second) = two(&store).await;
    first.rule(1, "write", Say::Hang);
    first.upgrade(&[1]).await;
    first.came(1, "write", 1).await;
    first.stop().await;
    shows(&second, &[1], "node02");
    second.delivered(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_task_is_made_for_the_node_that_has_the_agent() {
    let store = shared();
    let (first, second) = two(&store).await;
    shows(&second, &[3], "node02");
    assert_eq!(second.upgrade(&[2, 3]).await, [0, 0]);
    first.delivered(2).await;
    second.delivered(3).await;
    assert_eq!(first.task(2).node, "node01");
    assert_eq!(second.transport.begun(id(2)), 0);
    // Any node takes the agent's word, and tells of it.
    assert_eq!(second.word(2, 0, "Done").await, 0);
    assert_eq!(first.task(2).status, Status::Done);
    // Asked on both, it is one task.
    first.rule(4, "write", Say::Hang);
    assert_eq!(first.upgrade(&[4]).await, [0]);
    first.came(4, "write", 1).await;
    assert_eq!(second.upgrade(&[4]).await, [10]);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_task_follows_its_agent() {
    let store = shared();
    let (first, second) = two(&store).await;
    first.rule(1, "write", Say::Hang);
    first.upgrade(&[1, 2]).await;
    first.came(1, "write", 1).await;
    shows(&first, &[2], "node02");
    shows(&second, &[2], "node02");
    first.transport.release();
    second.delivered(2).await;
    assert_eq!(first.steps(2), [""; 0]);
    assert_eq!(second.task(2).node, "node02");
}

#[tokio::test(start_paused = true)]
async fn of_two_daemons_with_one_name_the_first_stays() {
    let store = shared();
    let first = node("node01", &store).start().await;
    let second = node("node01", &store).start().await;
    let why = second.ended().await.unwrap_err();
    assert!(matches!(why, EngineError::NameHeld(_)), "{why}");
    let why = why.to_string();
    assert!(why.contains("node01") && why.contains("process"), "{why}");
    assert_eq!(first.upgrade(&[1]).await, [0]);
    first.delivered(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_name_whose_holder_is_silent_is_taken_and_the_holder_shut_out() {
    let store = shared();
    let mut parts = node("node01", &store);
    parts.settings.delivery.max_concurrent = 2.into();
    let first = parts.start().await;
    first.rule(1, "write", Say::Hang);
    first.upgrade(&[1, 2]).await;
    first.came(1, "write", 1).await;
    // It cannot renew.
    let away = wpk_api::StoreError::Unavailable("the network".into());
    first.faults.add("renew", usize::MAX, away);
    let second = node("node01", &store).start().await;
    store.pass(LEASE + Duration::from_secs(1));
    second.delivered(1).await;
    // The first one may go on as long as it writes nothing.
    first.transport.release();
    let transport = first.transport.clone();
    let why = first.ended().await.unwrap_err();
    assert!(matches!(why, EngineError::ShutOut(_)), "{why}");
    let begun = transport.begun(id(1)) + second.transport.begun(id(1));
    assert_eq!(begun, 1, "one installer");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_knows_is_asked_again() {
    for lost in [Lost::Question, Lost::Answer] {
        for call in ["begin_installer", "claim", "transition"] {
            let store = shared();
            let stand = node("node01", &store).start().await;
            stand.faults.1.lose(call, lost);
            if call == "transition" {
                stand.rule(1, "open", Say::Refuse("no"));
                assert_eq!(stand.upgrade(&[1]).await, [0]);
                stand.until(1, Status::Failed).await;
                continue;
            }
            assert_eq!(stand.upgrade(&[1]).await, [0]);
            stand.delivered(1).await;
            assert_eq!(stand.task(1).status, Status::InProgress, "{call} {lost:?}");
            assert_eq!(stand.word(1, 0, "Done").await, 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_living_nodes_waiting_tasks_are_not_timed_out_by_another() {
    let store = shared();
    let (first, second) = two(&store).await;
    first.rule(1, "write", Say::Hang);
    first.upgrade(&[1]).await;
    first.came(1, "write", 1).await;
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(first.task(1).status, Status::InProgress);
    assert_eq!(second.store.nodes().await.unwrap().len(), 2);
    // Of a dead node's begun ones somebody must say it.
    first.transport.release();
    first.delivered(1).await;
    first.kill().await;
    store.pass(LEASE + Duration::from_secs(1));
    second.until(1, Status::Timeout).await;
}

#[tokio::test(start_paused = true)]
async fn managers_that_number_their_agents_share_no_store() {
    let store = shared();
    let first = node("node01", &store).start().await;
    let parts = node("node02", &store);
    parts.directory.number_agents();
    let second = parts.start().await;
    let why = second.ended().await.unwrap_err().to_string();
    assert!(
        why.contains("node01") && why.contains("store of its own"),
        "{why}"
    );
    first.upgrade(&[1]).await;
    first.delivered(1).await;
    // Alone in it, also under a new name, it may have one.
    let store = shared();
    node("old", &store).start().await.stop().await;
    let parts = node("node02", &store);
    parts.directory.number_agents();
    let alone = parts.start().await;
    alone.upgrade(&[1]).await;
    alone.delivered(1).await;
}
