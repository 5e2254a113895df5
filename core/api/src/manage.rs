//! What an administrator changes about an agent, and what a directory knows of it
//! besides what the rules need. Directories and the engine enter; the types cross the
//! border of dynamic plugins, so members are added only.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{AgentId, UnixTime, words};

/// The most labels of one agent.
pub const MOST_LABELS: usize = 32;
/// The longest key of a label, in bytes.
pub const LONGEST_LABEL_KEY: usize = 64;
/// The longest value of a label, in bytes.
pub const LONGEST_LABEL_VALUE: usize = 256;

/// Labels of an agent: values by their keys.
pub type Labels = BTreeMap<String, String>;

/// A change of one agent (PROTOCOL.md, section 15).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentChange {
    /// Its certificate is worth nothing from now on, its connection ends, its id is
    /// never given out again. What was known of it can still be shown.
    Revoke,
    /// The same, and what was known of it is forgotten; its id stays used up. An
    /// agent that was revoked may be removed.
    Remove,
    /// Another name, which must be free.
    Rename(String),
    /// Labels to set and keys of labels to take away; both may be empty.
    Label {
        /// Set, in the place of those with the same key.
        #[serde(default)]
        set: Labels,
        /// Taken away; a key that is not there is no error.
        #[serde(default)]
        unset: Vec<String>,
    },
}

/// What a directory knows of an agent besides [`AgentInfo`](crate::AgentInfo). Times
/// are seconds since 1970; absent is what it does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentDetails {
    /// The agent's id.
    pub id: AgentId,
    /// Its name, for one that is not in the directory any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its labels, at most [`MOST_LABELS`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: Labels,
    /// From which address it connected last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// When it was last heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<UnixTime>,
    /// When it was enrolled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolled: Option<UnixTime>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<UnixTime>,
    /// When its certificate ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_end: Option<UnixTime>,
}

impl AgentDetails {
    /// Nothing is known.
    pub fn new(id: AgentId) -> Self {
        Self {
            id,
            name: None,
            labels: Labels::new(),
            address: None,
            last_seen: None,
            enrolled: None,
            revoked: None,
            certificate_end: None,
        }
    }
}

/// The most uses of one token.
pub const MOST_TOKEN_USES: u32 = 100_000;
/// The longest time in which a token is good, in seconds: a year.
pub const LONGEST_TOKEN_TIME: u64 = 366 * 86_400;

/// What a new enrolment token should be good for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenWish {
    /// How many agents may enroll with it, 1 to [`MOST_TOKEN_USES`].
    pub uses: u32,
    /// For how long, in seconds, 1 to [`LONGEST_TOKEN_TIME`].
    pub expires_in: u64,
    /// The labels of agents that enroll with it.
    #[serde(default)]
    pub labels: Labels,
}

/// A token that was issued just now. Whoever has its text may enroll: never logged, and
/// `Debug` leaves it out.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedToken {
    /// By which it is listed and revoked; no secret.
    pub id: String,
    /// What the agent is given. It is not kept: nobody can ask for it again.
    pub text: String,
    /// When it expires.
    pub expires: UnixTime,
    /// Where the agent dials, `host:port`, if the directory knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

impl std::fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedToken")
            .field("id", &self.id)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// A token as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenInfo {
    /// Its id.
    pub id: String,
    /// When it was issued.
    pub created: UnixTime,
    /// When it expires.
    pub expires: UnixTime,
    /// For how many agents it was issued.
    pub uses: u32,
    /// How many more may enroll with it.
    pub left: u32,
    /// Whether it was revoked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub revoked: bool,
    /// The labels of agents that enroll with it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: Labels,
}

/// Whether labels are such as an agent may have: few, short, keys of letters, digits,
/// `.`, `_`, `-` and `/`, values without characters that steer a terminal.
///
/// # Errors
/// The rule that is broken, and by which label.
pub fn check_labels(labels: &Labels) -> Result<(), String> {
    if labels.len() > MOST_LABELS {
        return Err(format!(
            "{} labels are too many: an agent may have {MOST_LABELS}",
            labels.len()
        ));
    }
    for (key, value) in labels {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
        if key.is_empty() || key.len() > LONGEST_LABEL_KEY || !key.chars().all(allowed) {
            return Err(format!(
                "{:?} is no key of a label: use 1 to {LONGEST_LABEL_KEY} letters, digits, '.', \
                 '_', '-' or '/'",
                words::clean(key, LONGEST_LABEL_KEY)
            ));
        }
        if value.len() > LONGEST_LABEL_VALUE || value.chars().any(words::steers) {
            return Err(format!(
                "the value of the label {key:?} is over {LONGEST_LABEL_VALUE} bytes or holds \
                 control characters"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_rules() {
        let one = |key: &str, value: &str| Labels::from([(key.to_owned(), value.to_owned())]);
        assert_eq!(check_labels(&one("site", "Saint-Étienne 2")), Ok(()));
        assert_eq!(check_labels(&one("example.org/rack", "")), Ok(()));
        for (key, value) in [
            ("", "x"),
            ("a b", "x"),
            ("a=b", "x"),
            ("ä", "x"),
            (&*"k".repeat(65), "x"),
            ("site", "\u{1b}[2J"),
            ("site", "a\nb"),
            ("site", &*"v".repeat(257)),
        ] {
            assert!(check_labels(&one(key, value)).is_err(), "{key:?} {value:?}");
        }
        let many = (0..33).map(|n| (n.to_string(), String::new())).collect();
        assert!(check_labels(&many).unwrap_err().contains("too many"));
    }
}
