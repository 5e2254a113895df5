//! The commands by which an administrator sees how it is: `check`, `doctor`, `status`,
//! `--version`, and what the packages are made of.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use common::{DEADLINE, home, start, start_in};
use serde_json::Value;
use wpk_testkit::process::Signal;
use wpk_testkit::wait_until;

const LISTEN: &str = "[listen]\n";

/// Runs a command of the program in this home, with settings that are there already.
async fn run(home: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = tokio::process::Command::new(env!("CARGO_BIN_EXE_wpk-agent"))
        .arg("--config")
        .arg(home.join("etc/agent.toml"))
        .arg("--home")
        .arg(home)
        .args(arguments)
        .output()
        .await
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout) + &text(stderr))
}

#[tokio::test]
async fn status_tells_what_runs_and_what_does_not() {
    let mut agent = start(LISTEN).await;
    let home = agent.home.path().to_owned();
    let (code, said) = run(&home, &["status"]).await;
    assert_eq!(code, Some(0), "{said}");
    let version = format!("wpk-agent {} runs since", env!("CARGO_PKG_VERSION"));
    for part in [
        version.as_str(),
        "manager: none",
        "queue/sockets/upgrade",
        "upgrade: none runs",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let (_, json) = run(&home, &["status", "--json"]).await;
    let told: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(told["running"].as_u64(), agent.process.id().map(u64::from));
    assert_eq!(told["told"]["ready"], Value::Bool(true));

    // Wrong settings by now do not hide that it runs.
    fs::write(home.join("etc/agent.toml"), "[listen]\nmoon = 1\n").unwrap();
    assert_eq!(run(&home, &["status"]).await.0, Some(0));

    // A result waits, of a task.
    fs::write(home.join("var/upgrade/.upgrade_task"), "7\n").unwrap();
    fs::write(home.join("var/upgrade/upgrade_result"), "2\n").unwrap();
    let (_, said) = run(&home, &["status"]).await;
    assert!(said.contains("the result of task 7 waits"), "{said}");

    // Killed, it left its words behind; they are not taken for its life.
    agent.process.signal(Signal::KILL).unwrap();
    agent.process.wait(DEADLINE).await.unwrap();
    let (code, said) = run(&home, &["status"]).await;
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("not running"), "{said}");
    assert!(said.contains("the last one was wpk-agent"), "{said}");
}

#[tokio::test]
async fn an_agent_that_cannot_tell_is_still_seen_to_run() {
    let agent = start(LISTEN).await;
    let home = agent.home.path();
    fs::remove_file(home.join("var/run/wpk-agent.state")).unwrap();
    let (code, said) = run(home, &["status"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("has told nothing more"), "{said}");
}

#[tokio::test]
async fn status_does_not_take_the_lock_that_a_start_needs() {
    let home = home();
    fs::write(home.path().join("etc/agent.toml"), LISTEN).unwrap();
    fs::create_dir_all(home.path().join("var/run")).unwrap();
    let lock = fs::File::create(home.path().join("var/run/wpk-agent.lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let (code, said) = run(home.path(), &["status"]).await;
    assert_eq!(code, Some(0), "{said}");
    drop(lock);
    assert_eq!(run(home.path(), &["status"]).await.0, Some(3));
    start_in(home, LISTEN).await;
}

#[tokio::test]
async fn check_tells_rights_that_are_too_wide() {
    let home = home();
    let config = home.path().join("etc/agent.toml");
    fs::write(&config, LISTEN).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    let (code, said) = run(home.path(), &["check"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(
        !said.contains("agent.toml may be written by others"),
        "{said}"
    );
    fs::set_permissions(&config, fs::Permissions::from_mode(0o666)).unwrap();
    let (code, said) = run(home.path(), &["check"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("agent.toml may be written by others (mode 666)"),
        "{said}"
    );
    let mode = fs::metadata(&config).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o666, "a check changes nothing");
}

/// A certificate from `begin` to `end`, in days from now, with its key and CA.
fn identity(home: &Path, begin: i64, end: i64) {
    use std::time::{Duration, SystemTime};
    let day = |days: i64| {
        let span = Duration::from_secs(days.unsigned_abs() * 86_400);
        let now = SystemTime::now();
        if days < 0 { now - span } else { now + span }
    };
    let mut params = rcgen::CertificateParams::new(vec!["agent".to_owned()]).unwrap();
    params.not_before = day(begin).into();
    params.not_after = day(end).into();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let folder = home.join("etc/channel");
    fs::create_dir_all(&folder).unwrap();
    for name in ["ca.pem", "agent.pem"] {
        fs::write(folder.join(name), certificate.pem()).unwrap();
    }
    let path = folder.join("agent.key");
    fs::write(&path, key.serialize_pem()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test]
async fn check_and_doctor_tell_of_an_identity_that_is_missing_or_over() {
    let home = home();
    let config = home.path().join("etc/agent.toml");
    // Port 1 of this machine: nobody is there.
    fs::write(&config, "[channel]\naddress = \"127.0.0.1:1\"\n").unwrap();
    let (code, said) = run(home.path(), &["check"]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("channel.certificate"), "{said}");

    identity(home.path(), -90, -3);
    let (code, said) = run(home.path(), &["check"]).await;
    assert_eq!(code, Some(0), "it may renew itself: {said}");
    assert!(said.contains("expired 3 days ago"), "{said}");

    identity(home.path(), -70, 20);
    let (code, said) = run(home.path(), &["check"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("is good for another"), "{said}");
    let (code, said) = run(home.path(), &["doctor"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("warning  certificate:"), "{said}");
    assert!(said.contains("failure  manager: 127.0.0.1:1:"), "{said}");
    assert!(said.contains("warning  agent: not running"), "{said}");
}

#[tokio::test]
async fn doctor_looks_at_a_home_that_is_well_and_at_one_that_is_not() {
    let agent = start(LISTEN).await;
    let home = agent.home.path();
    let (code, said) = run(home, &["doctor"]).await;
    assert_eq!(code, Some(0), "{said}");
    for line in ["ok       agent: runs", "ok       leftovers: none", "disk:"] {
        assert!(said.contains(line), "{line}: {said}");
    }
    fs::write(home.join("var/incoming/a.wpk"), "x").unwrap();
    fs::write(home.join("var/upgrade/upgrade_result"), "0\n").unwrap();
    fs::create_dir_all(home.join("var/installer")).unwrap();
    fs::write(home.join("var/installer/journal"), "").unwrap();
    let (code, said) = run(home, &["doctor"]).await;
    assert_eq!(code, Some(0), "{said}");
    for line in [
        "warning  upgrade: the result waits",
        "leftovers: 1 files",
        "warning  unfinished:",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    fs::write(home.join("etc/agent.toml"), "[listen]\nmoon = 1\nsun = 1\n").unwrap();
    let (code, said) = run(home, &["doctor", "--json"]).await;
    assert_eq!(code, Some(1), "{said}");
    let lines: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |name: &str| lines.iter().filter(|line| line["name"] == name).count();
    assert_eq!((of("settings"), of("agent")), (2, 1), "{said}");
    assert_eq!(lines.last().unwrap()["event"], "end");
}

#[tokio::test]
async fn the_version_and_what_packages_need_are_there() {
    let home = home();
    let (code, said) = run(home.path(), &["--version"]).await;
    assert_eq!(code, Some(0));
    assert_eq!(said, concat!("wpk-agent ", env!("CARGO_PKG_VERSION"), "\n"));
    let out = home.path().join("share");
    let (code, said) = run(home.path(), &["generate", "--out", out.to_str().unwrap()]).await;
    assert_eq!(code, Some(0), "{said}");
    for (file, part) in [
        ("man/man1/wpk-agent.1", "doctor"),
        ("man/man5/wpk-agent.toml.5", "execution_timeout"),
        ("bash-completion/completions/wpk-agent", "status"),
        ("zsh/site-functions/_wpk-agent", "status"),
        ("fish/vendor_completions.d/wpk-agent.fish", "status"),
    ] {
        let text = fs::read_to_string(out.join(file)).unwrap();
        assert!(text.contains(part), "{file}");
        let hidden = text.contains("run-installer");
        assert!(!hidden || !file.starts_with("man"), "{file}");
    }
}

#[tokio::test]
async fn a_lost_manager_is_told_with_the_reason() {
    let home = home();
    identity(home.path(), -1, 80);
    let settings = "[channel]\naddress = \"127.0.0.1:1\"\n";
    let agent = start_in(home, settings).await;
    let home = agent.home.path();
    let told = wait_until(DEADLINE, async || {
        let (_, said) = run(home, &["status"]).await;
        said.contains("not connected to 127.0.0.1:1 since")
            .then_some(said)
    })
    .await;
    let told = told.expect("the reason is told");
    assert!(told.contains("refused"), "{told}");
}
