//! Following a manager that tells what changed: each task is shown as it is, also one that was
//! delivered between two looks, and nothing is asked for in vain.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::common::terminal::*;
use crate::common::*;
use crate::stage::*;

/// How a manager with a feed answers.
struct Feed {
    /// One list of tasks for each answer; the last one is given again and again.
    answers: Vec<Vec<Value>>,
    given: usize,
    /// How often the tool asked how the tasks are.
    looks: usize,
    /// Once: some changes are forgotten.
    forgets: bool,
}

impl Feed {
    fn answer(&mut self, request: &Value) -> Reply {
        let mut behind = false;
        if request["parameters"]["after"].is_null() {
            self.looks += 1;
        } else {
            self.given = (self.given + 1).min(self.answers.len() - 1);
            behind = std::mem::take(&mut self.forgets);
        }
        let place = json!({"error": 0, "message": "Success", "revision": self.given,
            "behind": behind, "more": false});
        let tasks = match behind {
            true => Vec::new(),
            false => self.answers[self.given].clone(),
        };
        answer([vec![place], tasks].concat())
    }
}

/// A manager whose tasks change like this.
fn follows(path: &std::path::Path, feed: Arc<Mutex<Feed>>) -> Manager {
    Manager::start(path, move |request| {
        match request["command"].as_str().unwrap() {
            "agent_list" => {
                let after = request["parameters"]["after"].as_i64().unwrap_or(0);
                answer(
                    (after + 1..=3)
                        .map(|agent| listed(agent, "v4.14.0"))
                        .collect(),
                )
            }
            "upgrade" => answer(agents(request).into_iter().map(created).collect()),
            "upgrade_changes" => feed.lock().unwrap().answer(request),
            other => panic!("{other}: a manager with a feed is not asked for more"),
        }
    })
}

fn feed(answers: Vec<Vec<Value>>) -> Arc<Mutex<Feed>> {
    Arc::new(Mutex::new(Feed {
        answers,
        given: 0,
        looks: 0,
        forgets: false,
    }))
}

/// A task as it is.
fn now(agent: i64, status: &str, phase: &str) -> Value {
    let mut task = task(agent, status, None);
    task["phase"] = phase.into();
    task
}

fn ended(agent: i64) -> Value {
    let mut task = now(agent, "Updated", "ended");
    task["confirmation"] = "confirmed".into();
    task
}

#[test]
fn what_goes_by_between_two_looks_is_shown_as_it_is() {
    let (_dir, path) = socket();
    let told = feed(vec![
        vec![now(1, "In queue", "queued")],
        vec![now(1, "Updating", "installing")],
        vec![ended(1)],
    ]);
    let manager = follows(&path, told.clone());
    let run = upgrade(&manager, &[&QUICK[..], &["1"]].concat()).ended(0);
    for line in ["In queue", "Updating (installing)", "Updated"] {
        let line = format!("agent 001 (host1): {line}\n");
        assert!(run.out.contains(&line), "{line}: {}", run.out);
    }
    assert_eq!(told.lock().unwrap().looks, 1);
    // Where no bytes are counted the tool waits for what changes.
    let waits = manager.asked("upgrade_changes");
    assert_eq!(waits[1]["parameters"]["wait"], 10_000);
    assert_eq!(waits[1]["parameters"]["agents"], json!([1]));

    let (_dir, path) = socket();
    let mut waiting = now(1, "Updating", "waiting");
    waiting["waits_for"] = "file".into();
    let mut failed = now(1, "Error", "ended");
    failed["error_msg"] = "Send upgrade command error".into();
    failed["cause"] = json!({"at": 1, "step": "upgrade",
        "failure": {"code": 23, "said": "no space left", "advice": "make room"}});
    let manager = follows(&path, feed(vec![vec![waiting], vec![failed]]));
    let run = upgrade(&manager, &[&QUICK[..], &["1", "--json"]].concat()).ended(1);
    let objects = run.objects();
    let changes: Vec<_> = objects.iter().filter(|o| o["event"] == "status").collect();
    assert_eq!(changes[1]["phase"], "waiting");
    assert_eq!(changes[1]["waits_for"], "file");
    assert_eq!(changes[2]["cause"]["said"], "no space left");
}

#[test]
fn what_was_forgotten_is_looked_at_anew() {
    let (_dir, path) = socket();
    let told = feed(vec![vec![now(1, "In queue", "queued")], vec![ended(1)]]);
    told.lock().unwrap().forgets = true;
    let manager = follows(&path, told.clone());
    upgrade(&manager, &[&QUICK[..], &["1"]].concat()).ended(0);
    assert_eq!(told.lock().unwrap().looks, 2);
}

#[test]
fn a_deleted_task_is_unknown() {
    let (_dir, path) = socket();
    let gone = json!({"error": 3, "message": "No task in DB", "task_id": 101});
    let told = feed(vec![vec![now(1, "In queue", "queued")], vec![gone]]);
    let manager = follows(&path, told);
    let run = upgrade(&manager, &[&QUICK[..], &["1"]].concat()).ended(3);
    assert!(run.out.contains("no longer knows the task"), "{}", run.out);
}

#[test]
fn watching_attaches_to_what_runs() {
    let told = || {
        feed(vec![
            vec![now(1, "Updating", "installing"), ended(2)],
            vec![ended(1)],
        ])
    };
    let ask = |manager: &Manager, more: &[&str]| {
        let socket = manager.socket.to_str().unwrap();
        run(&[&["--socket", socket, "watch"][..], more].concat())
    };
    let (_dir, path) = socket();
    let manager = follows(&path, told());
    // Of all only what is under way; agent 3 has no task.
    let all = ask(&manager, &[]).ended(0);
    assert_eq!(
        all.row("001")[1..5],
        ["host1", "-", "v4.14.0", "Updated"],
        "{}",
        all.out
    );
    assert!(!all.out.contains("002"), "{}", all.out);
    assert!(manager.asked("upgrade").is_empty());

    let (_dir, path) = socket();
    let manager = follows(&path, told());
    let some = ask(&manager, &["1-3"]).ended(1);
    assert!(some.out.ends_with("2 agents: 2 updated\n"), "{}", some.out);
    assert!(some.err.contains("no upgrade task: 003"), "{}", some.err);

    let (_dir, path) = socket();
    let manager = follows(&path, feed(vec![vec![ended(1)]]));
    let none = ask(&manager, &[]).ended(0);
    assert_eq!(none.out, "Nothing is under way.\n");
    // Neither an agent nor, beside one, a rollout.
    let nobody = run(&[
        "--socket",
        manager.socket.to_str().unwrap(),
        "watch",
        "1",
        "prod",
    ]);
    assert!(matches!(nobody.status, Some(1 | 2)), "{}", nobody.err);
    assert!(nobody.err.contains("prod"), "{}", nobody.err);
}

#[test]
fn a_picture_follows_the_size_and_comes_with_colours_where_wished() {
    for (more, colours) in [(&[][..], true), (&["--color", "never"], false)] {
        let (_dir, path) = socket();
        let tasks = || (1..=3).map(|agent| now(agent, "Updating", "installing"));
        let manager = follows(&path, feed(vec![tasks().collect()]));
        let arguments = [&["upgrade", "1-3", "--watch"][..], more].concat();
        let mut terminal = Terminal::start(&manager.socket, 80, 24, &arguments);
        terminal.wait_for("report awaited");
        terminal.resize(40, 12);
        terminal.wait_for("[==");
        while !pictures(&terminal.text).iter().any(|lines| fits(lines, 40)) {
            terminal.hear();
        }
        terminal.interrupt();
        let (text, status) = terminal.end();
        assert_eq!(status, Some(130), "{text}");
        assert_eq!(text.contains("\u{1b}[36m"), colours, "{text:?}");
        // Before the picture one line, and nothing of it stays.
        let (before, _) = text.split_once(ENTER).unwrap();
        assert_eq!(before, "3 tasks were created\r\n");
        let (_, after) = text.split_once(LEAVE).unwrap();
        assert!(after.contains("see `wpkctl result 001-003`"), "{after}");
        assert!(!text.contains("\u{1b}[2J"));
    }
}

/// Whether it is a whole picture of at most so many columns.
fn fits(lines: &[String], columns: usize) -> bool {
    let plain = |line: &String| line.chars().count();
    let last = lines
        .last()
        .is_some_and(|line| line.starts_with("Ctrl-C leaves"));
    last && lines.len() > 3 && lines.iter().all(|line| plain(line) <= columns)
}
