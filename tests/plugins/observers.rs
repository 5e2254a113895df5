//! Observers in the real daemon: the example hears of everything once, whatever is wrong
//! with an observer is its own matter, and the administrator is told of both.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::process::Command;
use wpk_api::Task;
use wpk_testkit::library::Library;
use wpk_testkit::manager::PATIENCE;
use wpk_testkit::process::Signal;
use wpk_testkit::{Manager, binary, wait_until};

use crate::common::{end, enroll, plugin, repository};
use crate::examples;

/// The example, with a trail in each of these files.
fn audit(files: &[&str]) -> String {
    let library = examples::observer_rust();
    let observers = files
        .iter()
        .map(|file| format!("[[observer]]\ntype = \"audit\"\npath = \"tmp/{file}\"\n"));
    format!(
        "[[plugin]]\npath = {library:?}\n{}",
        observers.collect::<String>()
    )
}

fn trail(manager: &Manager, file: &str) -> PathBuf {
    manager.home.path(format!("tmp/{file}"))
}

/// What a trail says of an agent: the statuses of its tasks, line by line.
fn statuses(trail: &Path, agent: &str) -> Vec<String> {
    let text = std::fs::read_to_string(trail).unwrap_or_default();
    let whole = text.lines().filter(|line| line.ends_with('}'));
    let lines = whole.map(|line| line.parse::<Value>().expect(line));
    lines
        .filter(|line| line["agent"] == agent)
        .map(|line| line["status"].as_str().unwrap().to_owned())
        .collect()
}

/// Waits until a trail's last word about an agent is this one; gives all of them.
async fn last(trail: &Path, agent: &str, status: &str) -> Vec<String> {
    let heard = wait_until(PATIENCE, async || {
        let heard = statuses(trail, agent);
        (heard.last().map(String::as_str) == Some(status)).then_some(heard)
    });
    let heard = heard.await;
    heard.unwrap_or_else(|| panic!("agent {agent}: {:?}", statuses(trail, agent)))
}

async fn logged(manager: &mut Manager, text: &str) {
    let daemon = manager.daemon().unwrap();
    let line = daemon.wait_for_line(text, PATIENCE).await;
    assert!(line.is_some(), "{text:?} is not in\n{}", manager.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_observer_hears_of_everything_once_and_in_order() {
    let (_repository, parameters) = repository().await;
    let settings = audit(&["one", "two"]);
    let mut manager = Manager::start(&settings).await.unwrap();
    enroll(&manager);
    manager.upgrade(&[1, 2], parameters.clone()).await;
    let [one, two] = ["one", "two"].map(|file| trail(&manager, file));
    for trail in [&one, &two] {
        for agent in ["001", "002"] {
            let heard = last(trail, agent, "Done").await;
            assert_eq!(heard[..2], ["Pending", "In progress"], "{heard:?}");
        }
    }
    // What was heard before the stop is not told again, what happened since is.
    assert!(manager.stop().await.unwrap().success());
    let before = ["001", "002"].map(|agent| statuses(&one, agent));
    manager.boot().await.unwrap();
    manager.upgrade(&[3], parameters).await;
    for trail in [&one, &two] {
        last(trail, "003", "Done").await;
        assert_eq!(["001", "002"].map(|agent| statuses(trail, agent)), before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_cannot_work_is_behind_alone_and_catches_up() {
    let (_repository, parameters) = repository().await;
    let mut manager = Manager::start(&audit(&["one", "two"])).await.unwrap();
    enroll(&manager);
    let [one, two] = ["one", "two"].map(|file| trail(&manager, file));
    std::fs::remove_file(&one).unwrap();
    std::fs::create_dir(&one).unwrap();
    manager.upgrade(&[1], parameters.clone()).await;
    assert_eq!(end(&manager, 1).await["status"], "Updated");
    last(&two, "001", "Done").await;
    logged(&mut manager, "an observer does not take changes").await;
    let output = manager.output();
    let told = output
        .lines()
        .any(|line| line.contains("tmp/one cannot be written") && line.contains("audit"));
    assert!(told, "{output}");
    std::fs::remove_dir(&one).unwrap();
    let heard = last(&one, "001", "Done").await;
    assert_eq!(heard, statuses(&two, "001"));
    logged(&mut manager, "takes changes again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_hangs_is_quarantined_and_hears_the_rest_after_a_restart() {
    let library = Library::builtins().unwrap();
    let (_repository, parameters) = repository().await;
    let settings = plugin(&library) + "[[observer]]\ntype = \"border-memory\"\n";
    let mut manager = Manager::prepare(&settings).await.unwrap();
    let hang = manager.home.path("hang");
    std::fs::write(&hang, "").unwrap();
    manager.boot().await.unwrap();
    enroll(&manager);
    manager.upgrade(&[1], parameters.clone()).await;
    assert_eq!(end(&manager, 1).await["status"], "Updated");
    logged(&mut manager, "`observe` was not completed").await;
    manager.upgrade(&[2], parameters).await;
    assert_eq!(end(&manager, 2).await["status"], "Updated");
    let observed = manager.home.path("observed.json");
    assert!(!observed.exists(), "it hangs");
    assert!(manager.stop().await.unwrap().success());

    std::fs::remove_file(&hang).unwrap();
    manager.boot().await.unwrap();
    let both = wait_until(PATIENCE, async || {
        let bytes = std::fs::read(&observed).ok()?;
        let tasks: BTreeMap<i64, Task> = serde_json::from_slice(&bytes).unwrap();
        let done = |task: &Task| task.status.as_str() == "Done";
        (tasks.len() == 2 && tasks.values().all(done)).then_some(())
    });
    assert!(both.await.is_some(), "{}", manager.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_observer_needs_a_restart_and_the_log_says_so() {
    let mut manager = Manager::start(&audit(&["one"])).await.unwrap();
    manager.configure(&audit(&["other"])).unwrap();
    let daemon = manager.daemon().unwrap();
    daemon.signal(Signal::HUP).unwrap();
    logged(&mut manager, "the settings were read again").await;
    let output = manager.output();
    let refused = output.lines().any(|line| {
        line.contains("key=\"observer.0.path\"")
            && line.contains("is not taken over")
            && line.contains("it needs a restart")
    });
    assert!(refused, "{output}");
    assert!(!trail(&manager, "other").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn check_and_doctor_tell_of_observers() {
    let said = async |settings: &str, command: &str| {
        let manager = Manager::prepare(settings).await.unwrap();
        let mut asked = Command::new(binary("wpkd").unwrap());
        asked.arg(command).arg("--config").arg(manager.config());
        let output = asked.output().await.unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let two = audit(&["one", "two"]);
    let printed = said(&two, "check").await;
    assert!(printed.contains("observers  audit, audit\n"), "{printed}");
    let printed = said("", "check").await;
    assert!(printed.contains("observers  none\n"), "{printed}");
    let printed = said(&two, "examine").await;
    for file in ["tmp/one is not there yet", "tmp/two is not there yet"] {
        assert!(printed.contains(file), "{printed}");
    }
    let twice = said(&audit(&["one", "one"]), "check").await;
    assert!(twice.contains("[[observer]] number 2: path: "), "{twice}");
    let cut = two.replace(
        "type = \"audit\"",
        "type = \"audit\"\nlongest_text = \"1B\"",
    );
    let printed = said(&cut, "check").await;
    for key in [
        "[[observer]] number 1: longest_text: ",
        "[[observer]] number 2: longest_text: ",
    ] {
        assert!(printed.contains(key), "{printed}");
    }
}
