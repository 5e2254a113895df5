//! `wpkctl agents`: the list of agents.

use super::client::Client;
use super::fleet::Show;
use super::{fleet, socket};
use crate::cli::{AgentsArgs, Global};
use crate::error::CtlError;
use crate::ids;
use crate::output::{Ending, Output, render, table};

/// Lists them; with `--json` one object per agent.
pub(crate) async fn run(
    global: &Global,
    args: AgentsArgs,
    out: &Output,
) -> Result<Ending, CtlError> {
    let mut client = Client::new(socket::path(global)?);
    let show = if args.outdated {
        Show::Older
    } else {
        Show::All
    };
    let agents = fleet::list(&mut client, show).await?;
    for agent in &agents {
        out.event(&agent.object())?;
    }
    if out.json {
        return Ok(Ending::Well);
    }
    if agents.is_empty() {
        out.line(match args.outdated {
            true => "All agents are updated.",
            false => "There are no agents.",
        })?;
        return Ok(Ending::Well);
    }
    let mut table = table(&[
        "agent", "name", "version", "status", "system", "arch", "group", "node",
    ]);
    for agent in &agents {
        let member = |name| agent.text(name).unwrap_or_else(|| "-".to_owned());
        let system: Vec<String> = [
            agent.text("os_platform"),
            match (agent.text("os_major"), agent.text("os_minor")) {
                (Some(major), Some(minor)) => Some(format!("{major}.{minor}")),
                (major, _) => major,
            },
        ]
        .into_iter()
        .flatten()
        .collect();
        table.add_row([
            ids::show(agent.id),
            member("name"),
            agent.version().unwrap_or_else(|| "-".to_owned()),
            member("connection_status"),
            if system.is_empty() {
                "-".to_owned()
            } else {
                system.join(" ")
            },
            member("os_arch"),
            member("group"),
            member("node_name"),
        ]);
    }
    out.line(render(&table))?;
    let what = if args.outdated {
        "outdated agents"
    } else {
        "agents"
    };
    out.line(format!("\n{} {what}", agents.len()))?;
    Ok(Ending::Well)
}
