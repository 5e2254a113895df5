//! Parameters that several commands about rollouts have, each refused with its own text.

use serde_json::{Map, Value};
use wpk_api::{AgentId, Version};

use crate::codes::UpgradeCode;
pub(super) use crate::parameters::number;
use crate::parameters::{self, should_be, text};
use crate::refusal::Refusal;

/// The longest text of a definition, in bytes.
pub const LONGEST_DEFINITION: usize = 1 << 20;
/// The longest name of a rollout, in bytes.
pub const LONGEST_NAME: usize = 64;
/// The longest reason that an operator gives, in bytes.
pub const LONGEST_REASON: usize = 512;
/// The most agents that one request names.
pub const MOST_AGENTS: usize = 10_000;
/// The most items of a page.
pub const LONGEST_PAGE: usize = 1_000;

type Parameters = Map<String, Value>;

fn required<T>(found: Option<T>) -> Result<T, Refusal> {
    found.ok_or_else(|| Refusal::upgrade(UpgradeCode::RequiredParameters))
}

/// The text of a definition.
pub(super) fn definition(parameters: &Parameters) -> Result<String, Refusal> {
    let text = required(text(parameters, "definition")?)?;
    match text.len() {
        0..=LONGEST_DEFINITION => Ok(text),
        bytes => Err(Refusal::not_recognized(format!(
            "The definition has {bytes} bytes, and at most {LONGEST_DEFINITION} are read"
        ))),
    }
}

/// The digest of a plan.
pub(super) fn digest(parameters: &Parameters) -> Result<String, Refusal> {
    let digest = required(text(parameters, "digest")?)?;
    let good = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    match good {
        true => Ok(digest),
        false => Err(should_be(
            "digest",
            "the 64 hexadecimal digits that rollout_plan told",
        )),
    }
}

/// A rollout's name; `None` where it is absent.
pub(super) fn some_name(parameters: &Parameters) -> Result<Option<String>, Refusal> {
    let name = text(parameters, "name")?;
    match name.as_ref().map(String::len) {
        None | Some(1..=LONGEST_NAME) => Ok(name),
        Some(_) => Err(should_be("name", "the name of a rollout: 1 to 64 bytes")),
    }
}

/// A rollout's name.
pub(super) fn name(parameters: &Parameters) -> Result<String, Refusal> {
    required(some_name(parameters)?)
}

/// Why an operator does something; may be empty, and is where it is absent.
pub(super) fn reason(parameters: &Parameters) -> Result<String, Refusal> {
    let reason = text(parameters, "reason")?.unwrap_or_default();
    match reason.len() {
        0..=LONGEST_REASON => Ok(reason),
        _ => Err(should_be("reason", "a text of at most 512 bytes")),
    }
}

/// A release's version.
pub(super) fn version(parameters: &Parameters) -> Result<Version, Refusal> {
    let version = required(text(parameters, "version")?)?;
    version
        .parse()
        .map_err(|_| should_be("version", "a version such as \"v4.14.7\""))
}

/// An agent.
pub(super) fn agent(parameters: &Parameters) -> Result<AgentId, Refusal> {
    let id = required(parameters.get("agent"))?.as_i64();
    AgentId::new(id.ok_or_else(|| should_be("agent", "a number"))?)
        .map_err(|error| Refusal::not_recognized(error.to_string()))
}

/// At least one agent, all of which must be one.
pub(super) fn agents(parameters: &Parameters) -> Result<Vec<AgentId>, Refusal> {
    parameters::agents(parameters, MOST_AGENTS)
}

/// How many items are wanted; `None` where that is absent.
pub(super) fn limit(parameters: &Parameters) -> Result<Option<usize>, Refusal> {
    let limit = number(parameters, "limit")?;
    Ok(limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)))
}

/// How many items a page may have: 1 to [`LONGEST_PAGE`].
pub(super) fn page(limit: Option<usize>) -> usize {
    limit.unwrap_or(LONGEST_PAGE).clamp(1, LONGEST_PAGE)
}

/// The agent behind which a page begins; `None` where that is absent.
pub(super) fn after(parameters: &Parameters) -> Result<Option<AgentId>, Refusal> {
    match parameters.get("after") {
        None | Some(Value::Null) => Ok(None),
        Some(id) => {
            let id = id.as_i64().ok_or_else(|| should_be("after", "a number"))?;
            let id = AgentId::new(id).map_err(|error| Refusal::not_recognized(error.to_string()));
            id.map(Some)
        }
    }
}

/// A short text that the daemon reads; `None` where it is absent.
pub(super) fn short(parameters: &Parameters, key: &'static str) -> Result<Option<String>, Refusal> {
    let text = text(parameters, key)?;
    match text.as_ref().map(String::len) {
        None | Some(1..=64) => Ok(text),
        Some(_) => Err(should_be(key, "a text of 1 to 64 bytes")),
    }
}
