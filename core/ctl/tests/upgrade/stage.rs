//! A manager whose agents are upgraded, and the tool.

use crate::common::*;
use serde_json::json;

pub(crate) const QUICK: [&str; 3] = ["--watch", "--interval", "10ms"];

pub(crate) fn socket() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("upgrade");
    (dir, socket)
}

pub(crate) fn upgrade(manager: &Manager, more: &[&str]) -> Run {
    let socket = manager.socket.to_str().unwrap();
    let mut arguments = vec!["--socket", socket, "upgrade"];
    arguments.extend(more);
    run(&arguments)
}

/// A manager whose agents report `v4.14.0` once they are updated. Agent 8 is
/// refused; the results of the others come from `status`, given the round.
pub(crate) fn manager(
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
            // A manager of before.
            "upgrade_changes" => refusal(2, "Required parameters in json message where not found"),
            other => panic!("{other}"),
        }
    })
}

pub(crate) fn two_rounds(agent: i64, round: usize) -> (&'static str, Option<&'static str>) {
    match (agent, round) {
        (_, 1) => ("Updating", None),
        (2, _) => ("Error", Some("Send open file error")),
        _ => ("Updated", None),
    }
}
