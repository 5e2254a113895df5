//! The lines of `agent_upgrade`, byte for byte (PROTOCOL.md, section 13). Pure.

use std::collections::BTreeMap;
use std::fmt::Write;

use wpk_api::{AgentId, Dialect, Status};
use wpk_wire::UpgradeCode;
use wpk_wire::task::show_status;

use crate::error::CtlError;
use crate::manager::state::State;
use crate::output::clean;
use crate::watch::board::Board;
use crate::watch::entry::Entry;

/// What is added to a code of the upgrade socket.
const BASE: u32 = 1810;

/// The line that ends a call: `Error CODE: TEXT` or `Internal error: TEXT`.
pub(super) fn failure(error: &CtlError) -> String {
    match error {
        CtlError::Refused { code, message, .. } => {
            format!(
                "Error {}: {}",
                BASE + u32::from(code.number()),
                clean(message)
            )
        }
        other => format!("Internal error: {}", clean(&other.to_string())),
    }
}

/// The agents without a task, a line for each distinct reason; empty if there
/// are none. `known` tells whether the manager lists an agent.
pub(super) fn refusals(board: &Board, known: impl Fn(AgentId) -> bool) -> String {
    let mut reasons: BTreeMap<(u32, String), Vec<String>> = BTreeMap::new();
    for entry in board.entries().iter().filter(|entry| entry.task.is_none()) {
        let reason = refusal(entry, known(entry.agent));
        reasons
            .entry(reason)
            .or_default()
            .push(entry.agent.to_string());
    }
    if reasons.is_empty() {
        return String::new();
    }
    let mut text = "Agents that cannot be upgraded:\n".to_owned();
    for ((code, reason), agents) in reasons {
        let agents = agents.join(", ");
        // Writing into memory cannot fail.
        let _ = writeln!(
            text,
            "\tAgent {agents} upgrade failed. Status: Error {code} - {reason}"
        );
    }
    text
}

/// The number and the text of a refusal.
fn refusal(entry: &Entry, known: bool) -> (u32, String) {
    let code = entry.code.unwrap_or_default();
    match code.upgrade() {
        Some(UpgradeCode::AgentNotFound) if !known => (1701, "Agent does not exist".to_owned()),
        Some(UpgradeCode::ActionNotAvailable) => (
            1703,
            "Action not available for Manager (agent 000)".to_owned(),
        ),
        Some(UpgradeCode::AgentNotActive) => {
            (1707, "Cannot send request, agent is not active".to_owned())
        }
        _ => (
            BASE + u32::from(code.number()),
            entry.reason.clone().unwrap_or_default(),
        ),
    }
}

/// What became of the tasks. `target` is the version asked for.
pub(super) fn endings(board: &Board, target: Option<&str>) -> String {
    let tasks = || board.entries().iter().filter(|entry| entry.task.is_some());
    let upgraded: String = tasks()
        .filter(|entry| entry.state.well_as_4x())
        .map(|entry| {
            let unknown = || "unknown".to_owned();
            let from = entry.from.clone().unwrap_or_else(unknown);
            let to = target.map(clean).or_else(|| entry.reported.clone());
            let to = to.unwrap_or_else(unknown);
            format!("\tAgent {} upgraded: {from} -> {to}\n", entry.agent)
        })
        .collect();
    let failed: String = tasks()
        .filter(|entry| !entry.state.well_as_4x())
        .map(|entry| format!("\tAgent {} status: {}\n", entry.agent, reason(entry)))
        .collect();
    let mut text = String::new();
    for (title, lines) in [("Upgraded agents:", upgraded), ("Failed upgrades:", failed)] {
        if !lines.is_empty() {
            let _ = write!(text, "\n{title}\n{lines}");
        }
    }
    text
}

/// Why a task failed: its own text, else the 4.x text of its status.
fn reason(entry: &Entry) -> String {
    let stored = match entry.state {
        State::Timeout => Status::Timeout,
        State::Cancelled => Status::Cancelled,
        _ => Status::Failed,
    };
    entry.reason.clone().unwrap_or_else(|| {
        let shown = show_status(&stored, Dialect::Wazuh4);
        shown.unwrap_or(stored.as_str()).to_owned()
    })
}
