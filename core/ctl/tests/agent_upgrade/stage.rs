//! The stage: a manager's home with the tool, and a scripted manager.

use std::process::Command;

use serde_json::{Value, json};

use crate::common::{Manager, Reply, Run, agents, answer, created, listed, task};

pub(crate) const TIMEOUT: &str = "Timeout reached while waiting for the response from the agent, check the result manually on the agent for more information";
pub(crate) const CANCELLED: &str = "Task cancelled since the manager was restarted";
pub(crate) const LEGACY: &str = "Legacy upgrade: check the result manually since the agent cannot report the result of the task";

/// A manager's home with the tool in its `bin`.
pub(crate) struct Home {
    dir: tempfile::TempDir,
    pub(crate) manager: Manager,
}

impl Home {
    pub(crate) fn new(handler: impl FnMut(&Value) -> Reply + Send + 'static) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["bin", "queue/tasks"] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        let tool = dir.path().join("bin/agent_upgrade");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_wpkctl"), tool).unwrap();
        let manager = Manager::start(&dir.path().join("queue/tasks/upgrade"), handler);
        Self { dir, manager }
    }

    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(self.dir.path().join("bin/agent_upgrade"));
        command.args(arguments.split_whitespace()).env_clear();
        command
    }

    pub(crate) fn run(&self, arguments: &str) -> Run {
        let arguments = format!("{arguments} --interval 10ms");
        Run::of(self.command(&arguments).output().unwrap())
    }

    /// Runs it, expects exit status 0 and nothing on standard error.
    #[track_caller]
    pub(crate) fn prints(&self, arguments: &str, output: &str) {
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
pub(crate) fn manager(
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

pub(crate) fn done_in_round_two(_: i64, round: usize) -> (&'static str, Option<&'static str>) {
    match round {
        1 => ("In queue", None),
        2 => ("Updating", None),
        _ => ("Updated", None),
    }
}
