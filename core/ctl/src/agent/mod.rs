//! `wpkctl agent revoke | remove | rename | label | show`: single agents of the embedded
//! manager. Each is one command of the socket; a 4.x manager's directory refuses them, but
//! for labels, which the manager's own store keeps then.

pub(crate) mod ca;
pub(crate) mod hold;
mod show;
pub(crate) mod token;

use clap::Args;
use serde_json::json;
use wpk_api::{AgentChange, AgentId, Labels};
use wpk_wire::own::{ChangeAgent, ShowAgent};
use wpk_wire::{Item, UpgradeRequest};

use crate::error::CtlError;
use crate::ids::{IdRanges, expand, number};
use crate::manager::client::Client;
use crate::manager::fleet::Agent;
use crate::manager::socket;
use crate::options::{Global, Label};
use crate::output::{Ending, Output, clean};

/// How a directory begins its answer to what it cannot do (PROTOCOL.md, section 15).
const NOT_SUPPORTED: &str = "not supported here";

/// `revoke` and `remove`.
#[derive(Debug, Args)]
pub(crate) struct OutArgs {
    /// Agent ids: `7`, `1-50`, `1,2,5-7`.
    #[arg(required = true, value_name = "AGENT")]
    pub(crate) agents: Vec<IdRanges>,
}

/// `rename`.
#[derive(Debug, Args)]
pub(crate) struct RenameArgs {
    /// Agent id.
    #[arg(value_parser = number)]
    pub(crate) agent: AgentId,
    /// Its new name: letters, digits, '.', '_' or '-'.
    pub(crate) name: String,
}

/// `label`.
#[derive(Debug, Args)]
pub(crate) struct LabelArgs {
    /// Agent ids: `7`, `1-50`, `1,2,5-7`.
    #[arg(value_name = "AGENT")]
    pub(crate) agents: IdRanges,
    /// Labels to set.
    #[arg(value_name = "KEY=VALUE")]
    pub(crate) set: Vec<Label>,
    /// A label to take away; several times: several labels.
    #[arg(long, value_name = "KEY")]
    pub(crate) remove: Vec<String>,
}

/// `show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Agent id.
    #[arg(value_parser = number)]
    pub(crate) agent: AgentId,
}

/// Takes certificates back; with `forget` what was known of the agents goes as well.
pub(crate) async fn put_out(
    global: &Global,
    args: OutArgs,
    forget: bool,
    out: &Output,
) -> Result<Ending, CtlError> {
    let change = match forget {
        true => AgentChange::Remove,
        false => AgentChange::Revoke,
    };
    change_all(global, &expand(&args.agents)?, &change, out).await
}

/// Gives an agent another name.
pub(crate) async fn rename(
    global: &Global,
    args: RenameArgs,
    out: &Output,
) -> Result<Ending, CtlError> {
    let change = AgentChange::Rename(args.name);
    change_all(global, &[args.agent], &change, out).await
}

/// Sets labels and takes some away.
pub(crate) async fn label(
    global: &Global,
    args: LabelArgs,
    out: &Output,
) -> Result<Ending, CtlError> {
    if args.set.is_empty() && args.remove.is_empty() {
        return Err(CtlError::Usage(
            "no label is given: write KEY=VALUE to set one, --remove KEY to take one away"
                .to_owned(),
        ));
    }
    let set: Labels = args.set.into_iter().map(|label| label.0).collect();
    let agents = expand(&[args.agents])?;
    let change = AgentChange::Label {
        set: set.clone(),
        unset: args.remove.clone(),
    };
    match change_all(global, &agents, &change, out).await {
        // A directory that keeps no labels: the manager's own store does.
        Err(CtlError::Refused { message, .. }) if message.starts_with(NOT_SUPPORTED) => {
            let mut client = Client::new(socket::path(global)?);
            hold::label(&mut client, &agents, &set, &args.remove, out).await
        }
        other => other,
    }
}

/// Shows all that is known of an agent.
pub(crate) async fn show(
    global: &Global,
    args: ShowArgs,
    out: &Output,
) -> Result<Ending, CtlError> {
    let mut client = Client::new(socket::path(global)?);
    let agent = args.agent;
    let items = client.own(ShowAgent { agent }).await?;
    let agent = described(&client, "agent_show", items.first())?;
    out.last(agent.listed())?;
    for (key, value) in show::lines(&agent) {
        out.line(format!("{key:<16}{value}"))?;
    }
    Ok(Ending::Well)
}

/// One change of several agents; one that is refused does not keep the others.
async fn change_all(
    global: &Global,
    agents: &[AgentId],
    change: &AgentChange,
    out: &Output,
) -> Result<Ending, CtlError> {
    let mut client = Client::new(socket::path(global)?);
    let mut ending = Ending::Well;
    for &agent in agents {
        let change = change.clone();
        let done = done(&change);
        let request = UpgradeRequest::Own(ChangeAgent { agent, change }.into());
        match client.send(&request).await {
            Ok(items) => {
                let name = (items.first().and_then(Agent::of)).and_then(|agent| agent.name());
                out.event(&json!({"event": done, "agent": agent, "name": name}))?;
                let named = name.map_or_else(String::new, |name| format!(" ({})", clean(&name)));
                out.line(format!("agent {agent}{named}: {done}"))?;
            }
            Err(CtlError::Refused { message, .. })
                if agents.len() > 1 && !message.starts_with(NOT_SUPPORTED) =>
            {
                out.event(&json!({"event": "refused", "agent": agent, "message": message}))?;
                out.warn(format!("agent {agent}: {message}"));
                ending = Ending::Badly;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(ending)
}

fn done(change: &AgentChange) -> &'static str {
    match change {
        AgentChange::Revoke => "revoked",
        AgentChange::Remove => "removed",
        AgentChange::Rename(_) => "renamed",
        AgentChange::Label { .. } => "labelled",
    }
}

fn described(client: &Client, command: &str, item: Option<&Item>) -> Result<Agent, CtlError> {
    item.and_then(Agent::of).ok_or_else(|| {
        CtlError::Unexpected(format!(
            "the answer of the manager at {} to `{command}` describes no agent",
            client.socket().display()
        ))
    })
}
