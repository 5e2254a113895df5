//! How much memory the live view takes: what is kept of an agent is little, and no answer is
//! kept.

use serde_json::{Value, json};

use crate::common::terminal::*;
use crate::common::*;
use crate::stage::*;

const AGENTS: i64 = 50_000;
/// The most that the program may ever have taken, in KiB: about two KiB for each agent.
const MOST: u64 = 96 << 10;

/// A manager of so many agents, whose installers run and never end.
fn crowd(path: &std::path::Path) -> Manager {
    Manager::start(path, |request| {
        let parameters = &request["parameters"];
        match request["command"].as_str().unwrap() {
            "agent_list" => {
                let after = parameters["after"].as_i64().unwrap_or(0);
                let page = after + 1..=AGENTS.min(after + 1_000);
                answer(page.map(|agent| listed(agent, "v4.14.0")).collect())
            }
            "upgrade" => answer(agents(request).into_iter().map(created).collect()),
            "upgrade_changes" => {
                let place = json!({"error": 0, "message": "Success", "revision": 1,
                    "behind": false, "more": false});
                let known = !parameters["after"].is_null();
                let tasks = (!known).then(|| agents(request)).into_iter().flatten();
                let tasks = tasks.map(|agent| {
                    let mut task = task(agent, "Updating", None);
                    task["phase"] = "installing".into();
                    task
                });
                let items: Vec<Value> = std::iter::once(place).chain(tasks).collect();
                answer(items)
            }
            other => panic!("{other} is not asked for"),
        }
    })
}

/// The most memory that a process ever had, in KiB.
fn peak(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let words = line.unwrap().split_whitespace().next().unwrap();
    words.parse().unwrap()
}

#[test]
fn fifty_thousand_agents_are_watched_in_little_memory() {
    for arguments in [
        &["upgrade", "1-50000", "--watch", "--interval", "1s"][..],
        &["watch", "--interval", "1s"],
    ] {
        let (_dir, path) = socket();
        let manager = crowd(&path);
        let mut terminal = Terminal::start(&manager.socket, 120, 40, arguments);
        // All of them were told of, and are shown.
        terminal.picture_with("report awaited");
        let took = peak(terminal.child.id());
        terminal.child.kill().unwrap();
        terminal.child.wait().unwrap();
        println!("{arguments:?}: {took} KiB at most");
        assert!(took <= MOST, "{arguments:?} took {took} KiB");
    }
}
