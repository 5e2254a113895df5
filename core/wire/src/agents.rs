//! The list of agents in a request, which both sockets read alike.

use serde_json::{Map, Value};

use crate::asked::AskedId;
use crate::json;

/// The member with the list.
const KEY: &str = "agents";

/// Why a list was refused.
pub(crate) enum AgentsError {
    /// An element is a fraction, or no number at all.
    NotInteger,
}

/// The elements of `agents`; `None` where it is absent, empty, or no array.
pub(crate) fn elements(parameters: &Map<String, Value>) -> Option<&[Value]> {
    match parameters.get(KEY) {
        Some(Value::Array(elements)) if !elements.is_empty() => Some(elements),
        _ => None,
    }
}

/// The elements as ids, in their order, doubles included.
pub(crate) fn ids(elements: &[Value]) -> Result<Vec<AskedId>, AgentsError> {
    elements
        .iter()
        .map(|element| json::integer(element).ok_or(AgentsError::NotInteger))
        .map(|number| number.map(AskedId::from))
        .collect()
}

/// The member as it is printed.
pub(crate) fn listed(agents: &[AskedId]) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(12 + agents.len() * 6);
    // Writing into a string cannot fail.
    let _ = write!(out, "\"{KEY}\":[");
    for (index, id) in agents.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(out, "{comma}{id}");
    }
    out.push(']');
    out
}
