//! Killed at every step, and while finishing at every step again: the home is
//! old or new, and there is one result.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::os::unix::process::ExitStatusExt;
use std::process::Output;

use common::{Home, new, old};

#[test]
fn child() {
    common::child();
}

fn was_killed(output: &Output) -> bool {
    match output.status.signal() {
        Some(9) => true,
        None if output.status.success() => false,
        _ => panic!("{output:?}"),
    }
}

/// What was reported, taken away like the manager does.
fn collect(home: &Home, results: &mut Vec<String>) {
    results.extend(home.take_result());
}

fn check(home: &Home, results: &[String], at: &str) {
    match results {
        [only] if only == "0\n" => assert_eq!(home.snapshot(), new(), "{at}"),
        [only] if only == "2\n" => assert_eq!(home.snapshot(), old(), "{at}"),
        other => panic!("{at}: {other:?} in {:?}", home.state()),
    }
    assert_eq!(home.state(), ["lock"], "{at}");
}

/// Kills a run at its step `first`; `None` when it has fewer steps. A result is
/// owed once the journal is there.
fn killed_at(how: &str, first: usize) -> Option<(Home, Vec<String>, bool)> {
    let home = Home::new();
    let output = home.run(&format!("{how} kill={first}"));
    let mut results = Vec::new();
    let owed = home.path("var/installer/journal").exists();
    collect(&home, &mut results);
    if was_killed(&output) {
        return Some((home, results, owed));
    }
    check(&home, &results, "not killed");
    None
}

fn finish_after_every_kill(how: &str) {
    let mut steps = 0;
    for first in 1..60 {
        let Some((home, mut results, owed)) = killed_at(how, first) else {
            break;
        };
        steps += 1;
        if !owed {
            let reported = results.len();
            let restored = [old(), new()].contains(&home.snapshot());
            assert!(restored, "{how} {first}");
            assert_eq!(
                reported,
                usize::from(home.snapshot() == new() || first > 5),
                "{how} {first}"
            );
            continue;
        }
        assert!(!was_killed(&home.finish(how).output().unwrap()));
        collect(&home, &mut results);
        check(&home, &results, &format!("{how}, killed at {first}"));
    }
    assert!(steps >= 20, "{steps}");
}

#[test]
fn a_good_upgrade_is_finished_after_a_kill_anywhere() {
    finish_after_every_kill("good");
}

#[test]
fn a_bad_upgrade_is_finished_after_a_kill_anywhere() {
    finish_after_every_kill("bad");
}

fn finish_is_killed_too(how: &str) {
    for first in 1..60 {
        if killed_at(how, first).is_none() {
            break;
        }
        // Every other one, in turn.
        for second in (1 + first % 2..60).step_by(2) {
            let (home, mut results, owed) = killed_at(how, first).unwrap();
            if !owed {
                break;
            }
            let finished = home
                .finish(&format!("{how} kill={second}"))
                .output()
                .unwrap();
            collect(&home, &mut results);
            if was_killed(&finished) && home.path("var/installer/finish").exists() {
                assert!(!was_killed(&home.finish(how).output().unwrap()));
                collect(&home, &mut results);
            } else if was_killed(&finished) {
                // Only its journal is left, if anything: another installer ends it.
                wpk_installer::recover(home.root()).unwrap();
                collect(&home, &mut results);
            }
            check(
                &home,
                &results,
                &format!("{how}, killed at {first} and {second}"),
            );
            if !was_killed(&finished) {
                break;
            }
        }
    }
}

#[test]
fn finishing_a_good_upgrade_may_be_killed_anywhere() {
    finish_is_killed_too("good");
}

#[test]
fn finishing_a_bad_upgrade_may_be_killed_anywhere() {
    finish_is_killed_too("bad");
}

/// The next upgrade is a task of its own: what was reported before it is not
/// counted, and taken away, because it would not be allowed otherwise.
#[test]
fn the_next_upgrade_settles_what_was_killed() {
    for how in ["good", "bad"] {
        for first in 1..60 {
            if killed_at(how, first).is_none() {
                break;
            }
            // Every fifth, another one each time, is enough to meet the kinds of pairs.
            for second in (1 + first % 5..60).step_by(5) {
                let (home, _, _) = killed_at(how, first).unwrap();
                let killed = was_killed(&home.run(&format!("good kill={second}")));
                let mut results = Vec::new();
                if killed {
                    let _ = home.take_result();
                    assert!(!was_killed(&home.run("good")));
                }
                collect(&home, &mut results);
                let at = format!("{how}, killed at {first} and {second}");
                check(&home, &results, &at);
                assert_eq!(results, ["0\n"], "{at}");
                if !killed {
                    break;
                }
            }
        }
    }
}

#[test]
fn a_run_killed_after_its_report_does_not_report_again() {
    let home = Home::new();
    let steps = (1..60)
        .find(|step| {
            let home = Home::new();
            home.run(&format!("good kill={step}"));
            home.result().is_some()
        })
        .unwrap();
    assert!(was_killed(&home.run(&format!("good kill={steps}"))));
    assert!(
        home.path("var/installer/journal").exists(),
        "killed before its end"
    );
    assert_eq!(home.take_result().as_deref(), Some("0\n"));
    home.finish("good").output().unwrap();
    assert_eq!(home.result(), None);
    assert_eq!(home.snapshot(), new());
    assert_eq!(home.state(), ["lock"]);
}
