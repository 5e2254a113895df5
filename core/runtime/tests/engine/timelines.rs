//! `upgrade_timeline`: why a task failed, in the words of whoever said it.

use serde_json::{Value, json};
use wpk_api::{
    Cause, Dialect, Endpoint, LONGEST_TIMELINE, Peer, Status, StoreError, TimelineEntry,
    TimelineStep,
};
use wpk_testkit::memory::Say;

use crate::stand::{Stand, id};

const COMMAND: &str = "upgrade_timeline";
const BAD_SIGNATURE: Say =
    Say::Words(r#"{"error":13,"message":"Could not verify signature","data":[]}"#);

/// The only item of an answer.
async fn told(stand: &Stand, parameters: Value) -> Value {
    let mut items = stand.items(COMMAND, parameters).await;
    assert_eq!(items.len(), 1, "{items:?}");
    items.remove(0)
}

fn steps(item: &Value) -> Vec<&str> {
    let timeline = item["timeline"].as_array().unwrap();
    let step = |entry: &Value| entry["step"].as_str().map(str::len);
    assert!(timeline.iter().all(|entry| step(entry).is_some()));
    (timeline.iter())
        .filter_map(|entry| entry["step"].as_str())
        .collect()
}

/// A stand whose agent 1 refuses to install.
async fn refusing() -> Stand {
    let stand = Stand::new().await;
    stand.rule(1, "upgrade", BAD_SIGNATURE);
    stand.upgrade(&[1]).await;
    stand.until(1, Status::Failed).await;
    stand
}

#[tokio::test(start_paused = true)]
async fn the_agents_own_words_are_the_cause() {
    let stand = refusing().await;
    let item = told(&stand, json!({"agents": [1]})).await;
    assert_eq!(item["status"], "Error");
    assert_eq!(item["error_msg"], "Send upgrade command error");
    let cause = &item["cause"]["failure"];
    assert_eq!(cause["code"], 23);
    let said = cause["said"].as_str().unwrap();
    assert!(said.contains("Could not verify signature"), "{said}");
    assert!(!cause["advice"].as_str().unwrap().is_empty(), "{cause}");
    assert_eq!(item["late"], false);
    assert_eq!(steps(&item).first(), Some(&"created"));
    let last = item["timeline"].as_array().unwrap().last().unwrap();
    assert_eq!(*last, item["cause"]);
    let time = last["time"].as_str().unwrap();
    assert!(time.starts_with("2023/11/14 22:13:"), "{time}");
    // What 4.x clients are told is what is documented, and no more.
    let result = &stand.items("upgrade_result", json!({"agents": [1]})).await[0];
    let keys: Vec<&str> = (result.as_object().unwrap().keys())
        .map(String::as_str)
        .collect();
    let documented = [
        "agent",
        "command",
        "create_time",
        "error",
        "error_msg",
        "message",
        "module",
        "node",
        "status",
        "task_id",
        "update_time",
    ];
    assert_eq!(keys, documented);
}

#[tokio::test(start_paused = true)]
async fn a_task_is_found_by_its_id_also_when_it_is_not_the_newest() {
    let stand = refusing().await;
    let first = stand.task(1).id.0;
    stand.upgrade(&[1]).await;
    let asked = json!({"agents": [2, 1], "tasks": [first, 99], "entries": 0});
    let items = stand.items(COMMAND, asked).await;
    let [none, newest, named, nobodys] = items.as_slice() else {
        panic!("one item for each, in the order asked: {items:?}");
    };
    assert_eq!((&none["error"], &none["agent"]), (&json!(3), &json!(2)));
    assert_eq!(newest["task_id"], first + 1);
    assert_eq!(
        (&named["task_id"], &named["agent"]),
        (&json!(first), &json!(1))
    );
    assert_eq!(named["cause"]["failure"]["code"], 23);
    assert!(steps(named).is_empty());
    assert!(named["older"].as_u64().unwrap() >= 2, "{named}");
    assert_eq!(
        (&nobodys["error"], &nobodys["task_id"]),
        (&json!(3), &json!(99))
    );
}

#[tokio::test(start_paused = true)]
async fn a_word_that_came_late_is_told_to_be() {
    let stand = Stand::installing().await;
    stand.until(1, Status::Timeout).await;
    stand.word(1, 2, "Failed").await;
    let item = told(&stand, json!({"agents": [1], "entries": 1})).await;
    assert_eq!(
        (&item["late"], &item["status"]),
        (&true.into(), &"Error".into())
    );
    assert_eq!(steps(&item), ["late_report"]);
    assert_eq!(item["cause"]["failure"]["said"], "as it went");
}

#[tokio::test(start_paused = true)]
async fn a_provider_says_itself_why_there_is_no_file() {
    let stand = Stand::new().await;
    let wish = json!({"agents": [1], "version": "v4.14.7"});
    assert_eq!(stand.codes(wish).await, [0]);
    stand.until(1, Status::Failed).await;
    let item = told(&stand, json!({"agents": [1]})).await;
    let cause = &item["cause"]["failure"];
    assert_eq!(cause["code"], 15, "{item}");
    assert!(cause["said"].as_str().unwrap().contains("4.14.7"), "{item}");
}

#[tokio::test(start_paused = true)]
async fn a_long_answer_is_cut_between_tasks() {
    let stand = refusing().await;
    let task = stand.task(1).id;
    let words = "\"".repeat(1_024);
    let entry = TimelineEntry::new(1, TimelineStep::Wait).failed(Cause::new(23, &words, ""));
    let entries = vec![(task, entry); LONGEST_TIMELINE];
    stand.store.tables().note(entries);
    let asked = json!({"tasks": vec![task.0; 1_000]});
    let items = stand.items(COMMAND, asked).await;
    // Each has a little more than half a MiB.
    assert_eq!(items.len(), 8);
    let asked = json!({"tasks": vec![task.0; 1_000], "entries": 0});
    assert_eq!(stand.items(COMMAND, asked).await.len(), 1_000);
}

#[tokio::test(start_paused = true)]
async fn times_are_those_of_the_dialect() {
    let stand = Stand::with(|settings| settings.dialect = Dialect::Wazuh4).await;
    stand.rule(1, "upgrade", BAD_SIGNATURE);
    stand.upgrade(&[1]).await;
    stand.until(1, Status::Failed).await;
    let item = told(&stand, json!({"agents": [1]})).await;
    assert_eq!(item["timeline"][0]["time"], item["create_time"]);
}

#[tokio::test(start_paused = true)]
async fn nobody_but_a_local_client_reads_timelines() {
    let stand = refusing().await;
    let asked = json!({"command": COMMAND, "parameters": {"agents": [1]}});
    let peer = Peer::Agent(id(1));
    let answer = stand.call(Endpoint::Upgrade, peer, &asked).await;
    assert_eq!(answer["error"], 3, "{answer}");
    assert!(!answer.to_string().contains("signature"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_be_read_is_code_4() {
    let stand = refusing().await;
    for (operation, asked) in [
        ("latest", json!({"agents": [1]})),
        ("tasks", json!({"tasks": [1]})),
        ("timeline", json!({"agents": [1]})),
    ] {
        let away = StoreError::Unavailable("away".into());
        stand.faults.add(operation, 1, away);
        assert_eq!(stand.ask(COMMAND, asked).await["error"], 4, "{operation}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_step_says_who_was_asked() {
    let stand = Stand::installing().await;
    stand.word(1, 0, "Done").await;
    let item = told(&stand, json!({"agents": [1]})).await;
    assert_eq!(
        steps(&item),
        [
            "created",
            "claimed",
            "resolve",
            "download",
            "lock_restart",
            "open",
            "write",
            "close",
            "sha1",
            "upgrade",
            "report"
        ]
    );
    let asked = |nth: usize| item["timeline"][nth]["asked"].as_str().unwrap_or_default();
    assert_eq!(asked(1), "node node01");
    for of_provider in [2, 3] {
        assert!(asked(of_provider).contains("4.14.9"), "{item}");
    }
    for of_agent in [4, 5, 6, 7, 8, 10] {
        assert_eq!(asked(of_agent), "agent 001", "{item}");
    }

    // A failure says it as well, and what went before it.
    let stand = refusing().await;
    let item = told(&stand, json!({"agents": [1]})).await;
    assert_eq!(item["cause"]["asked"], "agent 001");
    let stand = Stand::new().await;
    stand.rule(1, "write", Say::Close);
    stand.upgrade(&[1]).await;
    stand.until(1, Status::Failed).await;
    let item = told(&stand, json!({"agents": [1]})).await;
    let went = [
        "created",
        "claimed",
        "resolve",
        "download",
        "lock_restart",
        "open",
        "write",
    ];
    assert_eq!(steps(&item), went);
    assert_eq!(item["timeline"][6]["asked"], "agent 001");
}
