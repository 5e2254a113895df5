//! A selector, and which agents it means.

use wpk_api::{AgentId, Version};

use super::value::{Field, Op, Value};
use crate::Member;

/// Which agents. Reads and prints as text; what is printed reads as the same selector.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Selector(pub(crate) Node);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Node {
    Any(Vec<Node>),
    All(Vec<Node>),
    Not(Box<Node>),
    Is(Field, Op, Value),
    In(Field, Vec<Value>),
}

impl Selector {
    /// Those whose name is this, in which `*` stands for any characters.
    pub fn named(pattern: impl Into<String>) -> Self {
        Self(Node::Is(
            Field::Name,
            Op::Equal,
            Value::Text(pattern.into()),
        ))
    }

    /// Whether `member` is one of them.
    pub fn matches(&self, member: &Member) -> bool {
        self.0.matches(member)
    }

    /// Whether it asks for this field anywhere.
    pub fn asks(&self, field: &Field) -> bool {
        self.0.asks(&|asked| asked == field)
    }

    /// Whether it asks for a label anywhere.
    pub fn asks_labels(&self) -> bool {
        self.0.asks(&|asked| matches!(asked, Field::Label(_)))
    }
}

impl Node {
    fn matches(&self, member: &Member) -> bool {
        match self {
            Self::Any(nodes) => nodes.iter().any(|node| node.matches(member)),
            Self::All(nodes) => nodes.iter().all(|node| node.matches(member)),
            Self::Not(node) => !node.matches(member),
            Self::Is(field, op, value) => compare(member, field, *op, value),
            Self::In(field, values) => {
                (values.iter()).any(|value| compare(member, field, Op::Equal, value))
            }
        }
    }

    fn asks(&self, is_it: &dyn Fn(&Field) -> bool) -> bool {
        match self {
            Self::Any(nodes) | Self::All(nodes) => nodes.iter().any(|node| node.asks(is_it)),
            Self::Not(node) => node.asks(is_it),
            Self::Is(field, ..) | Self::In(field, _) => is_it(field),
        }
    }
}

fn compare(member: &Member, field: &Field, op: Op, value: &Value) -> bool {
    match value {
        Value::Version(wanted) => match member.version {
            Some(version) => ordered::<Version>(version, op, *wanted),
            None => op == Op::NotEqual,
        },
        Value::Ids(first, last) => match op {
            Op::Equal => (*first..=*last).contains(&member.id),
            Op::NotEqual => !(*first..=*last).contains(&member.id),
            _ => ordered::<AgentId>(member.id, op, *first),
        },
        Value::Status(wanted) => (member.status == *wanted) == (op == Op::Equal),
        Value::Text(wanted) => equals(member, field, wanted) == (op == Op::Equal),
    }
}

fn ordered<T: Ord>(value: T, op: Op, wanted: T) -> bool {
    match op {
        Op::Equal => value == wanted,
        Op::NotEqual => value != wanted,
        Op::Less => value < wanted,
        Op::LessOrEqual => value <= wanted,
        Op::Greater => value > wanted,
        Op::GreaterOrEqual => value >= wanted,
    }
}

fn equals(member: &Member, field: &Field, wanted: &str) -> bool {
    let is = |known: Option<&str>| known == Some(wanted);
    match field {
        Field::Group => member.groups.iter().any(|group| group == wanted),
        Field::Label(key) => is(member.labels.get(key).map(String::as_str)),
        Field::Name => (member.name.as_deref()).is_some_and(|name| fits(wanted, name)),
        Field::Platform => is(member.platform.as_deref()),
        Field::Arch => is(member.arch.as_deref()),
        Field::Site => is(member.site.as_deref()),
        Field::Node => is(member.node.as_deref()),
        // Their values are no texts.
        Field::Id | Field::Version | Field::Status => false,
    }
}

/// Whether `name` is `pattern`, in which `*` stands for any characters. The number of
/// steps is bounded by the product of the lengths.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(byte) if Some(byte) == name.get(n) => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, n) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern
        .get(p..)
        .unwrap_or_default()
        .iter()
        .all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name) in [
            ("*", ""),
            ("web*", "web-1"),
            ("*-1", "web-1"),
            ("w*b*1", "web-1"),
            ("web-1", "web-1"),
            ("**", "x"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("", "x"), ("web", "web1"), ("*2", "web-1"), ("a*a", "a")] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }
}
