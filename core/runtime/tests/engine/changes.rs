//! Following the feed over the upgrade socket: where each task is, and waiting for changes.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use wpk_api::{Revision, Status};
use wpk_testkit::memory::Say;

use super::stand::Stand;

/// An answer: its place, and its tasks.
struct Told {
    place: Value,
    tasks: Vec<Value>,
}

impl Told {
    fn revision(&self) -> u64 {
        self.place["revision"].as_u64().unwrap()
    }
}

async fn ask(stand: &Stand, parameters: Value) -> Told {
    let mut tasks = stand.items("upgrade_changes", parameters).await;
    let place = tasks.remove(0);
    Told { place, tasks }
}

/// The phases of the tasks of an answer, by agent.
fn phases(told: &Told) -> Vec<(u64, &str)> {
    let phase = |task: &'_ Value| task["agent"].as_u64().unwrap();
    (told.tasks.iter())
        .map(|task| (phase(task), task["phase"].as_str().unwrap()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn each_task_is_told_with_where_it_is() {
    let stand = Stand::new().await;
    stand.rule(1, "close", Say::Hang);
    stand.upgrade(&[1, 2]).await;
    stand.came(1, "close", 1).await;
    let told = ask(&stand, json!({"agents": [3, 2, 1]})).await;
    assert_eq!(told.place["behind"], false);
    assert_eq!(told.tasks[0]["error"], 3, "agent 3 has no task");
    let told = ask(&stand, json!({"agents": [1], "after": 0})).await;
    assert_eq!(phases(&told), [(1, "sending")]);
    let first = &told.tasks[0];
    assert_eq!(first["status"], "Updating");
    assert_eq!(
        (&first["sent"], &first["step"]),
        (&json!(100_000), &json!("close"))
    );
    assert_eq!(told.revision(), stand.store.tables().revision().0);
    // Where nothing changes, what is under way is told all the same.
    let again = ask(&stand, json!({"agents": [1], "after": told.revision()})).await;
    assert_eq!(phases(&again), [(1, "sending")]);
    assert_eq!(again.tasks[0]["status"], Value::Null);
    let of_all = ask(&stand, json!({"after": told.revision()})).await;
    assert_eq!(phases(&of_all)[0], (1, "sending"));
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_was_delivered_between_two_looks_is_installing() {
    let stand = Stand::new().await;
    let before = ask(&stand, json!({"agents": [1]})).await.revision();
    stand.upgrade(&[1]).await;
    stand.delivered(1).await;
    let parameters = json!({"agents": [1]});
    assert_eq!(stand.items("upgrade_progress", parameters).await.len(), 0);
    let told = ask(&stand, json!({"agents": [1], "after": before})).await;
    assert_eq!(phases(&told), [(1, "installing")]);
    let now = ask(&stand, json!({"agents": [1]})).await;
    assert_eq!(phases(&now), [(1, "installing")]);
    assert_eq!(stand.word(1, 0, "Done").await, 0);
    let told = ask(&stand, json!({"agents": [1], "after": told.revision()})).await;
    assert_eq!(phases(&told), [(1, "ended")]);
    assert_eq!(told.tasks[0]["status"], "Updated");
    assert_eq!(told.tasks[0]["confirmation"], "awaited");
}

#[tokio::test(start_paused = true)]
async fn a_failure_comes_with_its_cause() {
    let stand = Stand::new().await;
    stand.rule(
        1,
        "sha1",
        Say::Words(r#"{"error":0,"message":"other","data":[]}"#),
    );
    stand.upgrade(&[1]).await;
    stand.until(1, Status::Failed).await;
    let told = ask(&stand, json!({"after": 0})).await;
    assert_eq!(phases(&told), [(1, "ended")]);
    let cause = &told.tasks[0]["cause"];
    assert!(cause["failure"]["said"].is_string(), "{cause}");
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_hears_of_a_change_at_once() {
    let stand = Stand::installing().await;
    let after = ask(&stand, json!({"agents": [1, 2]})).await.revision();
    let began = Instant::now();
    let waits = ask(
        &stand,
        json!({"agents": [1], "after": after, "wait": 9_000}),
    );
    let word = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        // What is of others wakes nobody.
        stand.upgrade(&[2]).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        stand.word(1, 0, "Done").await;
    };
    let (told, ()) = tokio::join!(waits, word);
    assert_eq!(phases(&told), [(1, "ended")]);
    let took = began.elapsed();
    let wanted = Duration::from_millis(4_000)..Duration::from_millis(4_500);
    assert!(wanted.contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_long_and_only_a_few_at_a_time() {
    let stand = Stand::installing().await;
    let after = ask(&stand, json!({"agents": [1]})).await.revision();
    let parameters = json!({"agents": [1], "after": after, "wait": 3_600_000});
    let began = Instant::now();
    let told = ask(&stand, parameters.clone()).await;
    assert_eq!(
        (told.revision(), began.elapsed()),
        (after, Duration::from_secs(10))
    );
    let began = Instant::now();
    let waits = (0..17).map(|_| async {
        ask(&stand, parameters.clone()).await;
        began.elapsed()
    });
    let mut took = futures_util::future::join_all(waits).await;
    took.sort();
    assert_eq!(took[0], Duration::ZERO);
    assert!(
        took[1..]
            .iter()
            .all(|took| *took == Duration::from_secs(10)),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn who_is_too_far_behind_is_told_so() {
    let stand = Stand::installing().await;
    let newest = stand.store.tables().revision();
    let behind = async |after: u64| {
        let told = ask(&stand, json!({"after": after, "wait": 9_000})).await;
        (told.place["behind"].as_bool().unwrap(), told.revision())
    };
    assert_eq!(behind(0).await, (false, newest.0));
    // As of a store that was restored.
    assert_eq!(behind(newest.0 + 7).await, (true, newest.0));
    stand.store.tables().forget_changes(Revision(newest.0 - 1));
    assert_eq!(behind(0).await, (true, newest.0));
    assert_eq!(behind(newest.0 - 1).await, (false, newest.0));
}
