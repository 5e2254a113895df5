//! `wpkctl upgrade --dry-run`: what the manager would do for each agent. The
//! manager does the work with its own rules and providers; here it is asked,
//! and first of all made sure that it will not take the question for an order.

use std::collections::HashMap;

use serde_json::{Value, json};
use wpk_api::AgentId;
use wpk_wire::own::{Forecast, ListAgents};
use wpk_wire::{Code, Item, UpgradeCode, UpgradeCommand};

use super::send::CHUNK;
use crate::error::CtlError;
use crate::ids;
use crate::manager::ask::Ask;
use crate::manager::client::Client;
use crate::output::{Ending, Output, clean};
use crate::table::{render, table};

/// Prints one row for all agents of which the same is said, or one object per agent, and
/// how many would be upgraded.
/// Ends well if all of them would.
///
/// # Errors
/// A manager that does not know dry runs; it was asked for nothing then.
pub(crate) async fn run(
    client: &mut Client,
    ask: &Ask,
    agents: &[AgentId],
    out: &Output,
) -> Result<Ending, CtlError> {
    check_support(client).await?;
    let mut found: HashMap<AgentId, Item> = HashMap::new();
    for chunk in agents.chunks(CHUNK) {
        let items = client.send(&ask.request(chunk)).await?;
        let begun = items.iter().filter(|item| item.task_id.is_some());
        let begun: Vec<AgentId> = begun.filter_map(Item::agent_id).collect();
        if !begun.is_empty() {
            return Err(CtlError::Unexpected(format!(
                "the manager at {} took the dry run for an upgrade and began that of agent {}: \
                 see `wpkctl result`",
                client.socket().display(),
                ids::compact(begun)
            )));
        }
        let items = items.into_iter();
        found.extend(items.filter_map(|item| Some((item.agent_id()?, item))));
    }
    let verdicts: Vec<Verdict> = agents
        .iter()
        .map(|agent| Verdict::new(*agent, found.remove(agent)))
        .collect();
    print(&verdicts, out)
}

/// A manager that knows our own commands knows dry runs; one that does not
/// would upgrade.
async fn check_support(client: &mut Client) -> Result<(), CtlError> {
    let one = ListAgents {
        limit: Some(1),
        ..ListAgents::default()
    };
    match client.own(one).await {
        Ok(_) => Ok(()),
        Err(CtlError::Refused { code, message, .. }) => Err(CtlError::Unexpected(format!(
            "the manager at {} cannot be trusted with a dry run: it refuses `{}` with code \
             {code} ({message}), as one does that would upgrade instead; nothing was asked for. \
             Ask wpkd itself, and look into its log if it is",
            client.socket().display(),
            UpgradeCommand::AgentList
        ))),
        Err(other) => Err(other),
    }
}

/// What would become of one agent.
struct Verdict {
    agent: AgentId,
    code: Code,
    message: String,
    forecast: Forecast,
}

impl Verdict {
    fn new(agent: AgentId, item: Option<Item>) -> Self {
        let item = item.unwrap_or_else(|| Item {
            error: UpgradeCode::Unknown.into(),
            message: "the manager did not answer for this agent".into(),
            ..Item::default()
        });
        Self {
            agent,
            code: item.error,
            forecast: Forecast::from_item(&item),
            message: item.message.into_owned(),
        }
    }

    fn good(&self) -> bool {
        self.code.is_success()
    }

    /// Why not; a dash where nothing stands against it.
    fn why(&self) -> String {
        let Self { code, message, .. } = self;
        match &self.forecast.reason {
            _ if self.good() => "-".to_owned(),
            Some(reason) => clean(&format!("code {code}: {message}: {reason}")),
            None => clean(&format!("code {code}: {message}")),
        }
    }

    /// What is said of it.
    fn cells(&self) -> [String; 5] {
        let or_dash = |text: &Option<String>| text.as_deref().map_or("-".to_owned(), clean);
        let word = if self.good() { "upgrade" } else { "refused" };
        [
            word.to_owned(),
            or_dash(&self.forecast.target()),
            or_dash(&self.forecast.file),
            or_dash(&self.forecast.location),
            self.why(),
        ]
    }

    fn object(&self) -> Value {
        let forecast = &self.forecast;
        json!({
            "event": "verdict",
            "agent": self.agent,
            "error": self.code,
            "message": self.message,
            "target": forecast.target(),
            "file": forecast.file,
            "location": forecast.location,
            "reason": forecast.reason,
        })
    }
}

/// Agents of which the same is said share a row, in the order of the first of them.
fn print(verdicts: &[Verdict], out: &Output) -> Result<Ending, CtlError> {
    let mut rows: Vec<([String; 5], Vec<AgentId>)> = Vec::new();
    let mut known: HashMap<[String; 5], usize> = HashMap::new();
    for verdict in verdicts {
        out.event(&verdict.object())?;
        let cells = verdict.cells();
        let row = *known.entry(cells).or_insert_with_key(|cells| {
            rows.push((cells.clone(), Vec::new()));
            rows.len() - 1
        });
        if let Some((_, agents)) = rows.get_mut(row) {
            agents.push(verdict.agent);
        }
    }
    let mut table = table(&["agents", "verdict", "target", "file", "location", "reason"]);
    for (cells, agents) in rows {
        // Without blanks, so that it is one column and can be given to the tool again.
        let agents = ids::compact(agents).replace(", ", ",");
        table.add_row([vec![agents], cells.to_vec()].concat());
    }
    match verdicts {
        [] => out.line("There are no agents.")?,
        _ => out.line(render(&table))?,
    }
    let good = verdicts.iter().filter(|verdict| verdict.good()).count();
    let ending = Ending::when(good == verdicts.len());
    out.last(&json!({
        "event": "summary",
        "dry_run": true,
        "would_upgrade": good,
        "would_refuse": verdicts.len() - good,
        "exit_status": ending.status(),
    }))?;
    if verdicts.is_empty() {
        return Ok(ending);
    }
    out.line(format!(
        "\n{} agents: {good} would be upgraded, {} would not; nothing was changed",
        verdicts.len(),
        verdicts.len() - good
    ))?;
    Ok(ending)
}
