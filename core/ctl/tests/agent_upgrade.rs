//! The program called as `agent_upgrade`, through a link in a manager's `bin`,
//! against a scripted manager: whole outputs, byte for byte (protocol.md,
//! section 13).
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use common::*;
use serde_json::{Value, json};

const TIMEOUT: &str = "Timeout reached while waiting for the response from the agent, check the result manually on the agent for more information";
const CANCELLED: &str = "Task cancelled since the manager was restarted";
const LEGACY: &str = "Legacy upgrade: check the result manually since the agent cannot report the result of the task";

/// A manager's home with the tool in its `bin`.
struct Home {
    dir: tempfile::TempDir,
    manager: Manager,
}

impl Home {
    fn new(handler: impl FnMut(&Value) -> Reply + Send + 'static) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["bin", "queue/tasks"] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        let tool = dir.path().join("bin/agent_upgrade");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_wpkctl"), tool).unwrap();
        let manager = Manager::start(&dir.path().join("queue/tasks/upgrade"), handler);
        Self { dir, manager }
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(self.dir.path().join("bin/agent_upgrade"));
        command.args(arguments.split_whitespace()).env_clear();
        command
    }

    fn run(&self, arguments: &str) -> Run {
        let arguments = format!("{arguments} --interval 10ms");
        Run::of(self.command(&arguments).output().unwrap())
    }

    /// Runs it, expects exit status 0 and nothing on standard error.
    #[track_caller]
    fn prints(&self, arguments: &str, output: &str) {
        let run = self.run(arguments).ended(0);
        assert_eq!(run.out, output);
        assert_eq!(run.err, "");
    }
}

/// Refused agents by code: 2 (12), 3 (8), 4 (8), 5 (9), 9 (6, not listed), 0 (7).
fn checked(agent: i64) -> Value {
    let refused = |code: u8, text: &str| json!({"error": code, "message": text, "agent": agent});
    match agent {
        0 => refused(7, "Action not available for Manager (agent 000)"),
        2 => refused(12, "Current agent version is greater or equal"),
        3 | 4 => refused(8, "Agent is not active"),
        5 => refused(9, "The WPK for this platform is not available"),
        6 => refused(6, "Agent information not found in database"),
        7 => refused(
            13,
            "Upgrading an agent to a version higher than the manager requires the force flag",
        ),
        9 => refused(6, "Agent information not found in database"),
        agent => created(agent),
    }
}

/// A manager with the agents 1 to 8 and 10 to 1,999, which report v4.14.0 once
/// results were asked for; `result` is given the agent and the round.
fn manager(
    mut result: impl FnMut(i64, usize) -> (&'static str, Option<&'static str>) + Send + 'static,
) -> impl FnMut(&Value) -> Reply + Send + 'static {
    let mut round = 0;
    move |request| match request["command"].as_str().unwrap() {
        "agent_list" => {
            let parameters = &request["parameters"];
            let after = parameters["after"].as_i64().unwrap_or(0);
            let limit = usize::try_from(parameters["limit"].as_i64().unwrap()).unwrap();
            let version = if round > 0 { "v4.14.0" } else { "v4.7.0" };
            let agents = (after + 1..2_000).filter(|agent| *agent != 9);
            answer(agents.take(limit).map(|a| listed(a, version)).collect())
        }
        "upgrade" | "upgrade_custom" => answer(agents(request).into_iter().map(checked).collect()),
        "upgrade_result" => {
            round += 1;
            let items = agents(request).into_iter().map(|agent| {
                let (status, error) = result(agent, round);
                task(agent, status, error)
            });
            answer(items.collect())
        }
        other => panic!("{other}"),
    }
}

fn done_in_round_two(_: i64, round: usize) -> (&'static str, Option<&'static str>) {
    match round {
        1 => ("In queue", None),
        2 => ("Updating", None),
        _ => ("Updated", None),
    }
}

#[test]
fn success() {
    let home = Home::new(manager(done_in_round_two));
    let old_to_reported =
        "\nUpgrading...\n\nUpgraded agents:\n\tAgent 001 upgraded: Wazuh v4.7.0 -> Wazuh v4.14.0\n";
    home.prints("-a 001", old_to_reported);
    assert_eq!(home.manager.asked("upgrade_result").len(), 3);
    assert_eq!(
        home.manager.asked("upgrade")[0],
        json!({"origin": {"module": "api"}, "command": "upgrade",
               "parameters": {"agents": [1], "use_http": false, "force_upgrade": false}})
    );
}

#[test]
fn the_version_asked_for_is_shown() {
    for version in ["v4.14.5", "4.14.5"] {
        let home = Home::new(manager(done_in_round_two));
        home.prints(
            &format!("--agents 10 1 10 --version {version}"),
            "\nUpgrading...\n\nUpgraded agents:\n\
             \tAgent 001 upgraded: Wazuh v4.7.0 -> v4.14.5\n\
             \tAgent 010 upgraded: Wazuh v4.7.0 -> v4.14.5\n",
        );
    }
}

#[test]
fn failures_tell_their_reason() {
    let home = Home::new(manager(|agent, _| match agent {
        1 => ("Error", Some("Send open file error")),
        8 => (TIMEOUT, None),
        10 => (CANCELLED, None),
        11 => (LEGACY, None),
        12 => ("Error", None),
        13 => ("Timeout", None),
        14 => ("Cancelled", None),
        _ => ("Updated", None),
    }));
    home.prints(
        "-a 15 14 13 12 11 10 8 1 -v v4.14.0",
        &format!(
            "\nUpgrading...\n\nUpgraded agents:\n\
             \tAgent 011 upgraded: Wazuh v4.7.0 -> v4.14.0\n\
             \tAgent 015 upgraded: Wazuh v4.7.0 -> v4.14.0\n\
             \nFailed upgrades:\n\
             \tAgent 001 status: Send open file error\n\
             \tAgent 008 status: {TIMEOUT}\n\
             \tAgent 010 status: {CANCELLED}\n\
             \tAgent 012 status: Error\n\
             \tAgent 013 status: {TIMEOUT}\n\
             \tAgent 014 status: {CANCELLED}\n"
        ),
    );
}

#[test]
fn only_failures() {
    let home = Home::new(manager(|_, _| (TIMEOUT, None)));
    home.prints(
        "-a 1",
        &format!("\nUpgrading...\n\nFailed upgrades:\n\tAgent 001 status: {TIMEOUT}\n"),
    );
}

#[test]
fn refusals_are_grouped_by_reason() {
    let home = Home::new(manager(done_in_round_two));
    let refused = "Agents that cannot be upgraded:\n\
         \tAgent 009 upgrade failed. Status: Error 1701 - Agent does not exist\n\
         \tAgent 000 upgrade failed. Status: Error 1703 - Action not available for Manager (agent 000)\n\
         \tAgent 003, 004 upgrade failed. Status: Error 1707 - Cannot send request, agent is not active\n\
         \tAgent 006 upgrade failed. Status: Error 1816 - Agent information not found in database\n\
         \tAgent 005 upgrade failed. Status: Error 1819 - The WPK for this platform is not available\n\
         \tAgent 002 upgrade failed. Status: Error 1822 - Current agent version is greater or equal\n";
    home.prints("-a 9 4 3 2 0 5 6", refused);
    assert!(home.manager.asked("upgrade_result").is_empty());
    home.prints(
        "-a 9 4 3 2 0 5 6 1 -v v4.14.0",
        &format!(
            "{refused}\nUpgrading...\n\nUpgraded agents:\n\
             \tAgent 001 upgraded: Wazuh v4.7.0 -> v4.14.0\n"
        ),
    );
}

#[test]
fn a_target_above_the_manager_ends_the_call() {
    let text = "Error 1823: Upgrading an agent to a version higher than the manager requires the force flag\n";
    let home = Home::new(manager(done_in_round_two));
    home.prints("-a 3 7 -v v9.0.0", text);
    // What was started before is not kept quiet, but is no line for scripts.
    let run = home.run("-a 1 7 -v v9.0.0").ended(0);
    assert_eq!(run.out, text);
    assert_eq!(
        run.err,
        "agent_upgrade: the upgrade of agent 001 was started before this failure and goes on\n"
    );
    assert!(home.manager.asked("upgrade_result").is_empty());
}

#[test]
fn other_failures_end_the_call() {
    let home = Home::new(|request| match request["command"].as_str().unwrap() {
        "agent_list" => refusal(3, "JSON parameter not recognized"),
        _ => refusal(3, "Parameter \"wpk_repo\" should be a string"),
    });
    home.prints(
        "-a 1",
        "Error 1813: Parameter \"wpk_repo\" should be a string\n",
    );
    home.prints("-l", "Error 1813: JSON parameter not recognized\n");

    std::fs::remove_file(&home.manager.socket).unwrap();
    let run = home.run("-a 1").ended(0);
    assert!(
        run.out
            .starts_with("Internal error: cannot reach the manager at "),
        "{}",
        run.out
    );
    assert_eq!(run.out.lines().count(), 1);
}

#[test]
fn a_manager_that_cannot_list_agents_can_still_upgrade_them() {
    let mut rounds = manager(done_in_round_two);
    let home = Home::new(move |request| match request["command"].as_str().unwrap() {
        "agent_list" => refusal(3, "JSON parameter not recognized"),
        _ => rounds(request),
    });
    home.prints(
        "-a 1 9",
        "Agents that cannot be upgraded:\n\
         \tAgent 009 upgrade failed. Status: Error 1701 - Agent does not exist\n\
         \nUpgrading...\n\nUpgraded agents:\n\tAgent 001 upgraded: unknown -> unknown\n",
    );
}

#[test]
fn the_list_of_outdated_agents() {
    let home = Home::new(|request| {
        assert_eq!(request["parameters"]["outdated"], true);
        let after = request["parameters"]["after"].as_i64().unwrap_or(0);
        answer(
            [3, 1234]
                .into_iter()
                .filter(|agent| *agent > after)
                .map(|agent| listed(agent, "v4.7.0"))
                .collect(),
        )
    });
    home.prints(
        "-l",
        "ID    Name                                Version                  \n\
         003   host3                               Wazuh v4.7.0             \n\
         1234  host1234                            Wazuh v4.7.0             \n\
         \nTotal outdated agents: 2\n",
    );
    let home = Home::new(|_| answer(vec![]));
    home.prints("--list_outdated", "All agents are updated.\n");
}

#[test]
fn silence_waits_and_prints_nothing() {
    let home = Home::new(manager(done_in_round_two));
    home.prints("-s -a 1 2", "");
    assert_eq!(home.manager.asked("upgrade_result").len(), 3);
}

#[test]
fn debug_goes_to_standard_error() {
    let home = Home::new(manager(done_in_round_two));
    let run = home.run("-d -a 1 -v v4.14.0").ended(0);
    assert_eq!(
        run.out,
        "\nUpgrading...\n\nUpgraded agents:\n\tAgent 001 upgraded: Wazuh v4.7.0 -> v4.14.0\n"
    );
    assert!(
        run.err.contains("debug: sent `upgrade` for 1 agents"),
        "{}",
        run.err
    );
}

#[test]
fn options_become_parameters() {
    let home = Home::new(manager(done_in_round_two));
    home.run("-a 1 -r mirror/wpk/ -v 4.14.0 -F --http --package_type rpm")
        .ended(0);
    home.run("-a 1 -f /a/b.wpk -x go.sh").ended(0);
    home.run("-a 1 -x go.sh").ended(0);
    assert_eq!(
        home.manager.asked("upgrade")[0]["parameters"],
        json!({"agents": [1], "version": "4.14.0", "wpk_repo": "mirror/wpk/",
               "use_http": true, "force_upgrade": true, "package_type": "rpm"})
    );
    let custom = home.manager.asked("upgrade_custom");
    assert_eq!(
        custom[0]["parameters"],
        json!({"agents": [1], "file_path": "/a/b.wpk", "installer": "go.sh"})
    );
    assert_eq!(
        custom[1]["parameters"],
        json!({"agents": [1], "installer": "go.sh"})
    );
}

#[test]
fn many_agents_go_in_chunks_that_are_halved_when_the_task_manager_is_away() {
    let ids: Vec<String> = (100..1_300).map(|id| id.to_string()).collect();
    let arguments = format!("-s -a {}", ids.join(" "));

    let home = Home::new(manager(done_in_round_two));
    home.run(&arguments).ended(0);
    let sizes = |home: &Home| -> Vec<usize> {
        let requests = home.manager.asked("upgrade");
        requests
            .iter()
            .map(|request| agents(request).len())
            .collect()
    };
    assert_eq!(sizes(&home), [500, 500, 200]);

    // Takes no more than 200 at a time; the first of a longer chunk get tasks.
    let tasks = Mutex::new(HashSet::new());
    let mut rounds = manager(done_in_round_two);
    let home = Home::new(move |request| match request["command"].as_str().unwrap() {
        "upgrade" => {
            let items = agents(request).into_iter().enumerate().map(|(n, agent)| {
                if n >= 200 {
                    return json!({"error": 4, "message": "Task manager communication error", "agent": agent});
                }
                assert!(tasks.lock().unwrap().insert(agent), "{agent} is sent twice");
                created(agent)
            });
            answer(items.collect())
        }
        _ => rounds(request),
    });
    let run = home.run(&arguments.replace("-s ", "-v v4.14.0 ")).ended(0);
    assert_eq!(sizes(&home)[..2], [500, 250]);
    assert_eq!(run.out.matches("upgraded: ").count(), 1_200, "{}", run.out);
}

#[test]
fn a_task_manager_that_stays_away_ends_the_call() {
    let mut rounds = manager(done_in_round_two);
    let home = Home::new(move |request| match request["command"].as_str().unwrap() {
        "upgrade" => refusal(4, "Task manager communication error"),
        _ => rounds(request),
    });
    home.prints(
        "-a 1 2 3 10",
        "Error 1814: Task manager communication error\n",
    );
    assert_eq!(home.manager.asked("upgrade").len(), 3, "4, 2, 1");
}

#[test]
fn a_restart_of_the_manager_is_outlived() {
    let mut rounds = manager(|_, _| (CANCELLED, None));
    let mut asked = 0;
    let home = Home::new(move |request| {
        asked += usize::from(request["command"] == "upgrade_result");
        match asked {
            1 | 2 => Reply::Close,
            _ => rounds(request),
        }
    });
    home.prints(
        "-a 1",
        &format!("\nUpgrading...\n\nFailed upgrades:\n\tAgent 001 status: {CANCELLED}\n"),
    );
}

#[test]
fn without_agents_it_prints_its_help() {
    let home = Home::new(|_| panic!("not asked"));
    let run = home.run("").ended(0);
    for option in [
        "-a, --agents <ID>",
        "-r, --repository <URL>",
        "-v, --version <V>",
        "-F, --force",
        "-s, --silent",
        "-l, --list_outdated",
        "-f, --file <WPK>",
        "-x, --execute <INSTALLER>",
        "-d, --debug",
        "--http",
        "--package_type <TYPE>",
    ] {
        assert!(run.out.contains(option), "{option}: {}", run.out);
    }
    for hidden in ["--socket", "--interval", "--json", "wpkctl"] {
        assert!(!run.out.contains(hidden), "{hidden}: {}", run.out);
    }
    assert_eq!(run.out, home.run("-h").ended(0).out);
    assert_eq!(run.out, home.run("-F").ended(0).out);
    for bad in [
        "-a",
        "-a x",
        "-a 1-3",
        "-a 1 --package_type msi",
        "--nothing",
    ] {
        home.run(bad).ended(2);
    }
}

#[test]
fn interrupting_it_is_status_1() {
    let home = Home::new(manager(|_, _| ("Updating", None)));
    let mut tool = home
        .command("-a 1 --interval 10ms")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tool.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "");
    assert_eq!(lines.next().unwrap().unwrap(), "Upgrading...");
    let pid = rustix::process::Pid::from_child(&tool);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert!(lines.next().is_none());
    assert_eq!(tool.wait().unwrap().code(), Some(1));
}

#[test]
fn under_its_own_name_it_is_a_hidden_command() {
    let home = Home::new(manager(done_in_round_two));
    let socket = home.manager.socket.to_str().unwrap();
    let run = run(&["--socket", socket, "agent_upgrade", "-a", "2"]).ended(0);
    assert_eq!(
        run.out,
        "Agents that cannot be upgraded:\n\
         \tAgent 002 upgrade failed. Status: Error 1822 - Current agent version is greater or equal\n"
    );
    assert!(
        !common::run(&["--help"])
            .ended(0)
            .out
            .contains("agent_upgrade")
    );
}
