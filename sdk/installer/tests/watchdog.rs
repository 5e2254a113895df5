//! With a watchdog: killed at every step, the work comes to its end by itself.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use common::{Home, new, old, until};
use rustix::process::{Pid, Signal, kill_process};

/// The steps before anything is owed: the lock, and the prepared result.
const NOTHING_OWED: usize = 2;

#[test]
fn child() {
    common::child();
}

fn reason(home: &Home) -> String {
    home.read("var/upgrade/upgrade_reason")
}

/// Waits until nothing is left to do, and takes the result away.
fn ended(home: &Home) -> String {
    until("the end of the work", || {
        let left = ["journal", "previous", "finish"];
        let left = left.map(|name| home.path("var/installer").join(name).exists());
        (left == [false; 3] && home.result().is_some()).then_some(())
    });
    assert_eq!(home.state(), ["lock"]);
    home.take_result().unwrap()
}

fn ends_by_itself(how: &str) {
    let mut steps = 0;
    for step in NOTHING_OWED + 1..60 {
        let home = Home::new();
        let output = home.run(&format!("{how} watchdog kill={step}"));
        let killed = output.status.signal() == Some(9);
        let at = format!("{how}, killed at {step}: {output:?}");
        match ended(&home).as_str() {
            "0\n" => {
                assert_eq!(home.snapshot(), new(), "{at}");
                assert_eq!(reason(&home), "", "{at}");
            }
            "2\n" => {
                assert_eq!(home.snapshot(), old(), "{at}");
                let wanted = if how == "bad" && !killed {
                    "not healthy"
                } else {
                    ""
                };
                let said = reason(&home);
                assert!(
                    said.contains(wanted) && said.contains("; "),
                    "{at}: {said:?}"
                );
            }
            other => panic!("{at}: {other}"),
        }
        if !killed {
            break;
        }
        steps += 1;
    }
    assert!(steps >= 20, "{steps}");
}

#[test]
fn a_good_upgrade_ends_by_itself_wherever_it_is_killed() {
    ends_by_itself("good");
}

#[test]
fn a_bad_upgrade_ends_by_itself_wherever_it_is_killed() {
    ends_by_itself("bad");
}

#[test]
fn why_it_failed_is_told_in_words() {
    for (how, words) in [
        (
            "bad watchdog",
            "not healthy: false: ended with exit status: 1; the old version is back",
        ),
        (
            "require=no-such-program",
            "the program no-such-program is missing; nothing was changed",
        ),
    ] {
        let home = Home::new();
        // A package's own words are none of ours.
        fs::write(home.path("var/upgrade/upgrade_reason"), "all is well\n").unwrap();
        home.run(how);
        ended(&home);
        assert_eq!(reason(&home), format!("{words}\n"));
    }
    let home = Home::new();
    fs::write(home.path("var/upgrade/upgrade_reason"), "all is well\n").unwrap();
    home.run("good");
    assert_eq!(ended(&home), "0\n");
    assert_eq!(reason(&home), "");
}

/// The processes that watch this home.
fn watchdogs(home: &Home) -> Vec<Pid> {
    let wanted = format!("TEST_HOME={}\0", home.root().display());
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    entries
        .filter_map(|entry| {
            let environment = fs::read(entry.path().join("environ")).ok()?;
            let environment = String::from_utf8_lossy(&environment);
            let ours =
                environment.contains(&wanted) && environment.contains("WPK_INSTALLER_WATCHDOG=");
            let pid = entry.file_name().to_str()?.parse().ok()?;
            Pid::from_raw(pid).filter(|_| ours)
        })
        .collect()
}

#[test]
fn without_its_watchdog_the_installer_goes_on() {
    let home = Home::new();
    let mut installer = home.command("good wait watchdog").spawn().unwrap();
    let watchdog = until("the watchdog", || watchdogs(&home).pop());
    kill_process(watchdog, Signal::KILL).unwrap();
    fs::write(home.path("go"), "").unwrap();
    assert!(installer.wait().unwrap().success());
    assert_eq!(ended(&home), "0\n");
    assert_eq!(home.snapshot(), new());
}

/// An installer that hangs: here a shell, whose pipe stays open until it is dead.
#[test]
fn an_installer_beyond_its_time_is_killed_and_its_work_ended() {
    let half = (1..60).map(|step| {
        let home = Home::new();
        home.run(&format!("good kill={step}"));
        home
    });
    let is_half = |home: &Home| home.read("var/installer/journal").contains("\nchanged\n");
    let home = half.into_iter().find(is_half).unwrap();
    let journal = home.read("var/installer/journal");
    assert!(!journal.contains("verdict"), "{journal}");
    let run = journal.split_whitespace().nth(2).unwrap();
    let mut hanging = Command::new("sh")
        .args([
            "-c",
            "exec 3<&0; \"$0\" child --exact --nocapture <&3 3<&- & exec sleep 1000",
        ])
        .arg(home.path("var/installer/finish"))
        .env("TEST_HOME", home.root())
        .env("TEST_HOW", "good")
        .env("WPK_INSTALLER_WATCHDOG", format!("{run} 1"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn();
    // The shell reads the order from its standard input, the watchdog from a copy of it.
    let hanging = hanging.as_mut().unwrap();
    // To wait would close it.
    let pipe = hanging.stdin.take();
    let status = hanging.wait().unwrap();
    drop(pipe);
    assert_eq!(status.signal(), Some(9), "{status:?}");
    assert_eq!(ended(&home), "2\n");
    assert_eq!(home.snapshot(), old());
    assert!(reason(&home).contains("killed"), "{}", reason(&home));
}
