//! `requests.jsonl`: the two sockets of the manager.

use std::time::Duration;

use serde_json::Value;
use wpk_testkit::wait_until;

use crate::case::Case;
use crate::deliveries::Aside;
use crate::differences;
use crate::report::{Mismatch, Tally, differs};
use crate::stand::Stand;

/// No repository can be reached, whatever its address is: all go through a
/// proxy that is not there.
pub const UNREACHABLE: &str = r#"
[[provider]]
type = "repository"
attempts = 1
proxy = "http://127.0.0.1:9"
[[provider]]
type = "local-file"
"#;

/// The settings of the recorded manager.
pub fn settings() -> String {
    format!(
        "dialect = \"wazuh-4\"\n[directory]\ntype = \"wazuh-db\"\ntimeout = \"1s\"\n{UNREACHABLE}"
    )
}

/// How long the end of tasks is waited for once their deliveries have ended.
pub const LAST_MOVE: Duration = Duration::from_millis(500);

/// Replays some of the cases with one daemon.
pub async fn replay(cases: Vec<Case>) -> Tally {
    let mut tally = Tally::new("requests.jsonl", differences::REQUESTS);
    let stand = Stand::start(&settings()).await;
    let files = stand.manager.home.path("ref");
    std::fs::create_dir(&files).unwrap();
    std::fs::write(files.join("custom_ok.wpk"), [7; 5000]).unwrap();
    for case in cases {
        let mismatches = run(&stand, &case).await;
        tally.judge(case.name(), mismatches);
    }
    tally
}

async fn run(stand: &Stand, case: &Case) -> Vec<Mismatch> {
    let manager = &stand.manager;
    stand.set_up(case.setup());
    // What a healthy agent of the recording acknowledged was not waited for.
    manager.remoted.set_rules("* upgrade @noack\n").unwrap();
    let asked = manager.wdb.requests().len();
    let infra = case.name().strip_prefix("infra/");
    // The recorded task manager kept its table in the database daemon; ours
    // fails in the same way when its own table is out of order.
    let broken = infra == Some("wdb_socket_missing_task");
    if broken {
        stand.break_tasks(true);
    }
    let hidden = (infra == Some("wdb_socket_missing_upgrade"))
        .then(|| Aside::put(&manager.home.wdb_socket()));
    let root = manager.home.root().join("ref");
    let raw = match case.payload() {
        Some(payload)
            if case
                .text("request")
                .is_some_and(|text| text.contains("/REF/")) =>
        {
            let text = String::from_utf8(payload).unwrap();
            crate::case::frame(text.replace("/REF", &root.display().to_string()).as_bytes())
        }
        _ => case.raw(),
    };
    let half_close = case.0["half_close_after_send"] == true;
    let answers = stand
        .send(case.text("socket").unwrap(), &raw, half_close)
        .await;
    if broken {
        stand.break_tasks(false);
    }
    drop(hidden);
    let mut mismatches = match answers {
        Ok(answers) => answer(case, &answers),
        Err(error) => vec![Mismatch {
            what: "answer",
            expected: case.0["response"].to_string(),
            got: error.to_string(),
        }],
    };
    if let Some(seen) = case.0["wdb_request_seen"].as_array() {
        let seen: Vec<&str> = seen.iter().filter_map(Value::as_str).collect();
        let ours = manager.wdb.requests();
        let expected = format!("{seen:?}");
        mismatches.extend(differs(
            "question",
            expected,
            format!("{:?}", &ours[asked..]),
        ));
    }
    mismatches.extend(table(stand, case, "tasks_after").await);
    mismatches
}

/// Compares what is in the task table in the end.
pub async fn table(stand: &Stand, case: &Case, key: &str) -> Option<Mismatch> {
    let agents: Vec<i64> = stand
        .tasks()
        .iter()
        .filter_map(|task| task["AGENT_ID"].as_i64())
        .collect();
    if !agents.is_empty() {
        stand.settle(&agents).await;
    }
    let expected = case.0[key].as_array()?;
    // A delivery leaves the stage before its task is moved for the last time.
    let same = wait_until(LAST_MOVE, async || {
        (by_agent(&stand.tasks()) == by_agent(expected)).then_some(())
    });
    same.await;
    let got = stand.tasks();
    let show = |tasks: &[Value]| Value::from(tasks.to_vec()).to_string();
    if by_agent(&got) == by_agent(expected) {
        return None;
    }
    differs("tasks", show(expected), show(&got))
}

/// Tasks in the order of their agents: that of their ids followed a hash table.
fn by_agent(tasks: &[Value]) -> Vec<Value> {
    let mut tasks = tasks.to_vec();
    let fresh = tasks
        .iter()
        .filter(|task| task["STATUS"] != "Weird")
        .count();
    if fresh > 1 {
        tasks.sort_by_key(|task| (task["AGENT_ID"].as_i64(), task["TASK_ID"].as_i64()));
    }
    tasks
}

fn answer(case: &Case, answers: &[Vec<u8>]) -> Vec<Mismatch> {
    let first = answers
        .first()
        .map(|answer| String::from_utf8_lossy(answer).into_owned());
    let shown = first.clone().unwrap_or_else(|| "closed".to_owned());
    let mut mismatches = Vec::new();
    match case.text("response") {
        None => mismatches.extend(differs("answer", "closed", shown)),
        // Recorded shortened, with its length.
        Some(recorded) if recorded.ends_with("...") => {
            let start = recorded.trim_end_matches("...");
            let whole = case.0["response_len"].as_u64();
            if !shown.starts_with(start) || Some(shown.len() as u64) != whole {
                mismatches.extend(differs(
                    "answer",
                    format!("{recorded} ({whole:?} bytes)"),
                    shown,
                ));
            }
        }
        Some(recorded) => {
            if !same_but_for_order(recorded, &shown) {
                mismatches.extend(differs("answer", recorded, shown));
            }
        }
    }
    if let Some(raw) = case.text("response_raw_hex") {
        let ours: Vec<u8> = answers
            .iter()
            .flat_map(|answer| crate::case::frame(answer))
            .collect();
        let ours: String = ours.iter().map(|byte| format!("{byte:02x}")).collect();
        mismatches.extend(differs("bytes", raw, ours));
    }
    mismatches
}

/// Whether two answers are the same, byte for byte, or, where several agents
/// passed the checks, item for item: the order and ids of those followed a hash
/// table. Ours come in the order of the request.
pub fn same_but_for_order(recorded: &str, ours: &str) -> bool {
    if recorded == ours {
        return true;
    }
    let (Ok(recorded), Ok(ours)) = (parse(recorded), parse(ours)) else {
        return false;
    };
    let passed = |items: &[Value]| {
        let late = |item: &&Value| {
            item.get("task_id").is_some() || item["error"] == 10 || item["error"] == 4
        };
        let mut late: Vec<Value> = items.iter().filter(late).cloned().collect();
        for item in &mut late {
            if let Some(item) = item.as_object_mut() {
                item.remove("task_id");
            }
        }
        late.sort_by_key(ToString::to_string);
        late
    };
    let refused = |items: &[Value]| -> Vec<Value> {
        let early = |item: &&Value| {
            item.get("task_id").is_none() && item["error"] != 10 && item["error"] != 4
        };
        items.iter().filter(early).cloned().collect()
    };
    let (theirs, own) = (items(&recorded), items(&ours));
    // Whoever passed comes after whoever was refused before.
    let ordered = |items: &[Value]| items.starts_with(&refused(items));
    passed(&theirs).len() > 1
        && recorded["error"] == ours["error"]
        && recorded["message"] == ours["message"]
        && refused(&theirs) == refused(&own)
        && passed(&theirs) == passed(&own)
        && ordered(&own)
}

fn parse(text: &str) -> serde_json::Result<Value> {
    serde_json::from_str(text)
}

fn items(answer: &Value) -> Vec<Value> {
    answer["data"].as_array().cloned().unwrap_or_default()
}
