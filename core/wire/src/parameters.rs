//! Single parameters of a request on the upgrade socket, each refused with code
//! 3 and its own text where it has another type (section 2).

use serde_json::{Map, Value};

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

/// The refusal of a parameter that is something else.
pub(crate) fn should_be(key: &'static str, what: &str) -> Refusal {
    Refusal::not_recognized(format!("Parameter \"{key}\" should be {what}"))
}
