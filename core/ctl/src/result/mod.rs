//! `wpkctl result`: the last upgrade task of each agent.

use std::collections::HashMap;

use clap::Args;
use serde_json::json;
use wpk_api::AgentId;
use wpk_wire::{Item, TaskCode};

use crate::error::CtlError;
use crate::ids::{self, IdRanges};
use crate::manager::client::Client;
use crate::manager::results::{self, CHUNK};
use crate::manager::socket;
use crate::manager::state::State;
use crate::options::Global;
use crate::output::{Ending, Output, clean, render, table};

#[derive(Debug, Args)]
pub(crate) struct ResultArgs {
    /// Agents: ids and ranges, such as 001 7 10-50 or 1,2,5-7.
    #[arg(value_name = "AGENT", required = true)]
    pub(crate) agents: Vec<IdRanges>,
}

/// Prints one row, or one object, per agent. Ends well if every agent has a
/// task and none of them ended badly.
pub(crate) async fn run(
    global: &Global,
    args: ResultArgs,
    out: &Output,
) -> Result<Ending, CtlError> {
    let agents = ids::expand(&args.agents)?;
    let mut client = Client::new(socket::path(global)?);
    let mut found: HashMap<AgentId, Item> = HashMap::new();
    for chunk in agents.chunks(CHUNK) {
        let items = results::of(&mut client, chunk).await?.into_iter();
        found.extend(items.filter_map(|item| Some((item.agent_id()?, item))));
    }
    let mut good = true;
    let mut table = table(&[
        "agent", "task", "node", "command", "status", "reason", "created", "updated",
    ]);
    for agent in agents {
        let item = found.remove(&agent).unwrap_or_else(|| Item {
            error: TaskCode::Unknown.into(),
            message: "the manager did not answer for this agent".into(),
            ..Item::default()
        });
        let state = item.status.as_deref().and_then(State::from_shown);
        good &=
            item.error.is_success() && state.is_some_and(|state| state.well() || !state.ended());
        out.event(&object(agent, &item, state))?;
        let or_dash = |text: &Option<String>| text.as_deref().map_or("-".to_owned(), clean);
        table.add_row([
            agent.to_string(),
            item.task_id.map_or("-".to_owned(), |task| task.to_string()),
            or_dash(&item.node),
            or_dash(
                &item
                    .command
                    .as_ref()
                    .map(|command| command.as_str().to_owned()),
            ),
            status(&item, state),
            reason(&item),
            or_dash(&item.create_time),
            // The documented dialect writes 0 until the first update.
            or_dash(&item.update_time.clone().filter(|time| time != "0")),
        ]);
    }
    out.line(render(&table))?;
    Ok(Ending::when(good))
}

/// The documented word, an unknown text as it is, or a dash.
fn status(item: &Item, state: Option<State>) -> String {
    match (state, &item.status) {
        (Some(state), _) => state.word().to_owned(),
        (None, Some(text)) => clean(text),
        (None, None) => "-".to_owned(),
    }
}

fn reason(item: &Item) -> String {
    match &item.error_msg {
        Some(text) => clean(text),
        None if !item.error.is_success() => {
            format!("code {}: {}", item.error, clean(&item.message))
        }
        None => "-".to_owned(),
    }
}

fn object(agent: AgentId, item: &Item, state: Option<State>) -> serde_json::Value {
    json!({
        "agent": agent,
        "error": item.error,
        "message": item.message,
        "task_id": item.task_id,
        "node": item.node,
        "command": item.command,
        "status": state.map(State::word).or(item.status.as_deref()),
        "error_msg": item.error_msg,
        "create_time": item.create_time,
        "update_time": item.update_time,
    })
}
