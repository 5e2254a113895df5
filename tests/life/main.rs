//! A task's whole life, as 4.x test plans describe it, and the ways of clients,
//! over the real sockets of a real daemon. What `end_to_end` and `recovery` show
//! already is not shown again here.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod agents;
mod clients;
mod node;
mod official;
mod restart;

use serde_json::{Value, json};
use wpk_testkit::{Manager, Repository};

/// A daemon with these agents (from 1 on, v4.7.0), a repository that has v4.14.8,
/// and the parameters that lead there.
async fn fleet(settings: &str, agents: u32) -> (Manager, Repository, Value) {
    let fleet = wpk_testkit::fleet(settings, agents, &[5; 100_000]).await;
    let (manager, repository, mut parameters) = fleet.unwrap();
    parameters["version"] = json!("v4.14.8");
    (manager, repository, parameters)
}

/// The status, and the reason if there is one, once the newest task of an agent
/// has ended.
async fn end_of(manager: &Manager, agent: u32) -> String {
    let ends = ["Updated", "Error", "Legacy", "Timeout", "Cancelled"];
    let item = manager.wait_for_status(agent, &ends).await;
    let item = item.unwrap_or_else(|| panic!("agent {agent} has no end\n{}", manager.output()));
    match item["error_msg"].as_str() {
        Some(reason) => format!("{}: {reason}", item["status"].as_str().unwrap()),
        None => item["status"].as_str().unwrap().to_owned(),
    }
}
