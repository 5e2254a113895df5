//! The list of agents in a request, which both sockets read alike.

use serde_json::{Map, Value};

use crate::json;

/// Why a list was refused.
pub(crate) enum AgentsError {
    /// An element is a fraction, or no number at all.
    NotInteger,
}

/// The elements of `agents`; `None` where it is absent, empty, or no array.
pub(crate) fn elements(parameters: &Map<String, Value>) -> Option<&[Value]> {
    match parameters.get("agents") {
        Some(Value::Array(elements)) if !elements.is_empty() => Some(elements),
        _ => None,
    }
}

/// The elements as ids, in their order, doubles included. Numbers beyond 64
/// bits become the nearest that fits: they are nobody's id either way.
pub(crate) fn ids(elements: &[Value]) -> Result<Vec<i64>, AgentsError> {
    elements
        .iter()
        .map(|element| json::integer(element).ok_or(AgentsError::NotInteger))
        .collect()
}
