//! `wpkctl agent hold | unhold | holds`: agents that no rollout touches.

use clap::Args;
use serde_json::json;
use wpk_api::{AgentId, Labels};
use wpk_wire::OwnRequest;
use wpk_wire::own::rollout::{
    HeldAgent, HoldAgents, LONGEST_PAGE, LabelAgents, ListHolds, Touched, UnholdAgents, Words,
};

use crate::error::CtlError;
use crate::ids::compact;
use crate::manager::client::Client;
use crate::manager::{rollouts, socket};
use crate::options::Global;
use crate::output::{Ending, Output, clean, time};
use crate::table::{render, table};
use crate::who::{self, Who};

/// The most agents that are listed.
const MOST_LISTED: usize = 2_000_000;

/// `hold`.
#[derive(Debug, Args)]
#[command(group = who::must())]
pub(crate) struct HoldArgs {
    #[command(flatten)]
    pub(crate) who: Who,
    /// Why; shown wherever the agent is.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) reason: String,
}

/// `unhold`.
#[derive(Debug, Args)]
#[command(group = who::must())]
pub(crate) struct UnholdArgs {
    #[command(flatten)]
    pub(crate) who: Who,
}

/// Holds agents.
pub(crate) async fn hold(
    global: &Global,
    args: HoldArgs,
    out: &Output,
) -> Result<Ending, CtlError> {
    let reason = args.reason;
    let request = |agents| {
        let reason = reason.clone();
        HoldAgents { agents, reason }.into()
    };
    let mut client = Client::new(socket::path(global)?);
    let agents = args.who.find(&mut client).await?;
    all(&mut client, &agents, request, "held", out).await
}

/// Lets agents go.
pub(crate) async fn unhold(
    global: &Global,
    args: UnholdArgs,
    out: &Output,
) -> Result<Ending, CtlError> {
    let request = |agents| UnholdAgents { agents }.into();
    let mut client = Client::new(socket::path(global)?);
    let agents = args.who.find(&mut client).await?;
    all(&mut client, &agents, request, "let go", out).await
}

/// Sets labels that the manager's own store keeps, and takes some away.
pub(super) async fn label(
    client: &mut Client,
    agents: &[AgentId],
    set: &Labels,
    remove: &[String],
    out: &Output,
) -> Result<Ending, CtlError> {
    let request = |agents| {
        let (set, remove) = (set.clone(), remove.to_vec());
        LabelAgents {
            agents,
            set,
            remove,
        }
        .into()
    };
    all(client, agents, request, "labelled", out).await
}

/// One request for as many agents as it may name.
async fn all(
    client: &mut Client,
    agents: &[AgentId],
    request: impl Fn(Vec<AgentId>) -> OwnRequest,
    done: &str,
    out: &Output,
) -> Result<Ending, CtlError> {
    let mut touched = Touched::default();
    for part in rollouts::parts(agents) {
        let request = request(part.to_vec());
        let command = request.command();
        let items = rollouts::send(client, request).await?;
        let answer = rollouts::first(client, command, &items, Touched::from_item)?;
        touched.changed = touched.changed.saturating_add(answer.changed);
        touched.not_known.extend(answer.not_known);
    }
    let event = done.replace(' ', "_");
    let unknown = &touched.not_known;
    out.last(&json!({"event": event, "changed": touched.changed, "not_known": unknown}))?;
    let count = match touched.changed {
        1 => "1 agent".to_owned(),
        count => format!("{count} agents"),
    };
    out.line(format!("{count}: {done}"))?;
    if !unknown.is_empty() {
        let ids = compact(unknown.iter().copied());
        out.warn(format!("the manager does not know agent {ids}"));
    }
    Ok(Ending::when(unknown.is_empty()))
}

/// Lists the agents that are held.
pub(crate) async fn list(global: &Global, out: &Output) -> Result<Ending, CtlError> {
    let mut client = Client::new(socket::path(global)?);
    let mut held: Vec<HeldAgent> = Vec::new();
    loop {
        let after = held.last().map(|one| one.agent);
        let limit = Some(LONGEST_PAGE);
        let items = rollouts::ask(&mut client, ListHolds { after, limit }).await?;
        let page = items.iter().filter_map(HeldAgent::from_item);
        // A page that does not go on would be asked for ever.
        let page: Vec<_> = page.filter(|one| Some(one.agent) > after).collect();
        if page.is_empty() || held.len() > MOST_LISTED {
            break;
        }
        held.extend(page);
    }
    for one in &held {
        out.last(one)?;
    }
    if held.is_empty() {
        out.line("No agent is held.")?;
        return Ok(Ending::Well);
    }
    let mut table = table(&["agent", "name", "since", "who", "reason"]);
    for one in &held {
        let shown = |text: Option<&Words>| {
            let text = text.map(|text| clean(text)).filter(|text| !text.is_empty());
            text.unwrap_or_else(|| "-".to_owned())
        };
        table.add_row([
            one.agent.to_string(),
            shown(one.name.as_ref()),
            one.since.map_or_else(|| "-".to_owned(), time),
            shown(one.who.as_ref()),
            shown(Some(&one.reason)),
        ]);
    }
    out.line(render(&table))?;
    Ok(Ending::Well)
}
