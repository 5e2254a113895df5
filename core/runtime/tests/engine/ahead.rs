//! Files that are sent before they may be installed.

use std::sync::Arc;
use std::time::Duration;

use wpk_api::{
    Command, DocumentWrite, Fence, KeptOrder, NewDocument, NewTask, Order, Status, Target,
    TaskStore, TimelineStep, Wanted, WantedRelease,
};
use wpk_testkit::memory::{MemoryStore, Say, agent};

use crate::stand::{EPOCH, NEWEST, Stand, id};

const KEY: &str = "rollout/prod";

/// A stand whose store has a clock of its own, and a rollout's document.
async fn stand() -> Stand {
    let mut parts = Stand::parts_over(wpk_testkit::memory::MemoryTransport::default(), |_| {});
    parts.store = Arc::new(MemoryStore::shared(Duration::from_secs(60), EPOCH));
    write(&parts.store, None, 1).await;
    parts.start().await
}

/// Writes the document; the version that it has then.
async fn write(store: &MemoryStore, expected: Option<u64>, epoch: u64) -> u64 {
    let becomes = NewDocument {
        epoch,
        keeps_tasks: true,
        text: "{}".into(),
    };
    let write = DocumentWrite {
        key: KEY.into(),
        expected,
        becomes: Some(becomes),
    };
    let written = store.write_documents(vec![write], None).await.unwrap();
    written.unwrap()[0]
}

/// A task for an agent that opens after a while.
async fn make(stand: &Stand, agent_id: u32, opens: i64, closes: Option<i64>) {
    let info = agent(agent_id, "Wazuh v4.7.0");
    let order = Order {
        wanted: Wanted::Release(WantedRelease {
            platform: info.platform.clone(),
            target: Target::Exactly(NEWEST),
            repository: None,
            use_http: false,
            package_type: None,
        }),
        agent: info,
        installer: None,
        force: false,
    };
    let task = NewTask {
        agent: id(agent_id),
        node: "node01".into(),
        module: "upgrade_module".into(),
        command: Command::Upgrade,
        created: EPOCH,
        order: Some(KeptOrder::of(&order).unwrap()),
        exclusive: true,
        held: false,
        fence: Some(Box::new(Fence {
            key: KEY.into(),
            epoch: 1,
            opens: EPOCH + opens,
            closes: closes.map(|closes| EPOCH + closes),
            mark: String::new(),
        })),
    };
    stand.store.create(vec![task]).await.unwrap();
}

/// The installer waits, and the agent has the file.
async fn sent_ahead(stand: &Stand, agent: u32) {
    stand.came(agent, "sha1", 1).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(stand.steps(agent), ["open", "write", "close", "sha1"]);
    assert_eq!(stand.task(agent).status, Status::Pending, "In queue");
}

#[tokio::test(start_paused = true)]
async fn a_file_is_there_before_the_window_and_only_its_installer_waits_for_it() {
    let stand = stand().await;
    make(&stand, 1, 3_600, None).await;
    sent_ahead(&stand, 1).await;
    // However long it waits, nothing times out, and nothing is sent twice.
    tokio::time::sleep(Duration::from_secs(7_200)).await;
    assert_eq!(stand.task(1).status, Status::Pending);
    assert_eq!(stand.transport.count(id(1), "open"), 1);
    stand.store.pass(Duration::from_secs(3_601));
    stand.delivered(1).await;
    let steps = [
        "open",
        "write",
        "close",
        "sha1",
        "lock_restart",
        "sha1",
        "upgrade",
    ];
    assert_eq!(stand.steps(1), steps);
    let told = stand.timeline(1);
    let at = |step| told.iter().position(|entry| entry.step == step).unwrap();
    assert!(
        at(TimelineStep::Write) < at(TimelineStep::Claimed),
        "{told:?}"
    );
    assert_eq!(stand.word(1, 0, "Done").await, 0);
}

#[tokio::test(start_paused = true)]
async fn what_the_agent_lost_is_sent_again() {
    let stand = stand().await;
    make(&stand, 1, 3_600, None).await;
    sent_ahead(&stand, 1).await;
    stand.rule_times(
        1,
        "sha1",
        Say::Words(r#"{"error":6,"message":"File not found"}"#),
        1,
    );
    stand.store.pass(Duration::from_secs(3_601));
    stand.delivered(1).await;
    assert_eq!(stand.transport.count(id(1), "open"), 2);
    assert_eq!(stand.transport.begun(id(1)), 1);
}

#[tokio::test(start_paused = true)]
async fn a_window_that_opens_meanwhile_does_not_mix_two_files() {
    let stand = stand().await;
    stand.rule(1, "write", Say::Hang);
    make(&stand, 1, 3_600, None).await;
    stand.came(1, "write", 1).await;
    stand.store.pass(Duration::from_secs(3_601));
    // The one that was being sent ahead ends before the delivery begins.
    stand.came(1, "open", 2).await;
    stand.transport.release();
    stand.delivered(1).await;
    assert_eq!(stand.transport.content(id(1)).len(), 100_000);
}

#[tokio::test(start_paused = true)]
async fn what_is_taken_back_or_closed_is_never_begun() {
    let stand = stand().await;
    make(&stand, 1, 3_600, None).await;
    make(&stand, 2, 3_600, Some(3_700)).await;
    sent_ahead(&stand, 1).await;
    stand.came(2, "sha1", 1).await;
    let version = stand.store.documents(KEY, "", 1).await.unwrap()[0].version;
    let slow = Say::After(Duration::from_secs(300));
    stand.rule(2, "lock_restart", slow);
    stand.store.pass(Duration::from_secs(3_601));
    stand.came(2, "lock_restart", 1).await;
    // The window closes while the agent takes its time.
    stand.store.pass(Duration::from_secs(200));
    stand.came(2, "sha1", 2).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(stand.transport.begun(id(2)), 0);
    make(&stand, 3, 7_200, None).await;
    stand.came(3, "sha1", 1).await;
    write(&stand.store, Some(version), 2).await;
    assert_eq!(stand.task(3).status, Status::Cancelled);
    stand.store.pass(Duration::from_secs(7_200));
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(stand.transport.begun(id(3)), 0);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_away_gets_its_file_when_it_is_back() {
    let stand = stand().await;
    stand.transport.disconnect(id(1));
    make(&stand, 1, 36_000, None).await;
    tokio::time::sleep(Duration::from_secs(1_800)).await;
    assert_eq!(stand.task(1).status, Status::Pending);
    stand.transport.connect(id(1));
    sent_ahead(&stand, 1).await;
}
