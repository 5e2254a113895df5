//! `upgrade_tasks`: which tasks there are, newest first.

use std::time::Duration;

use serde_json::{Value, json};
use wpk_api::{Status, StoreError};
use wpk_testkit::memory::Say;

use crate::stand::{EPOCH, Stand};

const COMMAND: &str = "upgrade_tasks";

/// The tasks of a page, and where the next begins.
async fn page(stand: &Stand, parameters: Value) -> (Vec<Value>, Option<Value>) {
    let mut items = stand.items(COMMAND, parameters).await;
    let next = match items.last() {
        Some(last) if last.get("next").is_some() => items.pop(),
        _ => None,
    };
    (items, next.map(|item| item["next"].clone()))
}

async fn agents(stand: &Stand, parameters: Value) -> Vec<i64> {
    let (items, _) = page(stand, parameters).await;
    let agent = |item: &Value| item["agent"].as_i64().unwrap();
    items.iter().map(agent).collect()
}

/// Agent 1 is begun, 2 failed, 3 waits for an answer, 4 was taken back.
async fn stand() -> Stand {
    let stand = Stand::new().await;
    stand.rule(2, "open", Say::Refuse("no room"));
    stand.rule(3, "write", Say::Hang);
    stand.rule(4, "write", Say::Hang);
    for agent in 1..=4 {
        stand.upgrade(&[agent]).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    stand.until(2, Status::Failed).await;
    stand.came(4, "write", 1).await;
    stand.items("upgrade_cancel", json!({"agents": [4]})).await;
    stand
}

#[tokio::test(start_paused = true)]
async fn tasks_are_told_newest_first_with_what_is_known_of_each() {
    let stand = stand().await;
    let (items, next) = page(&stand, json!({})).await;
    assert_eq!(next, None);
    let agents: Vec<&Value> = items.iter().map(|item| &item["agent"]).collect();
    assert_eq!(agents, [4, 3, 2, 1]);
    let (running, failed) = (&items[1], &items[2]);
    assert_eq!(running["status"], "Updating", "{running}");
    assert_eq!(running["step"], "write", "{running}");
    assert_eq!(running["total"], 100_000, "{running}");
    assert_eq!(running["name"], "agent3", "{running}");
    assert!(running["created"].as_i64().unwrap() > EPOCH, "{running}");
    assert_eq!(running["node"], "node01", "{running}");
    assert_eq!(failed["status"], "Error", "{failed}");
    assert_eq!(failed["cause"]["failure"]["code"], 19, "{failed}");
    assert!(failed.get("step").is_none(), "{failed}");
    assert!(failed["timeline"].as_array().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_is_told_and_nothing_else() {
    let stand = stand().await;
    let of = |parameters| agents(&stand, parameters);
    assert_eq!(of(json!({"only": "live"})).await, [3, 1]);
    assert_eq!(of(json!({"only": "troubled"})).await, [4, 2]);
    assert_eq!(of(json!({"only": "all", "agents": [1, 4]})).await, [4, 1]);
    assert_eq!(of(json!({"node": "node02"})).await, [0; 0]);
    let since = stand.task(3).created;
    assert_eq!(of(json!({"since": since})).await, [4, 3]);
    assert_eq!(of(json!({"since": since + 1_000})).await, [0; 0]);
    assert_eq!(of(json!({"since": i64::MIN})).await.len(), 4);
    let (first, next) = page(&stand, json!({"limit": 3})).await;
    assert_eq!(first.len(), 3);
    let rest = json!({"limit": 3, "before": next.unwrap()});
    let (rest, next) = page(&stand, rest).await;
    assert_eq!((rest.len(), next), (1, None));
    assert_eq!(rest[0]["agent"], 1);
}

#[tokio::test(start_paused = true)]
async fn nonsense_is_refused_by_name_and_a_store_that_lists_nothing_says_so() {
    let stand = Stand::new().await;
    let many: Vec<u32> = (1..=1_001).collect();
    for (parameters, word) in [
        (json!({"only": "failed"}), "\"only\""),
        (json!({"since": "2h"}), "\"since\""),
        (json!({"since": 1.5}), "\"since\""),
        (json!({"before": 7}), "\"before\""),
        (json!({"before": {"created": 1}}), "\"before\""),
        (json!({"limit": -1}), "\"limit\""),
        (json!({"node": ""}), "\"node\""),
        (json!({"node": "x".repeat(256)}), "\"node\""),
        (json!({"agents": many}), "1000 agents"),
        (json!({"agents": []}), "1000 agents"),
        (json!({"agents": ["1"]}), "\"agents\""),
    ] {
        let answer = stand.ask(COMMAND, parameters.clone()).await;
        let text = answer["data"][0]["message"].as_str().unwrap();
        assert!(
            answer["error"] == 3 && text.contains(word),
            "{parameters} {text}"
        );
    }
    let unbounded = json!({"limit": u64::MAX, "before": {"created": i64::MAX, "task": i64::MIN}});
    assert_eq!(stand.ask(COMMAND, unbounded).await["error"], 0);
    stand.faults.add("history", 1, StoreError::lists_no_tasks());
    let answer = stand.ask(COMMAND, json!({})).await;
    let text = answer["data"][0]["message"].as_str().unwrap();
    assert!(text.contains("cannot list its tasks"), "{answer}");
}
