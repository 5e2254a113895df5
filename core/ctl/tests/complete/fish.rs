//! The generated fish script: fish is asked what it would propose.

use std::path::Path;
use std::process::Command;

use wpk_testkit::skipped::leave_out;

use crate::common::*;
use crate::stage::*;

/// What fish proposes for this line, without what it says of each; `None` without fish.
fn proposed(dir: &Path, line: &str) -> Option<Vec<String>> {
    let script = share(dir).join("fish/vendor_completions.d/wpkctl.fish");
    let programs = Path::new(env!("CARGO_BIN_EXE_wpkctl")).parent().unwrap();
    let asked = Command::new("fish")
        .args(["--no-config", "-c", "source $argv[1]; complete -C $argv[2]"])
        .arg(&script)
        .arg(line)
        .env_clear()
        .env("HOME", dir)
        .envs(PATIENT)
        .env("PATH", format!("{}:/usr/bin:/bin", programs.display()))
        .output();
    let output = match asked {
        Ok(output) => output,
        Err(_) => {
            leave_out("fish is not installed (apt-get install fish)");
            return None;
        }
    };
    let run = Run::of(output).ended(0);
    assert_eq!(run.err, "");
    let word = |line: &str| line.split('\t').next().unwrap().to_owned();
    Some(run.out.lines().map(word).collect())
}

#[test]
fn fish_proposes_what_the_manager_knows_and_what_the_tool_takes() {
    let dir = tempfile::tempdir().unwrap();
    let manager = manager(dir.path(), true);
    let socket = manager.socket.to_str().unwrap();
    for (line, words) in [
        ("upgrade we", &["web01", "web02"][..]),
        ("upgrade --watch 7,db", &["7,db-1"]),
        ("upgrade --version v4", &["v4.14.1", "v4.15.0"]),
        ("watch we", &["web01", "web02", "weekly"]),
        ("upgrade --dry", &["--dry-run"]),
    ] {
        let line = format!("wpkctl --socket {socket} {line}");
        let Some(mut found) = proposed(dir.path(), &line) else {
            return;
        };
        found.sort();
        assert_eq!(found, words, "{line}");
    }
}
