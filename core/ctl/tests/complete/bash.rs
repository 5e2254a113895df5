//! Completions that the manager knows: the generated bash script, sourced and asked as a
//! shell does, against a manager on a real socket.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::path::Path;
use std::process::Command;

use common::*;
use serde_json::json;

/// Agents of which two share a name, and one has a name that is not to reach a shell.
fn manager(dir: &Path) -> Manager {
    let name = |id: i64, name: &str| {
        let mut agent = listed(id, "v4.14.0");
        agent["name"] = name.into();
        agent
    };
    let fleet = vec![
        name(0, "manager"),
        name(1, "web01"),
        name(2, "web02"),
        name(3, "web02"),
        name(4, "$(reboot)"),
        name(5, "db-1"),
    ];
    Manager::start(&dir.join("s"), move |request| {
        match request["command"].as_str().unwrap() {
            "agent_list" => {
                let after = request["parameters"]["after"].as_i64();
                answer(if after.is_some() {
                    vec![]
                } else {
                    fleet.clone()
                })
            }
            "release_list" => answer(
                ["v4.9.2", "v4.14.1"]
                    .map(|version| json!({"error": 0, "message": "Success", "version": version}))
                    .to_vec(),
            ),
            _ => refusal(3, "JSON parameter not recognized"),
        }
    })
}

/// What bash proposes behind these words, the last of which is being typed.
fn proposed(dir: &Path, words: &[&str]) -> Vec<String> {
    let share = dir.join("share");
    run(&["generate", "--out", share.to_str().unwrap()]).ended(0);
    let script = share.join("bash-completion/completions/wpkctl");
    let ask = "source \"$1\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _wpkctl \"${COMP_WORDS[0]}\" \
               \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD-1]}\"; \
               printf '%s\\n' \"${COMPREPLY[@]}\"";
    let output = Command::new("bash")
        .args(["-c", ask, "bash"])
        .arg(script)
        .arg(env!("CARGO_BIN_EXE_wpkctl"))
        .args(words)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn names_and_versions_come_from_the_manager() {
    let dir = tempfile::tempdir().unwrap();
    let manager = manager(dir.path());
    let socket = manager.socket.to_str().unwrap();
    let after = |words: &[&str]| proposed(dir.path(), &[&["--socket", socket], words].concat());
    assert_eq!(after(&["upgrade", "we"]), ["web01", "web02"]);
    assert_eq!(after(&["upgrade", "--watch", "7,db"]), ["7,db-1"]);
    // Of two that share a name the second is called by its id, as who has no good name.
    assert_eq!(
        after(&["upgrade", ""]),
        ["web01", "web02", "003", "004", "db-1"]
    );
    assert_eq!(after(&["upgrade", "-v", "v4"]), ["v4.14.1", "v4.9.2"]);
    // What the manager does not know is completed as before.
    assert!(after(&["upg"]).contains(&"upgrade".to_owned()));
    assert!(after(&["upgrade", "--dry"]).contains(&"--dry-run".to_owned()));
}

#[test]
fn a_manager_that_is_away_or_silent_is_waited_for_one_second() {
    let dir = tempfile::tempdir().unwrap();
    let away = dir.path().join("away");
    let arguments = [
        "complete",
        "--",
        "--socket",
        away.to_str().unwrap(),
        "upgrade",
        "we",
    ];
    let run_away = run(&arguments).ended(0);
    assert_eq!((&*run_away.out, &*run_away.err), ("", ""));
    // Answered never: the listener is there, and nobody takes what comes.
    let silent = dir.path().join("silent");
    let _listener = std::os::unix::net::UnixListener::bind(&silent).unwrap();
    let begun = std::time::Instant::now();
    let arguments = [
        "complete",
        "--",
        "--socket",
        silent.to_str().unwrap(),
        "upgrade",
        "we",
    ];
    let run_silent = run(&arguments).ended(0);
    assert_eq!((&*run_silent.out, &*run_silent.err), ("", ""));
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}
