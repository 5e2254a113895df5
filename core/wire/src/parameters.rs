//! Single parameters of a request on the upgrade socket, each refused with code
//! 3 and its own text where it has another type (section 2).

use serde_json::{Map, Value};
use wpk_api::AgentId;

use crate::codes::UpgradeCode;
use crate::refusal::Refusal;

/// The member that names a task, in commands to an agent and in its
/// acknowledgements (section 16).
pub(crate) const TASK_ID: &str = "task_id";

/// A text; `None` where it is absent.
pub(crate) fn text(
    parameters: &Map<String, Value>,
    key: &'static str,
) -> Result<Option<String>, Refusal> {
    match parameters.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(should_be(key, "a string")),
    }
}

/// A flag; false where it is absent.
pub(crate) fn flag(parameters: &Map<String, Value>, key: &'static str) -> Result<bool, Refusal> {
    match parameters.get(key) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(should_be(key, "true or false")),
    }
}

/// At least one agent. What is no agent's id is refused: whoever changes something should
/// learn that a part of it was not understood.
pub(crate) fn agents(
    parameters: &Map<String, Value>,
    most: usize,
) -> Result<Vec<AgentId>, Refusal> {
    let Some(Value::Array(ids)) = parameters.get("agents") else {
        return Err(Refusal::upgrade(UpgradeCode::RequiredParameters));
    };
    if !(1..=most).contains(&ids.len()) {
        return Err(Refusal::not_recognized(format!(
            "1 to {most} agents can be named at a time, and {} are",
            ids.len()
        )));
    }
    let agent = |id: &Value| {
        let id = id.as_i64();
        AgentId::new(id.ok_or_else(|| should_be("agents", "a list of numbers"))?)
            .map_err(|error| Refusal::not_recognized(error.to_string()))
    };
    ids.iter().map(agent).collect()
}

/// A number that is not negative; `None` where it is absent.
pub(crate) fn number(
    parameters: &Map<String, Value>,
    key: &'static str,
) -> Result<Option<u64>, Refusal> {
    match parameters.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let number = value.as_u64().map(Some);
            number.ok_or_else(|| should_be(key, "a number, 0 or more"))
        }
    }
}

/// The refusal of a parameter that is something else.
pub(crate) fn should_be(key: &'static str, what: &str) -> Refusal {
    Refusal::not_recognized(format!("Parameter \"{key}\" should be {what}"))
}
