//! One agent: whether the manager lists it and reaches it, and what it would do
//! with an upgrade.

use wpk_api::examine::Check;
use wpk_api::{AgentId, ConnectionStatus, Platform};
use wpk_wire::own::Forecast;
use wpk_wire::{Item, UpgradeCode, UpgradeParams};

use crate::manager::ask::Ask;
use crate::manager::client::Client;
use crate::manager::fleet::{self, Agent};
use crate::who::OneAgent;

const NAME: &str = "agent";

/// What was seen of an agent.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) checks: Vec<Check>,
    /// Its platform, where it is known.
    pub(super) platform: Option<Platform>,
}

impl From<Check> for Seen {
    fn from(check: Check) -> Self {
        Self {
            checks: vec![check],
            platform: None,
        }
    }
}

/// Asks the manager about it.
pub(super) async fn look(client: &mut Client, agent: &OneAgent) -> Seen {
    let id = match agent.find(client).await {
        Ok(id) => id,
        Err(error) => return Check::failure(NAME, error.to_string(), "").into(),
    };
    let agent = match fleet::find(client, [id]).await {
        Ok(mut agents) => agents.remove(&id),
        Err(error) => {
            let detail = format!("{id} cannot be looked at: {error}");
            return Check::failure(NAME, detail, "").into();
        }
    };
    let Some(agent) = agent else {
        let detail = format!("{id} is not known to the manager");
        return Check::failure(NAME, detail, "see `wpkctl agents`").into();
    };
    let platform = agent.listed().platform.clone();
    Seen {
        checks: vec![connection(&agent), dry_run(client, id).await],
        platform: platform.name.is_some().then_some(platform),
    }
}

fn connection(agent: &Agent) -> Check {
    let known = |text: Option<String>| text.unwrap_or_else(|| "unknown".to_owned());
    let status = agent.connection();
    let detail = format!(
        "{} ({}) is {}, version {}, {} {}",
        agent.id(),
        known(agent.name()),
        status.as_str(),
        known(agent.version_text()),
        known(agent.system()),
        known(agent.arch())
    );
    match status {
        ConnectionStatus::Active => Check::ok(NAME, detail),
        _ => Check::failure(NAME, detail, "start it, and look into its log"),
    }
}

/// The manager lists agents, so it is ours and knows dry runs.
async fn dry_run(client: &mut Client, id: AgentId) -> Check {
    const NAME: &str = "dry run";
    let ask = Ask::Release(UpgradeParams {
        dry_run: true,
        ..UpgradeParams::default()
    });
    let item = match client.send(&ask.request(&[id])).await {
        Ok(items) => items.into_iter().find(|item| item.agent_id() == Some(id)),
        Err(error) => return Check::failure(NAME, error.to_string(), ""),
    };
    let Some(item) = item else {
        let detail = format!("the manager did not answer for agent {id}");
        return Check::failure(NAME, detail, "look into its log");
    };
    let forecast = Forecast::from_item(&item);
    let unknown = || "what is newest".to_owned();
    let Item { error, message, .. } = &item;
    match error.upgrade() {
        Some(UpgradeCode::Success) => Check::ok(
            NAME,
            format!(
                "{id} would be upgraded to {} from {}",
                forecast.target().unwrap_or_else(unknown),
                forecast.location.unwrap_or_else(unknown)
            ),
        ),
        // Being upgraded right now, or current already.
        Some(UpgradeCode::AlreadyUpgrading | UpgradeCode::VersionNotGreater) => {
            Check::ok(NAME, format!("{id}: code {error}: {message}"))
        }
        _ => {
            let reason = forecast.reason;
            let reason = reason.map_or(String::new(), |reason| format!(": {reason}"));
            let detail = format!("{id}: code {error}: {message}{reason}");
            Check::failure(NAME, detail, "upgrades of it will be refused or fail")
        }
    }
}
