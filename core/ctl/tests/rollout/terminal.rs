//! On a terminal: the picture of `status --watch`, and the question of `apply`.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use wpk_wire::own::rollout::*;

use crate::common::*;
use crate::stage::*;

/// The longest that anything is waited for.
const LONG: Duration = Duration::from_secs(30);

/// The tool on a terminal of this size.
struct Terminal {
    child: Child,
    keys: File,
    said: Receiver<Vec<u8>>,
    text: String,
}

impl Terminal {
    fn start(manager: &Manager, columns: u16, lines: u16, arguments: &[&str]) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let size = Winsize {
            ws_row: lines,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&controller, size).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap();
        let path = name.to_str().unwrap();
        let terminal = || {
            OpenOptions::new()
                .read(true)
                .write(true)
                .open(path)
                .unwrap()
        };
        let socket = manager.socket.to_str().unwrap();
        let child = program(&[&["--socket", socket][..], arguments].concat())
            .env("TERM", "xterm")
            .stdin(terminal())
            .stdout(terminal())
            .stderr(terminal())
            .spawn()
            .unwrap();
        let keys = File::from(controller);
        let mut screen = keys.try_clone().unwrap();
        let (tell, said) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // A terminal that nobody has open any more cannot be read.
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                if tell.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            keys,
            said,
            text: String::new(),
        }
    }

    /// Waits until this was said.
    #[track_caller]
    fn wait_for(&mut self, words: &str) {
        while !self.text.contains(words) {
            let said = self.said.recv_timeout(LONG);
            let said = said.unwrap_or_else(|_| panic!("no {words:?} in {:?}", self.text));
            self.text += &String::from_utf8_lossy(&said);
        }
    }

    /// All that was said, and the exit status.
    fn end(mut self) -> (String, Option<i32>) {
        let status = self.child.wait().unwrap().code();
        while let Ok(said) = self.said.recv_timeout(LONG) {
            self.text += &String::from_utf8_lossy(&said);
        }
        (self.text, status)
    }
}

const ENTER: &str = "\u{1b}[?1049h";
const LEAVE: &str = "\u{1b}[?1049l";

/// The pictures that were drawn, each as its lines.
fn pictures(text: &str) -> Vec<Vec<String>> {
    let (_, rest) = text.split_once(ENTER).unwrap();
    let (drawn, _) = rest.split_once(LEAVE).unwrap();
    let pictures = drawn.split("\u{1b}[H").skip(1);
    let lines = |picture: &str| -> Vec<String> {
        let picture = picture.split("\u{1b}[J").next().unwrap();
        let lines = picture.split("\r\n");
        lines.map(|line| line.replace("\u{1b}[K", "")).collect()
    };
    pictures.map(lines).collect()
}

#[test]
fn a_picture_fits_and_what_stood_there_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let manager = answering(&dir, |_, _| {
        Some(vec![status(RolloutState::Running).to_item()])
    });
    let watch = ["rollout", "status", "prod", "--watch"];
    for (columns, lines) in [(40, 10), (80, 24), (200, 50)] {
        let mut terminal = Terminal::start(&manager, columns, lines, &watch);
        terminal.wait_for("Ctrl-C leaves; the rollout goes on");
        let pid = Pid::from_child(&terminal.child);
        kill_process(pid, Signal::INT).unwrap();
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
    let (text, status) = Terminal::start(&manager, 80, 24, &watch).end();
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
        let mut terminal = Terminal::start(&manager, 80, 24, &apply);
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
    let terminal = Terminal::start(&manager, 80, 24, &["rollout", "apply", &file]);
    let (text, status) = terminal.end();
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("cannot start: wave canary has 3"), "{text}");
    assert!(!text.contains("[y/N]"), "{text}");
}
