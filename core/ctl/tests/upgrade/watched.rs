//! Watching: what is told until every agent has ended, or the watch has.

use crate::common::*;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use crate::stage::*;

#[test]
fn watching_tells_the_truth_for_every_agent() {
    let (_dir, path) = socket();
    let manager = manager(&path, two_rounds);
    let run = upgrade(
        &manager,
        &[&QUICK[..], &["1-2", "008", "--version", "4.14.0"]].concat(),
    );
    let run = run.ended(1);
    assert!(
        run.out.contains("  008: code 8: Agent is not active\n"),
        "{}",
        run.out
    );
    assert!(run.out.contains("agent 001: task 101\n"), "{}", run.out);
    assert!(
        run.out
            .contains("agent 001 (host1): Updating (write 40%)\n"),
        "{}",
        run.out
    );
    assert!(
        run.out
            .contains("agent 002 (host2): Error: Send open file error\n"),
        "{}",
        run.out
    );
    assert_eq!(run.row("agent ")[..3], ["agent", "001:", "task"]);
    // Names stand beside ids, as in other tables.
    assert_eq!(
        run.row("001")[..5],
        ["001", "host1", "v4.7.0", "v4.14.0", "Updated"]
    );
    assert_eq!(
        run.row("002")[4..9],
        ["Error", "Send", "open", "file", "error"]
    );
    assert!(
        run.out.contains("\n008    host8  v4.7.0  -  "),
        "{}",
        run.out
    );
    assert!(
        run.out
            .ends_with("3 agents: 1 updated, 1 failed, 1 refused\n"),
        "{}",
        run.out
    );
    assert!(!run.out.contains('\x1b'), "no terminal codes in a pipe");
    // Only what is under way is asked for again.
    let asked: Vec<_> = manager.asked("upgrade_result").iter().map(agents).collect();
    assert_eq!(asked, [vec![1, 2], vec![1, 2]]);
}

#[test]
fn both_dialects_end_well() {
    for (status, shown, exit) in [
        ("Updated", "Updated", 0),
        ("Legacy", "Legacy", 3),
        (
            "Legacy upgrade: check the result manually since the agent cannot report the result of the task",
            "Legacy",
            3,
        ),
    ] {
        let (_dir, path) = socket();
        let manager = manager(&path, move |_, _| (status, None));
        let run = upgrade(
            &manager,
            &[&QUICK[..], &["1", "--version", "v4.14.0"]].concat(),
        );
        assert_eq!(run.ended(exit).row("001")[4], shown);
    }
    for (status, exit) in [
        ("Cancelled", 1),
        ("Task cancelled since the manager was restarted", 1),
        ("Timeout", 3),
        (
            "Timeout reached while waiting for the response from the agent, check the result manually on the agent for more information",
            3,
        ),
    ] {
        let (_dir, path) = socket();
        let manager = manager(&path, move |_, _| (status, None));
        upgrade(&manager, &[&QUICK[..], &["1"]].concat()).ended(exit);
    }
}

#[test]
fn json_is_one_object_per_line_and_a_summary() {
    let (_dir, path) = socket();
    let manager = manager(&path, two_rounds);
    let run = upgrade(&manager, &[&QUICK[..], &["1", "2", "8", "--json"]].concat()).ended(1);
    let objects = run.objects();
    let events: Vec<_> = objects
        .iter()
        .map(|o| o["event"].as_str().unwrap())
        .collect();
    assert_eq!(events[..3], ["task", "task", "refused"]);
    let written = objects.iter().find(|o| o["step"] == "write").unwrap();
    assert_eq!(written["sent"], 45);
    assert_eq!(written["total"], 100);
    let summary = objects.last().unwrap();
    assert_eq!(summary["event"], "summary");
    assert_eq!(summary["exit_status"], 1);
    assert_eq!(
        [&summary["updated"], &summary["failed"], &summary["refused"]],
        [1, 1, 1]
    );
    let first = &summary["agents"][0];
    assert_eq!(first["agent"], 1);
    assert_eq!(first["task_id"], 101);
    assert_eq!(first["from"], "v4.7.0");
    assert_eq!(first["to"], "v4.14.0");
    assert_eq!(first["confirmed"], true);
    assert_eq!(first["status"], "Updated");
    assert!(first["seconds"].as_f64().unwrap() >= 0.0);
    assert_eq!(summary["agents"][2]["code"], 8);

    let (_dir, path) = socket();
    let manager = self::manager(&path, two_rounds);
    let run = upgrade(
        &manager,
        &[&QUICK[..], &["1", "--json", "--quiet"]].concat(),
    )
    .ended(0);
    assert_eq!(run.objects().len(), 1, "quiet leaves the summary");
}

#[test]
fn a_manager_of_4x_closes_after_each_answer_and_knows_no_extensions() {
    let (_dir, path) = socket();
    let mut round = 0;
    let manager = Manager::start(&path, move |request| {
        let reply = match request["command"].as_str().unwrap() {
            "upgrade" => answer(vec![created(1)]),
            "upgrade_result" => {
                round += 1;
                let status = if round < 3 { "Updating" } else { "Updated" };
                answer(vec![task(1, status, None)])
            }
            _ => refusal(2, "Required parameters in json message where not found"),
        };
        match reply {
            Reply::Answer(answer) => Reply::Last(answer),
            other => other,
        }
    });
    let run = upgrade(
        &manager,
        &[&QUICK[..], &["1", "--version", "v4.14.0"]].concat(),
    )
    .ended(0);
    let row = run.row("001");
    assert_eq!(row[2..7], ["-", "v4.14.0", "(not", "confirmed)", "Updated"]);
    assert_eq!(
        manager.asked("upgrade_progress").len(),
        1,
        "asked once, then left alone"
    );
}

#[test]
fn a_manager_that_stays_away_ends_the_watch_with_what_is_known() {
    let (_dir, path) = socket();
    let manager = Manager::start(&path, |request| {
        match request["command"].as_str().unwrap() {
            "agent_list" => answer(vec![]),
            "upgrade" => answer(vec![created(1)]),
            _ => Reply::Die,
        }
    });
    let more = [&QUICK[..], &["1", "--reconnect-for", "200ms"]].concat();
    let run = upgrade(&manager, &more).ended(1);
    assert!(run.err.contains("cannot reach the manager"), "{}", run.err);
    assert!(run.err.contains("trying again"), "{}", run.err);
    assert!(
        run.err
            .contains("go on in the manager; see `wpkctl result 001`"),
        "{}",
        run.err
    );
    assert_eq!(run.row("001")[4..6], ["In", "queue"]);
}

#[test]
fn a_manager_that_comes_back_is_found_again() {
    let (_dir, path) = socket();
    let _first = Manager::start(&path, |request| {
        match request["command"].as_str().unwrap() {
            "agent_list" => answer(vec![]),
            "upgrade" => answer(vec![created(1)]),
            _ => Reply::Die,
        }
    });
    let socket = ["--socket", path.to_str().unwrap(), "upgrade", "1"];
    let mut child = program(&[&socket[..], &QUICK].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The new manager starts only once the old one is missed.
    let mut errors = BufReader::new(child.stderr.take().unwrap()).lines();
    let missed = errors
        .by_ref()
        .find(|line| line.as_ref().unwrap().contains("trying again"));
    assert!(missed.is_some());
    let _second = Manager::start(&path, |request| {
        match request["command"].as_str().unwrap() {
            "agent_list" => answer(vec![]),
            _ => answer(vec![task(1, "Updated", None)]),
        }
    });
    let errors: String = errors.map(Result::unwrap).collect();
    assert!(errors.contains("the manager is back"), "{errors}");
    Run::of(child.wait_with_output().unwrap()).ended(0);
}

#[test]
fn watching_ends_when_its_time_is_over() {
    let (_dir, path) = socket();
    let manager = manager(&path, |_, _| ("Updating", None));
    let run = upgrade(
        &manager,
        &[&QUICK[..], &["1", "--timeout", "300ms"]].concat(),
    )
    .ended(3);
    let line = run
        .out
        .lines()
        .find(|line| line.starts_with("001"))
        .unwrap();
    assert!(
        line.contains("Updating") && line.contains("still under way after 300ms"),
        "{line}"
    );
    assert!(
        run.out.ends_with("1 agents: 1 still under way\n"),
        "{}",
        run.out
    );
}

#[test]
fn an_interrupt_leaves_the_tasks_alone() {
    let (_dir, path) = socket();
    let (asked, waiting) = mpsc::channel();
    let manager = manager(&path, move |_, _| {
        let _ = asked.send(());
        ("Updating", None)
    });
    let socket = manager.socket.to_str().unwrap();
    let child = program(&["--socket", socket, "upgrade", "1", "--watch", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    waiting.recv_timeout(Duration::from_secs(60)).unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let run = Run::of(child.wait_with_output().unwrap()).ended(130);
    assert!(run.err.contains("go on in the manager"), "{}", run.err);
    let summary = run.objects().pop().unwrap();
    assert_eq!(summary["interrupted"], true);
    assert_eq!(summary["exit_status"], 130);
}
