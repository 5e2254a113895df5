//! The generated bash script, sourced and asked as a shell does.

use std::path::Path;
use std::process::Command;

use crate::common::*;
use crate::stage::*;

/// What bash proposes behind these words, the last of which is being typed.
fn proposed(dir: &Path, words: &[&str]) -> Vec<String> {
    let script = share(dir).join("bash-completion/completions/wpkctl");
    let ask = "source \"$1\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _wpkctl \"${COMP_WORDS[0]}\" \
               \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD-1]}\"; \
               printf '%s\\n' \"${COMPREPLY[@]}\"";
    let output = Command::new("bash")
        .args(["-c", ask, "bash"])
        .envs(PATIENT)
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
    let manager = manager(dir.path(), true);
    let socket = manager.socket.to_str().unwrap();
    let after = |words: &[&str]| proposed(dir.path(), &[&["--socket", socket], words].concat());
    assert_eq!(after(&["upgrade", "we"]), ["web01", "web02"]);
    assert_eq!(after(&["upgrade", "--watch", "7,db"]), ["7,db-1"]);
    // Of two that share a name the second is called by its id, as who has no good name.
    assert_eq!(
        after(&["upgrade", ""]),
        ["web01", "web02", "003", "004", "db-1"]
    );
    // What can be upgraded to lies in a repository.
    assert_eq!(after(&["upgrade", "-v", "v4"]), ["v4.15.0", "v4.14.1"]);
    assert_eq!(
        after(&["release", "deny", "v4"]),
        ["v4.14.1", "v4.9.2", "v4.15.0"]
    );
    assert_eq!(after(&["release", "allow", "v"]), ["v4.14.1"]);
    // What the manager does not know is completed as before.
    assert!(after(&["upg"]).contains(&"upgrade".to_owned()));
    assert!(after(&["upgrade", "--dry"]).contains(&"--dry-run".to_owned()));
}

#[test]
fn a_manager_that_does_not_list_its_repository_names_the_releases_it_knows() {
    let dir = tempfile::tempdir().unwrap();
    let manager = manager(dir.path(), false);
    let words = ["--socket", manager.socket.to_str().unwrap()];
    let after = |more: &[&str]| proposed(dir.path(), &[&words[..], more].concat());
    assert_eq!(after(&["upgrade", "-v", "v4"]), ["v4.14.1", "v4.9.2"]);
    assert_eq!(after(&["release", "deny", "v4"]), ["v4.14.1", "v4.9.2"]);
}

#[test]
fn what_can_be_watched_are_agents_and_rollouts() {
    let dir = tempfile::tempdir().unwrap();
    let manager = manager(dir.path(), true);
    let words = ["--socket", manager.socket.to_str().unwrap(), "watch"];
    let after = |more: &[&str]| proposed(dir.path(), &[&words[..], more].concat());
    assert_eq!(after(&["we"]), ["weekly", "web01", "web02"]);
    assert_eq!(after(&["7,db"]), ["7,db-1"]);
    assert_eq!(after(&["--rollout", "w"]), ["weekly"]);
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
