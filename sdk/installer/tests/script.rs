//! The shell helper: the same contract, the same journal, killed at each step.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::fs;
use std::process::{Command, Output, Stdio};

use common::{Home, new, old};
use rustix::fs::{FlockOperation, flock};
use wpk_testkit::write_executable;

const SCRIPT: &str = r#"#!/bin/sh
. "$(dirname "$0")/wpk-installer.sh"
steps=0
wpk_step() {
    steps=$((steps + 1))
    [ "$steps" != "${KILL_AT-}" ] || kill -9 $$
}
wpk_begin "$@"
wpk_require sh
[ -z "${REQUIRE-}" ] || wpk_require "$REQUIRE"
wpk_put bin/sensor sensor
wpk_put share/rules.dat rules.dat 600
wpk_put new/er/added added 710
wpk_remove share/gone
wpk_remove share/never-there
wpk_stop 10 sh -c 'echo stop >> calls'
wpk_start 10 sh -c 'echo start >> calls'
wpk_health 10 grep -qx 'new sensor' bin/sensor
wpk_health "${LIMIT:-10}" ${HEALTH:-true}
wpk_end
"#;

fn home() -> Home {
    let home = Home::new();
    let helper = concat!(env!("CARGO_MANIFEST_DIR"), "/sh/wpk-installer.sh");
    fs::copy(helper, home.path("var/upgrade/wpk-installer.sh")).unwrap();
    let script = home.path("var/upgrade/upgrade.sh");
    write_executable(&script, SCRIPT.as_bytes(), 0o750).unwrap();
    home
}

/// Runs it like an agent, and waits for the end of the one in the background.
fn run(home: &Home, program: &str, settings: &[(&str, &str)]) -> Output {
    let mut command = Command::new(home.path(program));
    command
        .current_dir(home.root())
        .stdin(Stdio::null())
        .envs(settings.iter().copied());
    let output = command.output().unwrap();
    let lock = fs::File::open(home.path("var/installer/lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    // Not only closed: a process that another test is just starting has a copy
    // of the file until it runs its program, and would keep the lock for so long.
    flock(&lock, FlockOperation::Unlock).unwrap();
    output
}

fn upgrade(home: &Home, settings: &[(&str, &str)]) -> Output {
    run(home, "var/upgrade/upgrade.sh", settings)
}

fn log(home: &Home) -> String {
    home.read("logs/wpk-installer.log")
}

#[test]
fn it_upgrades_and_rolls_back() {
    let home = home();
    assert_eq!(
        upgrade(&home, &[("HEALTH", "false")]).status.code(),
        Some(0)
    );
    assert_eq!(home.take_result().as_deref(), Some("2\n"), "{}", log(&home));
    assert_eq!(home.snapshot(), old());
    assert_eq!(home.read("calls"), "stop\nstart\nstop\nstart\n");
    let reason = |home: &Home| home.read("var/upgrade/upgrade_reason");
    assert!(
        reason(&home).starts_with("not healthy: health 10 false"),
        "{}",
        reason(&home)
    );
    let slow = [("HEALTH", "sleep 1000"), ("LIMIT", "1")];
    assert_eq!(upgrade(&home, &slow).status.code(), Some(0));
    assert_eq!(home.take_result().as_deref(), Some("2\n"), "{}", log(&home));
    assert_eq!(
        upgrade(&home, &[("REQUIRE", "no-such-program")])
            .status
            .code(),
        Some(0)
    );
    assert_eq!(home.take_result().as_deref(), Some("1\n"), "{}", log(&home));
    assert_eq!(reason(&home), "no-such-program is missing\n");
    assert_eq!(home.snapshot(), old());
    assert_eq!(upgrade(&home, &[]).status.code(), Some(0));
    assert_eq!(home.result().as_deref(), Some("0\n"), "{}", log(&home));
    assert_eq!(home.snapshot(), new());
    assert_eq!(home.state(), ["lock"]);
    assert_eq!(
        upgrade(&home, &[]).status.code(),
        Some(75),
        "a result waits"
    );
}

#[test]
fn it_shares_the_lock_of_the_library() {
    let home = home();
    fs::create_dir(home.path("var/installer")).unwrap();
    let path = home.path("var/installer/lock");
    let lock = fs::File::create(&path).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let output = Command::new(home.path("var/upgrade/upgrade.sh"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(75), "{output:?}");
    assert_eq!(home.snapshot(), old());
}

#[test]
fn links_are_not_followed() {
    let outside = tempfile::tempdir().unwrap();
    for link in ["bin", "new"] {
        let home = home();
        let _ = fs::rename(home.path(link), home.path("moved"));
        std::os::unix::fs::symlink(outside.path(), home.path(link)).unwrap();
        upgrade(&home, &[]);
        assert_eq!(
            home.result().as_deref(),
            Some("2\n"),
            "{link} {}",
            log(&home)
        );
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}

/// Killed at each step, then ended by `end`: old or new, and one result.
fn killed_everywhere(health: &str, end: impl Fn(&Home)) {
    let mut owed_at = 0;
    for step in 1..80 {
        let home = home();
        let step = step.to_string();
        let output = upgrade(&home, &[("KILL_AT", &step), ("HEALTH", health)]);
        let killed = home.path("var/installer/journal").exists();
        let mut results: Vec<_> = home.take_result().into_iter().collect();
        if killed {
            owed_at += 1;
            end(&home);
            results.extend(home.take_result());
        } else if output.status.code() != Some(0) {
            // Nothing was begun, and the agent heard so.
            assert_eq!((home.snapshot(), results.len()), (old(), 0));
            continue;
        }
        let at = format!(
            "{health} {step}: {results:?} {:?} {}",
            home.state(),
            log(&home)
        );
        match results.as_slice() {
            [only] if only == "0\n" => assert_eq!(home.snapshot(), new(), "{at}"),
            [only] if only == "2\n" => assert_eq!(home.snapshot(), old(), "{at}"),
            _ => panic!("{at}"),
        }
        assert_eq!(home.state(), ["lock"], "{at}");
        if !killed {
            break;
        }
    }
    assert!(owed_at >= 15, "{owed_at}");
}

#[test]
fn its_own_finish_ends_what_was_killed() {
    for health in ["true", "false"] {
        killed_everywhere(health, |home| {
            let output = run(home, "var/installer/finish", &[]);
            assert_eq!(output.status.code(), Some(0), "{output:?}");
        });
    }
}

#[test]
fn the_library_ends_what_was_killed() {
    for health in ["true", "false"] {
        killed_everywhere(health, |home| {
            wpk_installer::recover(home.root()).unwrap();
        });
    }
}

#[test]
fn the_next_run_settles_what_was_killed() {
    for step in 1..80 {
        let home = home();
        upgrade(
            &home,
            &[("KILL_AT", &step.to_string()), ("HEALTH", "false")],
        );
        let killed = home.path("var/installer/journal").exists();
        let _ = home.take_result();
        assert_eq!(upgrade(&home, &[]).status.code(), Some(0));
        assert_eq!(
            home.result().as_deref(),
            Some("0\n"),
            "{step} {}",
            log(&home)
        );
        assert_eq!(home.snapshot(), new(), "{step}");
        assert_eq!(home.state(), ["lock"], "{step}");
        if !killed && step > 3 {
            break;
        }
    }
}
