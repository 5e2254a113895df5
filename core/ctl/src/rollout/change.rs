//! `wpkctl rollout pause | resume | halt | cancel | retry | skip | settle`.

use serde_json::json;
use wpk_api::AgentId;
use wpk_wire::OwnRequest;
use wpk_wire::own::rollout::{ChangeRollout, ListedRollout, RolloutChange, RolloutState, Which};

use super::args::{HaltArgs, OutcomeWord, RetryArgs, SettleArgs, SkipArgs};
use super::words::{agents, named};
use crate::error::CtlError;
use crate::manager::client::Client;
use crate::manager::{rollouts, socket};
use crate::options::Global;
use crate::output::{Ending, Output, clean};

/// One change of a rollout as a whole.
pub(super) async fn whole(
    global: &Global,
    name: String,
    change: RolloutChange,
    out: &Output,
) -> Result<Ending, CtlError> {
    let done = match &change {
        RolloutChange::Pause => "paused",
        RolloutChange::Resume => "resumed",
        RolloutChange::Halt(_) => "halted",
        _ => "cancelled",
    };
    let goes_on = match &change {
        RolloutChange::Resume => "",
        _ => "; what was begun ends by itself",
    };
    let mut client = Client::new(socket::path(global)?);
    let rollout = send(&mut client, name, change).await?;
    out.last(&json!({"event": done, "rollout": rollout}))?;
    let shown = named(&rollout.name, rollout.generation);
    out.line(format!("rollout {shown}: {done}{goes_on}"))?;
    // What halted it may still be so.
    if done == "resumed" && rollout.state == RolloutState::Halted {
        let why = rollout
            .reason
            .as_ref()
            .map_or_else(String::new, |reason| format!(": {}", clean(reason)));
        out.warn(format!("rollout {shown} is halted again{why}"));
        return Ok(Ending::Badly);
    }
    Ok(Ending::Well)
}

/// `halt`.
pub(super) async fn halt(
    global: &Global,
    args: HaltArgs,
    out: &Output,
) -> Result<Ending, CtlError> {
    whole(global, args.name, RolloutChange::Halt(args.reason), out).await
}

/// `retry`.
pub(super) async fn retry(
    global: &Global,
    args: RetryArgs,
    out: &Output,
) -> Result<Ending, CtlError> {
    let mut client = Client::new(socket::path(global)?);
    let changes = match args.failed {
        true => vec![RolloutChange::Retry(Which::Failed)],
        false => in_parts(&args.who.find(&mut client).await?, |part| {
            RolloutChange::Retry(Which::Agents(part))
        }),
    };
    of_agents(&mut client, &args.name, changes, "retried", out).await
}

/// `skip`.
pub(super) async fn skip(
    global: &Global,
    args: SkipArgs,
    out: &Output,
) -> Result<Ending, CtlError> {
    let mut client = Client::new(socket::path(global)?);
    let agents = args.who.find(&mut client).await?;
    let changes = in_parts(&agents, RolloutChange::Skip);
    of_agents(&mut client, &args.name, changes, "skipped", out).await
}

/// `settle`.
pub(super) async fn settle(
    global: &Global,
    args: SettleArgs,
    out: &Output,
) -> Result<Ending, CtlError> {
    let mut client = Client::new(socket::path(global)?);
    let agent = args.agent.find(&mut client).await?;
    let succeeded = args.outcome == OutcomeWord::Succeeded;
    let change = RolloutChange::Settle { agent, succeeded };
    let rollout = send(&mut client, args.name, change).await?;
    out.last(&json!({
        "event": "settled", "agent": agent, "succeeded": succeeded, "rollout": rollout,
    }))?;
    let shown = named(&rollout.name, rollout.generation);
    let word = if succeeded { "succeeded" } else { "failed" };
    out.line(format!(
        "agent {agent} in rollout {shown}: settled as {word}"
    ))?;
    Ok(Ending::Well)
}

fn in_parts(
    agents: &[AgentId],
    change: impl Fn(Vec<AgentId>) -> RolloutChange,
) -> Vec<RolloutChange> {
    let parts = rollouts::parts(agents);
    parts.map(|part| change(part.to_vec())).collect()
}

async fn of_agents(
    client: &mut Client,
    name: &str,
    changes: Vec<RolloutChange>,
    done: &str,
    out: &Output,
) -> Result<Ending, CtlError> {
    let mut changed = 0_u64;
    let mut after = None;
    for change in changes {
        let rollout = send(client, name.to_owned(), change).await?;
        changed = changed.saturating_add(rollout.changed.unwrap_or_default());
        after = Some(rollout);
    }
    let Some(rollout) = after else {
        return Ok(Ending::Well);
    };
    out.last(&json!({"event": done, "changed": changed, "rollout": rollout}))?;
    let shown = named(&rollout.name, rollout.generation);
    out.line(format!("rollout {shown}: {} {done}", agents(changed)))?;
    if rollout.state == RolloutState::Halted {
        out.line(format!(
            "It is halted: let it go on with wpkctl rollout resume {}",
            clean(&rollout.name)
        ))?;
    }
    Ok(Ending::Well)
}

async fn send(
    client: &mut Client,
    name: String,
    change: RolloutChange,
) -> Result<ListedRollout, CtlError> {
    let request = OwnRequest::from(ChangeRollout { name, change });
    let command = request.command();
    let items = rollouts::send(client, request).await?;
    rollouts::first(client, command, &items, ListedRollout::from_item)
}
