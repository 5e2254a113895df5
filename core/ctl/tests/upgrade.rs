//! `wpkctl upgrade` against a manager on a real socket: requests, lines,
//! tables, JSON and exit statuses.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use common::*;
use serde_json::{Value, json};

const QUICK: [&str; 3] = ["--watch", "--interval", "10ms"];

fn socket() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("upgrade");
    (dir, socket)
}

fn upgrade(manager: &Manager, more: &[&str]) -> Run {
    let socket = manager.socket.to_str().unwrap();
    let mut arguments = vec!["--socket", socket, "upgrade"];
    arguments.extend(more);
    run(&arguments)
}

/// A manager whose agents report `v4.14.0` once they are updated. Agent 8 is
/// refused; the results of the others come from `status`, given the round.
fn manager(
    path: &std::path::Path,
    mut status: impl FnMut(i64, usize) -> (&'static str, Option<&'static str>) + Send + 'static,
) -> Manager {
    let mut round = 0;
    let mut tasks = false;
    Manager::start(path, move |request| {
        match request["command"].as_str().unwrap() {
            "agent_list" => {
                let after = request["parameters"]["after"].as_i64().unwrap_or(0);
                let version = if tasks { "v4.14.0" } else { "v4.7.0" };
                answer(
                    (after + 1..=9)
                        .map(|agent| listed(agent, version))
                        .collect(),
                )
            }
            "upgrade" => {
                tasks = true;
                let refused = json!({"error": 8, "message": "Agent is not active", "agent": 8});
                let items = agents(request).into_iter().map(|agent| match agent {
                    8 => refused.clone(),
                    agent => created(agent),
                });
                answer(items.collect())
            }
            "upgrade_result" => {
                round += 1;
                let items = agents(request).into_iter().map(|agent| {
                    let (status, error) = status(agent, round);
                    task(agent, status, error)
                });
                answer(items.collect())
            }
            "upgrade_progress" => {
                let items = agents(request).into_iter().map(|agent| {
                    json!({"error": 0, "message": "Success", "agent": agent, "task_id": 100 + agent,
                       "step": "write", "sent": 45, "total": 100})
                });
                answer(items.collect())
            }
            "upgrade_timeline" => answer(agents(request).into_iter().map(created).collect()),
            other => panic!("{other}"),
        }
    })
}

fn two_rounds(agent: i64, round: usize) -> (&'static str, Option<&'static str>) {
    match (agent, round) {
        (_, 1) => ("Updating", None),
        (2, _) => ("Error", Some("Send open file error")),
        _ => ("Updated", None),
    }
}

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
        run.out.contains("agent 001: Updating (write 40%)\n"),
        "{}",
        run.out
    );
    assert!(
        run.out.contains("agent 002: Error: Send open file error\n"),
        "{}",
        run.out
    );
    assert_eq!(run.row("agent ")[..3], ["agent", "001:", "task"]);
    assert_eq!(run.row("001")[..4], ["001", "v4.7.0", "v4.14.0", "Updated"]);
    assert_eq!(
        run.row("002")[3..8],
        ["Error", "Send", "open", "file", "error"]
    );
    assert!(run.out.contains("\n008    v4.7.0  -  "), "{}", run.out);
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
    for (status, shown) in [
        ("Updated", "Updated"),
        ("Legacy", "Legacy"),
        (
            "Legacy upgrade: check the result manually since the agent cannot report the result of the task",
            "Legacy",
        ),
    ] {
        let (_dir, path) = socket();
        let manager = manager(&path, move |_, _| (status, None));
        let run = upgrade(
            &manager,
            &[&QUICK[..], &["1", "--version", "v4.14.0"]].concat(),
        );
        assert_eq!(run.ended(0).row("001")[3], shown);
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
fn without_watching_a_task_is_enough() {
    let (_dir, path) = socket();
    let manager = manager(&path, |_, _| panic!("not asked"));
    let run = upgrade(&manager, &["1", "1-2", "002"]).ended(0);
    assert_eq!(run.out, "agent 001: task 101\nagent 002: task 102\n");
    upgrade(&manager, &["1", "8"]).ended(1);
    assert_eq!(upgrade(&manager, &["1", "--quiet"]).ended(0).out, "");
    assert_eq!(agents(&manager.asked("upgrade")[0]), [1, 2]);
}

#[test]
fn options_become_parameters() {
    let (_dir, path) = socket();
    let manager = Manager::start(&path, |request| {
        answer(agents(request).into_iter().map(created).collect())
    });
    let options = "1 --version v4.14.0 --repository mirror/wpk/ --force --http --package-type deb";
    upgrade(&manager, &options.split(' ').collect::<Vec<_>>()).ended(0);
    upgrade(&manager, &["1"]).ended(0);
    upgrade(
        &manager,
        &["1", "--file", "/tmp/a b.wpk", "--installer", "go.sh"],
    )
    .ended(0);
    let requests = manager.requests.lock().unwrap().clone();
    assert!(
        requests
            .iter()
            .all(|request| request["origin"] == json!({"module": "api"}))
    );
    let parameters: Vec<&Value> = requests
        .iter()
        .map(|request| &request["parameters"])
        .collect();
    assert_eq!(
        *parameters[0],
        json!({"agents": [1], "version": "v4.14.0", "wpk_repo": "mirror/wpk/",
               "use_http": true, "force_upgrade": true, "package_type": "deb"})
    );
    assert_eq!(
        *parameters[1],
        json!({"agents": [1], "use_http": false, "force_upgrade": false})
    );
    assert_eq!(requests[2]["command"], "upgrade_custom");
    assert_eq!(
        *parameters[2],
        json!({"agents": [1], "file_path": "/tmp/a b.wpk", "installer": "go.sh"})
    );
}

#[test]
fn many_agents_go_in_several_requests() {
    let (_dir, path) = socket();
    let manager = Manager::start(&path, |request| {
        let agents = agents(request);
        if agents[0] == 1 {
            answer(agents.into_iter().map(created).collect())
        } else {
            refusal(4, "Task manager communication error")
        }
    });
    let run = upgrade(&manager, &["1-60000", "--json"]).ended(1);
    let sizes: Vec<_> = manager
        .asked("upgrade")
        .iter()
        .map(|r| agents(r).len())
        .collect();
    assert_eq!(sizes, [50_000, 10_000]);
    let summary = run.objects().pop().unwrap();
    assert_eq!(
        [&summary["under_way"], &summary["refused"]],
        [50_000, 10_000]
    );
}

#[test]
fn every_agent_of_the_list() {
    let (_dir, path) = socket();
    let manager = manager(&path, |_, _| ("Updated", None));
    upgrade(&manager, &["--all"]).ended(1);
    assert_eq!(
        agents(&manager.asked("upgrade")[0]),
        [1, 2, 3, 4, 5, 6, 7, 8, 9]
    );
}

#[test]
fn a_refused_request_is_an_error() {
    let (_dir, path) = socket();
    let manager = Manager::start(&path, |_| refusal(3, "Parameter \"x\" should be a string"));
    let run = upgrade(&manager, &["1"]).ended(1);
    let wanted = "refused `upgrade` with code 3: Parameter \"x\" should be a string";
    assert!(run.err.contains(wanted), "{}", run.err);
    let objects = upgrade(&manager, &["1", "--json"]).ended(1).objects();
    assert_eq!(objects[0]["event"], "error");
}

#[test]
fn a_request_whose_answer_is_lost_is_never_sent_twice() {
    let (_dir, path) = socket();
    let manager = Manager::start(&path, |_| Reply::Close);
    let run = upgrade(&manager, &["1"]).ended(1);
    assert!(
        run.err.contains("tasks may have been created"),
        "{}",
        run.err
    );
    assert_eq!(manager.asked("upgrade").len(), 1);
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
    assert_eq!(row[1..6], ["-", "v4.14.0", "(not", "confirmed)", "Updated"]);
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
    assert_eq!(run.row("001")[3..5], ["In", "queue"]);
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

#[test]
fn a_socket_without_a_manager_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().to_str().unwrap();
    for more in [&["upgrade", "1"][..], &["result", "1"], &["agents"]] {
        let run = run(&[&["--home", home][..], more].concat()).ended(1);
        let wanted = format!("cannot reach the manager at {home}/queue/tasks/upgrade");
        assert!(run.err.contains(&wanted), "{}", run.err);
        assert!(run.err.contains("start wpkd"), "{}", run.err);
    }
}

#[test]
fn the_managers_settings_lead_to_its_socket() {
    let (dir, path) = socket();
    let manager = manager(&path, |_, _| ("Updated", None));
    let config = dir.path().join("wpkd.toml");
    let text = format!(
        "home = {:?}\n[[source]]\ntype = \"unix-socket\"\nupgrade = \"upgrade\"\n",
        dir.path()
    );
    std::fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    run(&["upgrade", "1", "--config", config]).ended(0);
    assert_eq!(manager.asked("upgrade").len(), 1);
    std::fs::write(config, "homme = 1\n").unwrap();
    let run = run(&["upgrade", "1", "--config", config]).ended(1);
    assert!(run.err.contains("homme"), "{}", run.err);
}

#[test]
fn nonsense_on_the_command_line_is_a_usage_error() {
    for bad in [
        &["upgrade"][..],
        &["upgrade", "x"],
        &["upgrade", "5-1"],
        &["upgrade", "0-2147483647"],
        &["upgrade", "1", "--file", "a.wpk", "--version", "v4.14.0"],
        &["upgrade", "1", "--installer", "a.sh"],
        &["upgrade", "1", "--package-type", "msi"],
        &["upgrade", "1", "--timeout", "soon"],
        &["upgrade", "1", "--confirm-for", "1m"],
        &["result", "1", "--task", "7"],
        &["upgrade", "1", "--all"],
        &["result"],
        &["nothing"],
    ] {
        run(bad).ended(2);
    }
}
