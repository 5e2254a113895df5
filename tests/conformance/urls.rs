//! `repository_urls.jsonl`: every address asked of the repository for every
//! platform, architecture and rule of versions, and where the file is put. All
//! hosts are reached through a proxy of the test.

use serde_json::{Value, json};
use wpk_testkit::repository::sha1_hex;

use crate::case::{self, Case};
use crate::differences;
use crate::proxy::Web;
use crate::report::{Mismatch, Tally, differs};
use crate::stand::Stand;

const MANAGER: &str = "v4.14.9";

/// Replays all cases: one daemon for each configured repository.
pub async fn replay() -> Tally {
    let mut tally = Tally::new("repository_urls.jsonl", differences::URLS);
    let cases = case::load("repository_urls.jsonl");
    let mut configured: Vec<Option<&str>> = Vec::new();
    for case in &cases {
        let repository = case.text("configured_repository");
        if !configured.contains(&repository) {
            configured.push(repository);
        }
    }
    for repository in configured {
        let web = Web::start().await;
        let stand = start(&web, repository).await;
        let of_this = |case: &&Case| case.text("configured_repository") == repository;
        for (number, case) in cases.iter().filter(of_this).enumerate() {
            let mismatches = run(&stand, &web, case, number).await;
            tally.judge(&name(case), mismatches);
        }
    }
    tally
}

async fn start(web: &Web, repository: Option<&str>) -> Stand {
    let url = repository.map_or_else(String::new, |url| format!("url = {url:?}\n"));
    let ca = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ca.path(), &web.ca).unwrap();
    Stand::start(&format!(
        "dialect = \"wazuh-4\"\n[[provider]]\ntype = \"repository\"\n{url}attempts = 1\n\
         proxy = \"http://{}\"\nca_file = {:?}\n",
        web.address,
        ca.path()
    ))
    .await
}

/// The recording has no names: what kind, which agent, what was asked.
fn name(case: &Case) -> String {
    let (agent, params) = (&case.0["agent"], &case.0["params"]);
    let word = |value: &Value| match value.as_str() {
        None => "-".to_owned(),
        Some(text) if text.len() <= 40 => text.to_owned(),
        Some(text) => {
            let scheme = if params["use_http"] == true {
                "http"
            } else {
                "https"
            };
            format!("{}...({} characters) over {scheme}", &text[..8], text.len())
        }
    };
    let system = ["platform", "major", "minor", "arch"].map(|key| word(&agent[key]));
    let asked = ["version", "package_type", "wpk_repo"].map(|key| word(&params[key]));
    format!(
        "{}/{}/{}/{}",
        case.text("case").unwrap(),
        system.join(" "),
        asked.join(" "),
        word(&case.0["configured_repository"])
    )
}

async fn run(stand: &Stand, web: &Web, case: &Case, number: usize) -> Vec<Mismatch> {
    let (agent, params) = (&case.0["agent"], &case.0["params"]);
    let mut row = agent.clone();
    row["id"] = json!(1);
    stand.set_up(&json!({"agents": [row], "remoted_rules": "* upgrade @noack\n"}));
    // Another file each time, so that none is taken from the cache.
    let wpk = format!("{number} {}", name(case)).into_bytes();
    let version = params["version"].as_str().unwrap_or(MANAGER);
    let version = format!("v{}", version.trim_start_matches('v'));
    {
        let mut content = web.content.lock().unwrap();
        content.versions = format!("{version} {}\n", sha1_hex(&wpk));
        content.wpk = wpk;
    }
    let asked = web.asked();
    let mut parameters = params.clone();
    parameters["agents"] = json!([1]);
    let request = json!({"command": "upgrade", "parameters": parameters}).to_string();
    let answers = stand
        .send("upgrade", &case::frame(request.as_bytes()), false)
        .await
        .unwrap();
    let answer: Value = serde_json::from_slice(&answers[0]).unwrap();
    let mut expected = case.0["request_result"].clone();
    // The recorded manager went on counting.
    expected["task_id"] = json!(1);
    let mut mismatches = Vec::new();
    mismatches.extend(differs(
        "answer",
        expected.to_string(),
        answer["data"][0].to_string(),
    ));
    stand.settle(&[1]).await;
    let task = ended(stand, &case.0["task_after"]).await;
    let verdict = |task: &Value| format!("{} {}", task["STATUS"], task["ERROR_MESSAGE"]);
    mismatches.extend(differs(
        "task",
        verdict(&case.0["task_after"]),
        verdict(&task),
    ));
    let urls = ["versions_url", "wpk_url"].map(|key| case.text(key));
    let urls: Vec<&str> = urls.into_iter().flatten().collect();
    mismatches.extend(differs(
        "urls",
        urls.join(" "),
        web.urls_since(asked).join(" "),
    ));
    if let Some(local) = case.text("wpk_local") {
        let there = stand.manager.home.path(local).is_file();
        mismatches.extend(differs("file", local, if there { local } else { "none" }));
    }
    mismatches
}

/// The task once it is as expected, or after a while as it is.
async fn ended(stand: &Stand, expected: &Value) -> Value {
    let task = || stand.tasks().pop().unwrap_or_default();
    wpk_testkit::wait_until(crate::requests::LAST_MOVE, async || {
        let task = task();
        let same = |key: &str| task[key] == expected[key];
        (same("STATUS") && same("ERROR_MESSAGE")).then_some(())
    })
    .await;
    task()
}
