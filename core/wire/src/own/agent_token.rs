//! `agent_token`, `agent_token_list`, `agent_token_revoke`: the tokens with which agents
//! enroll over the network. The answer of the first holds a secret; the daemon gives all
//! of them to root and its own user only.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wpk_api::{IssuedToken, Labels, TokenInfo, TokenWish, UnixTime};

use super::agent_change::labels;
use crate::codes::UpgradeCode;
use crate::parameters::should_be;
use crate::refusal::Refusal;
use crate::upgrade::response::Item;

/// For how long a token is good where nothing is said, in seconds: a day.
const EXPIRES_IN: u64 = 86_400;

/// A new token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IssueToken {
    /// For how many agents; absent: 1.
    pub uses: u32,
    /// For how long, in seconds; absent: a day.
    pub expires_in: u64,
    /// Labels of the agents that enroll with it.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
}

impl IssueToken {
    pub(crate) fn read(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        let number = |key: &'static str, absent: u64| match parameters.get(key) {
            None => Ok(absent),
            Some(number) => number.as_u64().ok_or_else(|| should_be(key, "a number")),
        };
        Ok(Self {
            uses: u32::try_from(number("uses", 1)?).unwrap_or(u32::MAX),
            expires_in: number("expires_in", EXPIRES_IN)?,
            labels: labels(parameters, "labels")?,
        })
    }
}

impl From<IssueToken> for TokenWish {
    fn from(asked: IssueToken) -> Self {
        Self {
            uses: asked.uses,
            expires_in: asked.expires_in,
            labels: asked.labels,
        }
    }
}

/// All tokens; no parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ListTokens {}

/// A token is made worthless.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RevokeToken {
    /// Its id.
    pub token: String,
}

impl RevokeToken {
    pub(crate) fn read(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        match parameters.get("token") {
            Some(Value::String(token)) => Ok(Self {
                token: token.clone(),
            }),
            _ => Err(Refusal::upgrade(UpgradeCode::RequiredParameters)),
        }
    }
}

/// The answer to `agent_token`. Holds a secret: never logged, and `Debug` leaves it out.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewToken {
    /// Its id, no secret.
    pub token: String,
    /// What the agent is given; told this once.
    pub text: String,
    /// When it expires, in seconds since 1970 UTC.
    pub expires: UnixTime,
    /// Where the agent reaches the manager, `host:port`, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

impl From<IssuedToken> for NewToken {
    fn from(issued: IssuedToken) -> Self {
        Self {
            token: issued.id,
            text: issued.text,
            expires: issued.expires,
            address: issued.address,
        }
    }
}

impl NewToken {
    /// The item of the answer.
    pub fn to_item(&self) -> Item {
        Item::default().with(self)
    }

    /// Reads an item of the answer; `None` if it is no token.
    pub fn from_item(item: &Item) -> Option<Self> {
        item.read().ok()
    }
}

impl fmt::Debug for NewToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewToken")
            .field("token", &self.token)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// A token of the list. Times are seconds since 1970 UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedToken {
    /// Its id.
    pub token: String,
    /// When it was issued.
    pub created: UnixTime,
    /// When it expires.
    pub expires: UnixTime,
    /// For how many agents it was issued.
    pub uses: u32,
    /// How many more may enroll with it.
    pub left: u32,
    /// Whether it was revoked.
    #[serde(default)]
    pub revoked: bool,
    /// Labels of the agents that enroll with it.
    #[serde(default)]
    pub labels: Labels,
}

impl From<TokenInfo> for ListedToken {
    fn from(token: TokenInfo) -> Self {
        Self {
            token: token.id,
            created: token.created,
            expires: token.expires,
            uses: token.uses,
            left: token.left,
            revoked: token.revoked,
            labels: token.labels,
        }
    }
}

impl ListedToken {
    /// The item of the answer.
    pub fn to_item(&self) -> Item {
        Item::default().with(self)
    }

    /// Reads an item of the answer; `None` if it is no token.
    pub fn from_item(item: &Item) -> Option<Self> {
        item.read().ok()
    }
}
