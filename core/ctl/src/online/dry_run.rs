//! `wpkctl upgrade --dry-run`: what the manager would do for each agent. The
//! manager does the work with its own rules and providers; here it is asked,
//! and first of all made sure that it will not take the question for an order.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use wpk_wire::Item;

use super::client::{Client, accepted};
use super::send::{Ask, CHUNK};
use crate::error::CtlError;
use crate::ids;
use crate::output::{Ending, Output, clean, render, table};

/// Prints one row, or one object, per agent, and how many would be upgraded.
/// Ends well if all of them would.
///
/// # Errors
/// A manager that does not know dry runs; it was asked for nothing then.
pub(crate) async fn run(
    client: &mut Client,
    ask: &Ask,
    agents: &[i64],
    out: &Output,
) -> Result<Ending, CtlError> {
    check_support(client).await?;
    let mut found: HashMap<i64, Item> = HashMap::new();
    for chunk in agents.chunks(CHUNK) {
        let answer = client.send(&ask.request(chunk)).await?;
        let items = accepted(ask.command(), answer)?;
        let begun = items.iter().filter(|item| item.task_id.is_some());
        let begun: Vec<i64> = begun.filter_map(|item| item.agent).collect();
        if !begun.is_empty() {
            return Err(CtlError::Unexpected(format!(
                "the manager at {} took the dry run for an upgrade and began that of agent {}: \
                 see `wpkctl result`",
                client.socket().display(),
                ids::compact(begun)
            )));
        }
        let items = items.into_iter();
        found.extend(items.filter_map(|item| Some((item.agent?, item))));
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
    let parameters = Map::from_iter([("limit".to_owned(), json!(1))]);
    match client.extension("agent_list", parameters).await {
        Ok(_) => Ok(()),
        Err(CtlError::Refused { code, message, .. }) => Err(CtlError::Unexpected(format!(
            "the manager at {} cannot be trusted with a dry run: it refuses `agent_list` with \
             code {code} ({message}), as one does that would upgrade instead; nothing was asked \
             for. Ask wpkd itself, and look into its log if it is",
            client.socket().display()
        ))),
        Err(other) => Err(other),
    }
}

/// What would become of one agent.
struct Verdict {
    agent: i64,
    code: u8,
    message: String,
    target: Option<String>,
    file: Option<String>,
    location: Option<String>,
    /// Why no WPK was found for an agent that may be upgraded.
    reason: Option<String>,
}

impl Verdict {
    fn new(agent: i64, item: Option<Item>) -> Self {
        let item = item.unwrap_or_else(|| Item {
            error: 26,
            message: "the manager did not answer for this agent".into(),
            ..Item::default()
        });
        let text = |name| match item.extra.get(name) {
            Some(Value::String(text)) => Some(text.clone()),
            _ => None,
        };
        Self {
            agent,
            code: item.error,
            target: text("target"),
            file: text("file"),
            location: text("location"),
            reason: text("reason"),
            message: item.message.into_owned(),
        }
    }

    fn good(&self) -> bool {
        self.code == 0
    }

    /// Why not; a dash where nothing stands against it.
    fn why(&self) -> String {
        let Self { code, message, .. } = self;
        match &self.reason {
            _ if self.good() => "-".to_owned(),
            Some(reason) => clean(&format!("code {code}: {message}: {reason}")),
            None => clean(&format!("code {code}: {message}")),
        }
    }

    fn object(&self) -> Value {
        json!({
            "event": "verdict",
            "agent": self.agent,
            "error": self.code,
            "message": self.message,
            "target": self.target,
            "file": self.file,
            "location": self.location,
            "reason": self.reason,
        })
    }
}

fn print(verdicts: &[Verdict], out: &Output) -> Result<Ending, CtlError> {
    let mut table = table(&["agent", "verdict", "target", "file", "location", "reason"]);
    for verdict in verdicts {
        out.event(&verdict.object())?;
        let or_dash = |text: &Option<String>| text.as_deref().map_or("-".to_owned(), clean);
        let word = if verdict.good() { "upgrade" } else { "refused" };
        table.add_row([
            ids::show(verdict.agent),
            word.to_owned(),
            or_dash(&verdict.target),
            or_dash(&verdict.file),
            or_dash(&verdict.location),
            verdict.why(),
        ]);
    }
    out.line(render(&table))?;
    let good = verdicts.iter().filter(|verdict| verdict.good()).count();
    let ending = Ending::when(good == verdicts.len());
    out.last(&json!({
        "event": "summary",
        "dry_run": true,
        "would_upgrade": good,
        "would_refuse": verdicts.len() - good,
        "exit_status": ending.status(),
    }))?;
    out.line(format!(
        "\n{} agents: {good} would be upgraded, {} would not; nothing was changed",
        verdicts.len(),
        verdicts.len() - good
    ))?;
    Ok(ending)
}
