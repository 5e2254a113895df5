//! `wpkctl agent revoke | remove | rename | label | show`: single agents of the embedded
//! manager. Each is one command of the socket; a 4.x manager's directory refuses them, but
//! for labels, which the manager's own store keeps then.

pub(crate) mod ca;
pub(crate) mod hold;
mod show;
pub(crate) mod token;

use std::str::FromStr;

use clap::Args;
use serde_json::json;
use wpk_api::{AgentChange, AgentId, Labels};
use wpk_rollout::Selector;
use wpk_wire::own::{ChangeAgent, ShowAgent};
use wpk_wire::{Item, UpgradeRequest};

use crate::error::CtlError;
use crate::manager::client::Client;
use crate::manager::fleet::Agent;
use crate::manager::socket;
use crate::options::{Global, Label};
use crate::output::{Ending, Output, clean};
use crate::who::{self, Named, OneAgent, Who, detour};

/// How a directory begins its answer to what it cannot do (PROTOCOL.md, section 15).
const NOT_SUPPORTED: &str = "not supported here";

/// `revoke` and `remove`.
#[derive(Debug, Args)]
#[command(group = who::must())]
pub(crate) struct OutArgs {
    #[command(flatten)]
    pub(crate) who: Who,
}

/// `rename`.
#[derive(Debug, Args)]
pub(crate) struct RenameArgs {
    /// The agent: an id or a name.
    pub(crate) agent: OneAgent,
    /// Its new name: letters, digits, '.', '_' or '-'.
    pub(crate) name: String,
}

/// `label`.
#[derive(Debug, Args)]
pub(crate) struct LabelArgs {
    /// Agents (ids, ranges, names and patterns, as in 7 1-50 web01 'db-*'), and labels to set.
    #[arg(value_name = "AGENT|KEY=VALUE", required = true)]
    pub(crate) words: Vec<AgentOrLabel>,
    /// All agents that a selector means, as in rollouts: 'group = prod and version < v4.14'.
    #[arg(long, value_name = "SELECTOR")]
    pub(crate) select: Option<Selector>,
    /// A label to take away; several times: several labels.
    #[arg(long, value_name = "KEY")]
    pub(crate) remove: Vec<String>,
}

/// A word of `label`: names have no `=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AgentOrLabel {
    Agent(Named),
    Label(Label),
}

impl FromStr for AgentOrLabel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.contains('=') {
            true => text.parse().map(Self::Label),
            false => text.parse().map(Self::Agent),
        }
    }
}

/// `show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The agent: an id or a name.
    pub(crate) agent: OneAgent,
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
    let mut client = Client::new(socket::path(global)?);
    let agents = args.who.find(&mut client).await?;
    change_all(&mut client, &agents, &change, out).await
}

/// Gives an agent another name.
pub(crate) async fn rename(
    global: &Global,
    args: RenameArgs,
    out: &Output,
) -> Result<Ending, CtlError> {
    let detour = detour(&args.name);
    let change = AgentChange::Rename(args.name);
    let mut client = Client::new(socket::path(global)?);
    let agent = args.agent.find(&mut client).await?;
    let ending = change_all(&mut client, &[agent], &change, out).await?;
    if let (Some(detour), Ending::Well) = (detour, ending) {
        out.warn(detour);
    }
    Ok(ending)
}

/// Sets labels and takes some away.
pub(crate) async fn label(
    global: &Global,
    args: LabelArgs,
    out: &Output,
) -> Result<Ending, CtlError> {
    let (mut agents, mut set) = (Vec::new(), Labels::new());
    for word in args.words {
        match word {
            AgentOrLabel::Agent(named) => agents.push(named),
            AgentOrLabel::Label(Label((key, value))) => {
                set.insert(key, value);
            }
        }
    }
    if set.is_empty() && args.remove.is_empty() {
        return Err(CtlError::Usage(
            "no label is given: write KEY=VALUE to set one, --remove KEY to take one away"
                .to_owned(),
        ));
    }
    let select = args.select;
    let who = Who { agents, select };
    if who.agents.is_empty() == who.select.is_none() {
        return Err(CtlError::Usage(
            "write which agents: ids, names or patterns, or else --select SELECTOR".to_owned(),
        ));
    }
    let mut client = Client::new(socket::path(global)?);
    let agents = who.find(&mut client).await?;
    let change = AgentChange::Label {
        set: set.clone(),
        unset: args.remove.clone(),
    };
    match change_all(&mut client, &agents, &change, out).await {
        // A directory that keeps no labels: the manager's own store does.
        Err(CtlError::Refused { message, .. }) if message.starts_with(NOT_SUPPORTED) => {
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
    let agent = args.agent.find(&mut client).await?;
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
    client: &mut Client,
    agents: &[AgentId],
    change: &AgentChange,
    out: &Output,
) -> Result<Ending, CtlError> {
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
