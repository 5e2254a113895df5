//! `dialect = "documented"`: the recorded requests again, and what is recorded
//! turned into what the documentation asks for where PROTOCOL.md marks a row
//! **doc**. Whatever it does not mark must stay as it is.
//!
//! Left out are cases that stand in the table of differences (the dialect
//! changes nothing in them), those of raw bytes, and those of parts that are
//! missing.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::case::{self, Case};
use crate::differences;
use crate::proxy::Web;
use crate::report::{Mismatch, Tally, differs};
use crate::requests::{same_but_for_order, table};
use crate::stand::Stand;

/// Whose request it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// None, as recorded.
    Absent,
    /// Of the API, which is asked for.
    Api,
    /// Of another module.
    Other,
}

const MISSING: &str = "{\"error\":2,\"data\":[{\"error\":2,\"message\":\"Required parameters in json \
    message where not found\"}],\"message\":\"Required parameters in json message where not found\"}";
const NOT_API: &str = "{\"error\":3,\"data\":[{\"error\":3,\"message\":\"Parameter \\\"module\\\" \
    should be \\\"api\\\"\"}],\"message\":\"JSON parameter not recognized\"}";
const UNKNOWN_COMMAND: &str = "{\"error\":3,\"data\":[{\"error\":3,\"message\":\"JSON parameter not \
    recognized\"}],\"message\":\"JSON parameter not recognized\"}";

/// The texts of section 3 that differ.
const TEXTS: [(&str, &str); 3] = [
    (
        "Task cancelled since the manager was restarted",
        "Cancelled",
    ),
    (
        "Timeout reached while waiting for the response from the agent, check the result manually \
         on the agent for more information",
        "Timeout",
    ),
    (
        "Legacy upgrade: check the result manually since the agent cannot report the result of \
         the task",
        "Legacy",
    ),
];

/// Every repository lists the manager's own version first, so that the target
/// of a request that names none is the same under both dialects. No WPK is what
/// its list says, so nothing is delivered.
async fn stand(web: &Web) -> Stand {
    web.content.lock().unwrap().versions = format!("v4.14.9 {}\n", "0".repeat(40));
    let ca = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ca.path(), &web.ca).unwrap();
    Stand::start(&format!(
        "dialect = \"documented\"\n[[provider]]\ntype = \"repository\"\nattempts = 1\n\
         proxy = \"http://{}\"\nca_file = {:?}\n[[provider]]\ntype = \"local-file\"\n",
        web.address,
        ca.path()
    ))
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_documented_dialect_differs_only_where_it_says() {
    let fits = |case: &Case| {
        let listed = differences::REQUESTS
            .iter()
            .any(|known| known.covers(case.name()));
        let raw = case.text("request_raw_hex").is_some();
        !listed && !raw && !case.name().starts_with("infra/")
    };
    let cases: Vec<Case> = case::load("requests.jsonl")
        .into_iter()
        .filter(fits)
        .collect();
    let shards = cases.chunks(cases.len().div_ceil(crate::DAEMONS));
    let shards = shards.map(|cases| tokio::spawn(replay(cases.to_vec())));
    let shards: Vec<_> = shards.collect();
    let mut tally = Tally::new("requests.jsonl", &[]);
    for shard in shards {
        tally.add(shard.await.unwrap());
    }
    let wrong = tally.faults();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tally.accounted() > 2_000, "only {}", tally.accounted());
    // The transformation was needed, and not everywhere.
    for (rule, count) in RULES.iter().zip(&USED) {
        assert!(count.load(Ordering::Relaxed) > 0, "no case for: {rule}");
    }
}

async fn replay(cases: Vec<Case>) -> Tally {
    let mut tally = Tally::new("requests.jsonl", &[]);
    let web = Web::start().await;
    let stand = stand(&web).await;
    for case in cases {
        let origins: &[Origin] = match case.text("socket") {
            Some("upgrade") => &[Origin::Absent, Origin::Api, Origin::Other],
            _ => &[Origin::Absent],
        };
        for origin in origins {
            let Some(payload) = request(&case, *origin) else {
                continue;
            };
            let mismatches = run(&stand, &case, *origin, &payload).await;
            tally.judge(&format!("{} ({origin:?})", case.name()), mismatches);
        }
    }
    tally
}

/// The request with that origin; `None` where it cannot have one.
fn request(case: &Case, origin: Origin) -> Option<Vec<u8>> {
    let payload = case.payload()?;
    let module = match origin {
        Origin::Absent => return Some(payload),
        Origin::Api => "api",
        Origin::Other => "cli",
    };
    // Only an object with members; everything else of it stays as it is.
    if !payload.starts_with(b"{\"") {
        return None;
    }
    let mut text = format!("{{\"origin\":{{\"module\":\"{module}\"}},").into_bytes();
    text.extend_from_slice(&payload[1..]);
    Some(text)
}

async fn run(stand: &Stand, case: &Case, origin: Origin, payload: &[u8]) -> Vec<Mismatch> {
    stand.set_up(case.setup());
    stand
        .manager
        .remoted
        .set_rules("* upgrade @noack\n")
        .unwrap();
    let socket = case.text("socket").unwrap();
    let answers = stand
        .send(socket, &case::frame(payload), false)
        .await
        .unwrap();
    let answer = answers.first().map_or("closed".to_owned(), |answer| {
        String::from_utf8_lossy(answer).into_owned()
    });
    let expected = expected(case, origin);
    let mut mismatches = Vec::new();
    let same = match expected.strip_suffix("...") {
        Some(start) => answer.starts_with(start),
        None => same_but_for_order(&expected, &answer),
    };
    if !same {
        mismatches.extend(differs("answer", expected.clone(), answer));
    }
    let creates = expected.contains("\"task_id\"") && socket == "upgrade";
    let untouched = expected == MISSING || expected == NOT_API;
    if creates || untouched {
        // What is created here meets another repository than there.
        let agents: Vec<i64> = (stand.tasks().iter())
            .filter_map(|task| task["AGENT_ID"].as_i64())
            .collect();
        stand.settle(&agents).await;
    } else {
        mismatches.extend(table(stand, case, "tasks_after").await);
    }
    mismatches
}

const RULES: [&str; 4] = [
    "an origin that is absent",
    "an origin of another module",
    "a file_path that is absent",
    "a text or a time",
];
static USED: [AtomicUsize; 4] = [const { AtomicUsize::new(0) }; 4];

fn used(rule: usize) {
    USED[rule].fetch_add(1, Ordering::Relaxed);
}

/// What is recorded, by the rules of PROTOCOL.md's **doc** column.
fn expected(case: &Case, origin: Origin) -> String {
    let recorded = case.text("response").unwrap_or("closed");
    if case.text("socket") == Some("upgrade") {
        let whole: Value = serde_json::from_str(recorded).unwrap_or_default();
        // Refusals that come before anybody looks at the origin.
        if matches!(whole["error"].as_u64(), Some(1 | 2)) || recorded == UNKNOWN_COMMAND {
            return recorded.to_owned();
        }
        let payload = case.payload().unwrap_or_default();
        let request = wpk_wire::json::parse(&payload).unwrap_or_default();
        if request["command"] != "upgrade_update_status" {
            match origin {
                Origin::Absent => {
                    used(0);
                    return MISSING.to_owned();
                }
                Origin::Other => {
                    used(1);
                    return NOT_API.to_owned();
                }
                Origin::Api => {}
            }
        }
        let parameters = &request["parameters"];
        if request["command"] == "upgrade_custom" && parameters.get("file_path").is_none() {
            used(2);
            return MISSING.to_owned();
        }
    }
    let documented = documented_texts(recorded);
    if documented != recorded {
        used(3);
    }
    documented
}

/// Texts of statuses, and the time of an update that there was not.
fn documented_texts(recorded: &str) -> String {
    let mut text = recorded.to_owned();
    for (theirs, documented) in TEXTS {
        text = text.replace(
            &format!("\"status\":\"{theirs}\""),
            &format!("\"status\":\"{documented}\""),
        );
    }
    // A time of creation that ends its item.
    const KEY: &str = "\"create_time\":\"";
    const TIME: usize = "2023/11/14 22:13:20\"".len();
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find(KEY) {
        let end = at + KEY.len() + TIME;
        let (item, after) = rest.split_at(end);
        out += item;
        if after.starts_with('}') {
            out += ",\"update_time\":\"0\"";
        }
        rest = after;
    }
    out + rest
}
