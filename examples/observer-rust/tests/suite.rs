//! The suites for all observers and all settings on this one, and what is its own: the file.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use observer_rust::{AuditTrail, Settings, open};
use wpk_plugin::Value;
use wpk_plugin::api::examine::{Examine, Level};
use wpk_plugin::api::{
    AgentId, Change, Changed, Command, Factory, Resource, Revision, Status, Task, TaskId,
    TaskObserver,
};
use wpk_plugin::plugin;
use wpk_testkit::observer_suite::{self, Stand};
use wpk_testkit::suite::now;
use wpk_testkit::{Home, settings_suite};

/// The lines of a trail, each of them JSON.
fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "{text:?}");
    let lines = text.lines();
    lines.map(|line| line.parse().expect(line)).collect()
}

/// How tasks stand by the last line of each.
fn statuses(path: &Path) -> BTreeMap<TaskId, Status> {
    let mut statuses = BTreeMap::new();
    for line in lines(path) {
        let task = TaskId(line["task"].as_i64().unwrap());
        match line["what"].as_str().unwrap() {
            "deleted" => drop(statuses.remove(&task)),
            _ => {
                let status = Status::from_word(line["status"].as_str().unwrap());
                statuses.insert(task, status);
            }
        }
    }
    statuses
}

/// While it is broken a folder is in the place of the file.
fn break_it(path: &Path, breaks: bool) {
    let aside = path.with_extension("aside");
    if breaks {
        std::fs::rename(path, aside).unwrap();
        std::fs::create_dir(path).unwrap();
    } else {
        std::fs::remove_dir(path).unwrap();
        std::fs::rename(aside, path).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_does_what_every_observer_must() {
    observer_suite::run(async || {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let [opened, seen, broken]: [PathBuf; 3] = std::array::from_fn(|_| path.clone());
        Stand::new(move || {
            let trail = AuditTrail::open(opened.clone(), 1_024).unwrap();
            now(Arc::new(trail) as Arc<dyn TaskObserver>)
        })
        .look(move || statuses(&seen))
        .break_it(move |breaks| break_it(&broken, breaks))
        .keep(folder)
    })
    .await;
}

fn audit() -> impl Factory<dyn TaskObserver> {
    plugin("audit", open)
}

fn json(text: &str) -> Value {
    text.parse().unwrap()
}

#[test]
fn its_settings_are_read_as_all_settings_are() {
    settings_suite::run(&audit(), &json("{}"));
    let all = json(r#"{"path": "a.jsonl", "longest_text": "64KiB"}"#);
    settings_suite::run(&audit(), &all);
    for (settings, key) in [
        (r#"{"path": ""}"#, "path"),
        (r#"{"path": 5}"#, "path"),
        (r#"{"longest_text": "63B"}"#, "longest_text"),
        (r#"{"longest_text": "65KiB"}"#, "longest_text"),
    ] {
        let problems = audit().check(&json(settings));
        let keys: Vec<&str> = problems.iter().map(|problem| &*problem.key).collect();
        assert_eq!(keys, [key], "{settings}");
    }
    let home = Home::new().unwrap();
    let demands = audit().demands(&json("{}"), &home.context());
    let file = home.root().join(Settings::path());
    assert_eq!(demands.occupies[0].what, Resource::Path(file));
}

fn failed(error_msg: &str) -> Change {
    Change {
        revision: Revision(7),
        changed: Changed::Task(Task {
            id: TaskId(12),
            agent: AgentId::new(5).unwrap(),
            node: "node01".to_owned(),
            module: "upgrade_module".to_owned(),
            command: Command::Upgrade,
            created: 1_700_000_000,
            updated: Some(1_700_000_060),
            status: Status::Failed,
            error_msg: Some(error_msg.to_owned()),
            confirmation: None,
        }),
        was: None,
    }
}

#[tokio::test]
async fn a_line_says_what_happened_and_is_no_longer_than_it_may_be() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let trail = AuditTrail::open(path.clone(), 64).unwrap();
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    trail.observe(&[failed("no space left")]).await.unwrap();
    let mut line = lines(&path).pop().unwrap();
    let written = line.as_object_mut().unwrap().remove("written").unwrap();
    assert!(written.as_u64().unwrap() > 1_700_000_000, "{written}");
    let expected = r#"{"revision": 7, "what": "changed", "task": 12, "agent": "005",
        "status": "Failed", "command": "upgrade", "node": "node01",
        "module": "upgrade_module", "created": 1700000000, "updated": 1700000060,
        "error": "no space left"}"#;
    assert_eq!(line, json(expected));

    trail
        .observe(&[failed(&"\u{1b}\"x\n".repeat(10_000))])
        .await
        .unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let last = text.lines().next_back().unwrap();
    assert!(last.len() < 500, "{} bytes", last.len());
    assert!(!last.contains('\u{1b}'), "{last}");
}

#[tokio::test]
async fn what_a_crash_left_of_a_line_spoils_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    std::fs::write(&path, "{\"written\": 17").unwrap();
    let trail = AuditTrail::open(path.clone(), 64).unwrap();
    trail.observe(&[failed("a")]).await.unwrap();
    trail.observe(&[failed("b")]).await.unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("{\"written\": 17"));
    let errors = lines.map(|line| json(line)["error"].as_str().unwrap().to_owned());
    assert!(errors.eq(["a", "b"]), "{text}");
}

#[tokio::test]
async fn whoever_moves_the_file_away_finds_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let trail = AuditTrail::open(path.clone(), 64).unwrap();
    trail.observe(&[failed("a")]).await.unwrap();
    let old = folder.path().join("audit.jsonl.1");
    std::fs::rename(&path, &old).unwrap();
    trail.observe(&[failed("b")]).await.unwrap();
    assert_eq!(lines(&old)[0]["error"], "a");
    assert_eq!(lines(&path)[0]["error"], "b");
}

#[tokio::test]
async fn a_place_that_is_none_is_found_before_the_start_and_at_it() {
    let home = Home::new().unwrap();
    let (factory, context, asked) = (audit(), home.context(), Examine::default());
    let look = async |settings: &str| {
        let settings = json(settings);
        let checks = factory.examine(&settings, &context, &asked).await;
        checks.into_iter().next().unwrap()
    };
    assert_eq!(look(r#"{"path": "a.jsonl"}"#).await.level, Level::Ok);
    assert!(!home.root().join("a.jsonl").exists(), "it was looked at");
    let missing = r#"{"path": "none/a.jsonl"}"#;
    let check = look(missing).await;
    assert_eq!(check.level, Level::Failure, "{check}");
    assert!(check.advice.contains("none"), "{check}");
    let error = factory.build(&json(missing), &context).err();
    let error = error.unwrap().to_string();
    assert!(error.contains("none/a.jsonl"), "{error}");
}
