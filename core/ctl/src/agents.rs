//! `wpkctl agents`: the list of agents.

use clap::Args;
use wpk_wire::own::VersionFilter;

use crate::error::CtlError;
use crate::manager::client::Client;
use crate::manager::{fleet, socket};
use crate::options::Global;
use crate::output::{Ending, Output, render, table};

#[derive(Debug, Args)]
pub(crate) struct AgentsArgs {
    /// Only agents whose version is below the manager's.
    #[arg(long)]
    pub(crate) outdated: bool,
}

/// Lists them; with `--json` one object per agent.
pub(crate) async fn run(
    global: &Global,
    args: AgentsArgs,
    out: &Output,
) -> Result<Ending, CtlError> {
    let mut client = Client::new(socket::path(global)?);
    let version = args.outdated.then_some(VersionFilter::Older);
    let agents = fleet::list(&mut client, version).await?;
    for agent in &agents {
        out.event(agent.listed())?;
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
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let system = match (agent.system(), agent.system_version()) {
            (Some(name), Some(version)) => Some(format!("{name} {version}")),
            (name, version) => name.or(version),
        };
        table.add_row([
            agent.id().to_string(),
            or_dash(agent.name()),
            or_dash(agent.version()),
            agent.connection().as_str().to_owned(),
            or_dash(system),
            or_dash(agent.arch()),
            or_dash(agent.group()),
            or_dash(agent.node()),
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
