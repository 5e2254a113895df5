//! On a terminal: the picture of `status --watch`, and the question of `apply`.

use std::io::Write;

use wpk_wire::own::rollout::*;

use crate::common::terminal::*;
use crate::stage::*;

#[test]
fn a_picture_fits_and_what_stood_there_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let manager = answering(&dir, |_, _| {
        Some(vec![status(RolloutState::Running).to_item()])
    });
    let watch = ["rollout", "status", "prod", "--watch"];
    for (columns, lines) in [(40, 10), (80, 24), (200, 50)] {
        let mut terminal = Terminal::start(&manager.socket, columns, lines, &watch);
        terminal.wait_for("Ctrl-C leaves; the rollout goes on");
        terminal.interrupt();
        terminal.wait_for("No longer watched; the rollout goes on: prod");
        let (text, status) = terminal.end();
        assert_eq!(status, Some(130), "{text}");
        let picture = pictures(&text).remove(0);
        assert_eq!(picture[0], "rollout prod to v4.14.7: running");
        assert!(picture.len() <= usize::from(lines), "{picture:#?}");
        for line in &picture {
            let columns = usize::from(columns);
            assert!(line.chars().count() <= columns, "{line:?}");
        }
        // What was seen last stands on the usual screen.
        let (_, after) = text.split_once(LEAVE).unwrap();
        assert!(after.contains("gate of canary waits"), "{after}");
    }
}

#[test]
fn a_rollout_that_is_over_ends_the_picture() {
    let dir = tempfile::tempdir().unwrap();
    let mut looks = 0;
    let manager = answering(&dir, move |_, _| {
        looks += 1;
        let mut told = status(match looks {
            1 => RolloutState::Running,
            _ => RolloutState::Converged,
        });
        told.counts.running = 0;
        Some(vec![told.to_item()])
    });
    let watch = ["rollout", "status", "prod", "-w", "--interval", "200ms"];
    let (text, status) = Terminal::start(&manager.socket, 80, 24, &watch).end();
    assert_eq!(status, Some(0), "{text}");
    assert_eq!(pictures(&text).len(), 2, "{text:?}");
}

#[test]
fn nothing_is_applied_before_somebody_says_yes() {
    let dir = tempfile::tempdir().unwrap();
    let manager = answering(&dir, |command, _| match command {
        "rollout_plan" => Some(vec![planned(PlannedChange::Begins).to_item()]),
        "rollout_apply" => Some(vec![in_list(RolloutState::Running).to_item()]),
        _ => None,
    });
    let file = definition(&dir);
    let apply = ["rollout", "apply", &file];
    for (answer, status, words) in [
        ("\n", 1, "Nothing was applied."),
        ("n\n", 1, "Nothing was applied."),
        ("\u{4}", 1, "Nothing was applied."),
        ("y\n", 0, "rollout prod: applied, running"),
    ] {
        assert!(manager.asked("rollout_apply").is_empty());
        let mut terminal = Terminal::start(&manager.socket, 80, 24, &apply);
        terminal.wait_for("[y/N] ");
        terminal.keys.write_all(answer.as_bytes()).unwrap();
        terminal.wait_for(words);
        let (text, ended) = terminal.end();
        assert_eq!(ended, Some(status), "{answer:?}: {text}");
    }
    assert_eq!(manager.asked("rollout_apply").len(), 1);
}

#[test]
fn nobody_is_asked_about_what_could_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let manager = answering(&dir, |command, _| {
        let mut plan = planned(PlannedChange::Begins);
        plan.rollouts[0].problems = vec!["wave canary has 3 agents".into()];
        (command == "rollout_plan").then(|| vec![plan.to_item()])
    });
    let file = definition(&dir);
    let terminal = Terminal::start(&manager.socket, 80, 24, &["rollout", "apply", &file]);
    let (text, status) = terminal.end();
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("cannot start: wave canary has 3"), "{text}");
    assert!(!text.contains("[y/N]"), "{text}");
}
