//! Fields, operators and values of conditions.

use wpk_api::{AgentId, ConnectionStatus, Version};

/// The longest selector, in bytes.
pub const LONGEST_SELECTOR: usize = 4096;
/// The deepest nesting of brackets and `not`.
pub const DEEPEST_SELECTOR: usize = 32;
/// The most values in the brackets of one `in`.
pub const MOST_VALUES: usize = 1000;

/// What a condition asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Field {
    /// `group`: one of the agent's groups.
    Group,
    /// `label.NAME`.
    Label(String),
    /// `name`, with `*`.
    Name,
    /// `id`.
    Id,
    /// `version`.
    Version,
    /// `platform`.
    Platform,
    /// `arch`.
    Arch,
    /// `site`.
    Site,
    /// `node`.
    Node,
    /// `status`: `active`, `pending`, `disconnected`, `never_connected`.
    Status,
}

impl Field {
    /// Those that are one word, with the word.
    pub(super) const PLAIN: [(&'static str, Field); 9] = [
        ("group", Self::Group),
        ("name", Self::Name),
        ("id", Self::Id),
        ("version", Self::Version),
        ("platform", Self::Platform),
        ("arch", Self::Arch),
        ("site", Self::Site),
        ("node", Self::Node),
        ("status", Self::Status),
    ];

    /// Whether `<` and `>` say something about it.
    pub(super) const fn is_ordered(&self) -> bool {
        matches!(self, Self::Id | Self::Version)
    }
}

/// How a condition compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Op {
    /// All, the longer of two that begin alike first.
    pub(super) const ALL: [(&'static str, Op); 6] = [
        ("<=", Self::LessOrEqual),
        (">=", Self::GreaterOrEqual),
        ("!=", Self::NotEqual),
        ("=", Self::Equal),
        ("<", Self::Less),
        (">", Self::Greater),
    ];
}

/// What a field is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// A group, a label's value, a name, ...
    Text(String),
    /// A version.
    Version(Version),
    /// Ids, from the first to the last; one id is a range of one.
    Ids(AgentId, AgentId),
    /// A connection status.
    Status(ConnectionStatus),
}

/// Words of the grammar, which are values only in quotes.
pub(super) const RESERVED: [&str; 4] = ["and", "or", "not", "in"];

/// Whether a character may stand in a word without quotes.
pub(super) fn is_bare(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '*' | '/' | ':' | '@' | '+')
}

/// Whether a text reads as itself without quotes.
pub(super) fn reads_bare(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_bare) && !is_reserved(text)
}

/// Whether it is a word of the grammar, in either case.
pub(super) fn is_reserved(text: &str) -> bool {
    RESERVED.iter().any(|word| text.eq_ignore_ascii_case(word))
}
