//! Selectors as text, with no more brackets than are needed.

use std::fmt::{self, Display, Formatter};

use wpk_api::AgentId;

use super::tree::{Node, Selector};
use super::value::{Field, Op, Value, reads_bare};

impl Display for Selector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        show(&self.0, 0, f)
    }
}

/// How tightly a node binds: `or` 0, `and` 1, everything else 2.
const fn binding(node: &Node) -> u8 {
    match node {
        Node::Any(_) => 0,
        Node::All(_) => 1,
        _ => 2,
    }
}

/// Writes `node` where something that binds with `around` stands around it.
fn show(node: &Node, around: u8, f: &mut Formatter<'_>) -> fmt::Result {
    let brackets = binding(node) < around;
    if brackets {
        f.write_str("(")?;
    }
    match node {
        Node::Any(nodes) => joined(nodes, " or ", 1, f)?,
        Node::All(nodes) => joined(nodes, " and ", 2, f)?,
        Node::Not(inner) => {
            f.write_str("not ")?;
            show(inner, 2, f)?;
        }
        Node::Is(field, op, value) => write!(f, "{field} {op} {value}")?,
        Node::In(field, values) => {
            write!(f, "{field} in (")?;
            for (at, value) in values.iter().enumerate() {
                write!(f, "{}{value}", if at > 0 { ", " } else { "" })?;
            }
            f.write_str(")")?;
        }
    }
    if brackets {
        f.write_str(")")?;
    }
    Ok(())
}

fn joined(nodes: &[Node], between: &str, around: u8, f: &mut Formatter<'_>) -> fmt::Result {
    for (at, node) in nodes.iter().enumerate() {
        if at > 0 {
            f.write_str(between)?;
        }
        show(node, around, f)?;
    }
    Ok(())
}

impl Display for Field {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label(key) => write!(f, "label.{key}"),
            plain => {
                let word = Self::PLAIN.iter().find(|(_, field)| field == plain);
                f.write_str(word.map_or("", |(word, _)| word))
            }
        }
    }
}

impl Display for Op {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let word = Self::ALL.iter().find(|(_, op)| op == self);
        f.write_str(word.map_or("", |(word, _)| word))
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) if reads_bare(text) => f.write_str(text),
            Self::Text(text) => {
                let text = text.replace('\\', "\\\\").replace('"', "\\\"");
                write!(f, "\"{text}\"")
            }
            Self::Version(version) => version.fmt(f),
            Self::Ids(first, last) if first == last => write!(f, "{}", AgentId::get(*first)),
            Self::Ids(first, last) => write!(f, "{}-{}", first.get(), last.get()),
            Self::Status(status) => f.write_str(status.as_str()),
        }
    }
}
