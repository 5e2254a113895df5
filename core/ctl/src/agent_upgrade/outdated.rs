//! `agent_upgrade -l`: the agents whose version is not the manager's.

use std::fmt::Write;

use wpk_api::AgentId;
use wpk_wire::own::VersionFilter;

use crate::error::CtlError;
use crate::manager::client::Client;
use crate::manager::fleet;
use crate::output;

/// Prints the list. The manager compares: it knows its own version.
///
/// # Errors
/// A manager that cannot be asked, or that does not know its version.
pub(super) async fn list(client: &mut Client) -> Result<(), CtlError> {
    let mut agents = fleet::list(client, Some(VersionFilter::Different), false).await?;
    agents.retain(|agent| agent.id() != AgentId::MANAGER);
    if agents.is_empty() {
        return output::print("All agents are updated.\n");
    }
    let mut text = row("ID", "Name", "Version");
    for agent in &agents {
        let (name, version) = (agent.name(), agent.version_text());
        text.push_str(&row(
            &agent.id().to_string(),
            &name.unwrap_or_default(),
            &version.unwrap_or_default(),
        ));
    }
    // Writing into memory cannot fail.
    let _ = writeln!(text, "\nTotal outdated agents: {}", agents.len());
    output::print(&text)
}

/// `%-6s%-35s %-25s`, padding of the last column included.
fn row(id: &str, name: &str, version: &str) -> String {
    format!("{id:<6}{name:<35} {version:<25}\n")
}
