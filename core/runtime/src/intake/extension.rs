//! Our own commands on the upgrade socket, for `wpkctl`: the list of agents,
//! enrolment, and the progress of deliveries. They are additions; no command of
//! protocol.md is answered here.

use serde_json::{Map, Value, json};
use wpk_api::{AgentId, AgentInfo, Enrollment, Peer, Version};
use wpk_wire::{Item, Refusal, Response, UpgradeCode};

use crate::engine::Shared;

/// The most agents in one answer of `agent_list`.
const LONGEST_PAGE: usize = 1_000;
/// The longest list of `upgrade_progress`.
const MOST_IDS: usize = 1_000_000;

/// Answers one of our own commands.
pub(super) async fn answer(
    shared: &Shared,
    peer: Peer,
    command: &str,
    parameters: &Map<String, Value>,
) -> Result<Response, Refusal> {
    match command {
        "agent_list" => list(shared, parameters).await,
        "agent_enroll" => enroll(shared, peer, parameters).await,
        "upgrade_progress" => progress(shared, parameters),
        _ => Err(Refusal::upgrade(UpgradeCode::NotRecognized)),
    }
}

fn number(parameters: &Map<String, Value>, key: &str) -> Result<Option<i64>, Refusal> {
    match parameters.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or_else(|| {
            Refusal::not_recognized(format!("Parameter \"{key}\" should be a number"))
        }),
    }
}

/// `agent_list`: `after` (id, optional), `limit` (1 to 1000), `version`
/// (only agents whose version is `"older"` than the manager's, or `"different"`
/// from it). An empty page is the end.
async fn list(shared: &Shared, parameters: &Map<String, Value>) -> Result<Response, Refusal> {
    let mut after = match number(parameters, "after")? {
        None => None,
        Some(id) => {
            Some(AgentId::new(id).map_err(|error| Refusal::not_recognized(error.to_string()))?)
        }
    };
    let limit = number(parameters, "limit")?.and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.unwrap_or(LONGEST_PAGE).clamp(1, LONGEST_PAGE);
    let filter = version_filter(shared, parameters)?;
    loop {
        let page = (shared.parts.directory.list(after, limit).await)
            .map_err(|error| Refusal::not_recognized(error.to_string()))?;
        let last = page.agents.last().map(|agent| agent.id);
        let items: Vec<Item> = page
            .agents
            .iter()
            .filter(|agent| filter.as_ref().is_none_or(|filter| filter(agent)))
            .map(describe)
            .collect();
        // A page may hold no such agent while later ones do.
        if !items.is_empty() || !page.more || last.is_none() {
            return Ok(Response::success(items));
        }
        after = last;
    }
}

type AgentFilter = Box<dyn Fn(&AgentInfo) -> bool + Send + Sync>;

/// The filter that the parameter `version` asks for.
fn version_filter(
    shared: &Shared,
    parameters: &Map<String, Value>,
) -> Result<Option<AgentFilter>, Refusal> {
    let older = match parameters.get("version") {
        None => return Ok(None),
        Some(Value::String(word)) if word == "older" => true,
        Some(Value::String(word)) if word == "different" => false,
        Some(_) => {
            return Err(Refusal::not_recognized(
                "Parameter \"version\" should be \"older\" or \"different\"",
            ));
        }
    };
    let manager = shared.settings.node.version.ok_or_else(|| {
        Refusal::not_recognized("The manager's version is not known: set node.version")
    })?;
    let passes = move |version: Version| {
        if older {
            version < manager
        } else {
            version != manager
        }
    };
    Ok(Some(Box::new(move |agent| {
        agent.parsed_version().is_some_and(passes)
    })))
}

fn describe(agent: &AgentInfo) -> Item {
    let mut extra = Map::new();
    let texts = [
        ("name", &agent.name),
        ("version", &agent.version),
        ("os_platform", &agent.platform.name),
        ("os_major", &agent.platform.major),
        ("os_minor", &agent.platform.minor),
        ("os_arch", &agent.platform.arch),
        ("group", &agent.group),
        ("node_name", &agent.node),
    ];
    for (key, text) in texts {
        if let Some(text) = text {
            extra.insert(key.to_owned(), Value::from(text.as_str()));
        }
    }
    extra.insert(
        "connection_status".to_owned(),
        Value::from(agent.connection.as_str()),
    );
    Item {
        extra,
        ..Item::upgrade(UpgradeCode::Success, i64::from(agent.id))
    }
}

/// `agent_enroll`: `name`. The answer holds a private key, so only root and the
/// daemon's own user may ask.
async fn enroll(
    shared: &Shared,
    peer: Peer,
    parameters: &Map<String, Value>,
) -> Result<Response, Refusal> {
    let own = rustix::process::geteuid().as_raw();
    if !matches!(peer, Peer::Local { uid } if uid == 0 || uid == own) {
        return Err(Refusal::not_recognized(
            "Only root and the user of wpkd may enroll agents",
        ));
    }
    let Some(Value::String(name)) = parameters.get("name") else {
        return Err(Refusal::upgrade(UpgradeCode::RequiredParameters));
    };
    let enrolled = (shared.parts.directory.enroll(name).await)
        .map_err(|error| Refusal::not_recognized(error.to_string()))?;
    let Enrollment {
        id,
        name,
        key_pem,
        certificate_pem,
        ca_pem,
        address,
    } = enrolled;
    let extra = json!({
        "name": name, "key": key_pem, "certificate": certificate_pem, "ca": ca_pem, "address": address,
    });
    let extra = extra.as_object().cloned().unwrap_or_default();
    Ok(Response::success(vec![Item {
        extra,
        ..Item::upgrade(UpgradeCode::Success, i64::from(id))
    }]))
}

/// `upgrade_progress`: `agents`; one item for each that is being delivered to
/// right now, with `step`, and `sent` and `total` in bytes.
fn progress(shared: &Shared, parameters: &Map<String, Value>) -> Result<Response, Refusal> {
    let Some(Value::Array(ids)) = parameters.get("agents") else {
        return Err(Refusal::upgrade(UpgradeCode::RequiredParameters));
    };
    let running = |id: &Value| {
        let agent = AgentId::new(id.as_i64()?).ok()?;
        let progress = shared.board.get(agent)?;
        let extra = json!({"step": progress.step, "sent": progress.sent, "total": progress.total});
        Some(Item {
            extra: extra.as_object().cloned().unwrap_or_default(),
            ..Item::created(i64::from(agent), progress.task.0)
        })
    };
    Ok(Response::success(
        ids.iter().take(MOST_IDS).filter_map(running).collect(),
    ))
}
