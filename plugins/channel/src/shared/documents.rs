//! What managers that share a store write down there of their agents: one document for what
//! an agent is, one for what is seen of it, and few about the registry as a whole. All are
//! JSON; a key that is not known is left out when it is read, so that a later release may
//! add some.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wpk_api::{AgentId, Labels, Platform, UnixTime};

use crate::database::{Token, TokenId};
use crate::record::{Next, Record};

/// All of ours begin so.
pub(super) const PREFIX: &str = "channel/";
/// The registry as a whole.
pub(super) const REGISTRY: &str = "channel/registry";
/// The CAs.
pub(super) const AUTHORITY: &str = "channel/ca";
const AGENTS: &str = "channel/agents/";
const SEEN: &str = "channel/seen/";
/// Enrolment tokens.
pub(super) const TOKENS: &str = "channel/tokens/";
/// Managers that keep their agents here.
pub(super) const NODES: &str = "channel/nodes/";

/// Of which form these documents are.
pub(super) const FORM: u32 = 1;

/// Where a document belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum About {
    Agent(AgentId),
    Seen(AgentId),
    Registry,
    Authority,
    Other,
}

impl About {
    pub(super) fn of(key: &str) -> Self {
        let id = |digits: &str| {
            let id = digits.parse().ok().and_then(|id| AgentId::new(id).ok());
            id.filter(|id| digits.len() == 10 && *id != AgentId::MANAGER)
        };
        if let Some(id) = key.strip_prefix(AGENTS).and_then(id) {
            return Self::Agent(id);
        }
        if let Some(id) = key.strip_prefix(SEEN).and_then(id) {
            return Self::Seen(id);
        }
        match key {
            REGISTRY => Self::Registry,
            AUTHORITY => Self::Authority,
            _ => Self::Other,
        }
    }

    pub(super) fn key(self) -> String {
        match self {
            Self::Agent(id) => format!("{AGENTS}{:010}", id.get()),
            Self::Seen(id) => format!("{SEEN}{:010}", id.get()),
            Self::Registry => REGISTRY.to_owned(),
            Self::Authority => AUTHORITY.to_owned(),
            Self::Other => PREFIX.to_owned(),
        }
    }
}

/// The key of the document by which a node says that it keeps its agents here.
pub(crate) fn node_key(node: &str) -> String {
    format!("{NODES}{node}")
}

/// The key of a token's document.
pub(super) fn token_key(id: &TokenId) -> String {
    format!("{TOKENS}{}", hex(id))
}

/// The registry as a whole. Whoever enrolls or renames an agent writes it too, so that no
/// two agents get one id or one name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RegistryDocument {
    /// See [`FORM`].
    pub(crate) form: u32,
    /// By what it is known from others.
    pub(crate) id: String,
    /// The highest id of an agent that was given out.
    pub(crate) last_id: i64,
    /// The node that is moving its agents here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) importing: Option<String>,
}

/// What an agent is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AgentDocument {
    name: String,
    fingerprint: String,
    enrolled: UnixTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revoked: Option<UnixTime>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    removed: bool,
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    labels: Labels,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate_end: Option<UnixTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<NextDocument>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct NextDocument {
    fingerprint: String,
    end: UnixTime,
    issuer: String,
}

impl AgentDocument {
    /// Nothing is left of that agent but that it was there.
    pub(crate) fn is_of_a_removed(&self) -> bool {
        self.removed
    }

    pub(crate) fn of(record: &Record) -> Self {
        Self {
            name: record.name.clone(),
            fingerprint: hex(&record.fingerprint),
            enrolled: record.enrolled,
            revoked: record.revoked,
            removed: record.removed,
            labels: record.labels.clone(),
            certificate_end: record.certificate_end,
            issuer: record.issuer.as_ref().map(|issuer| hex(issuer)),
            next: record.next.as_ref().map(|next| NextDocument {
                fingerprint: hex(&next.fingerprint),
                end: next.end,
                issuer: hex(&next.issuer),
            }),
        }
    }

    /// Puts it into a record; `None` where a certificate is none.
    pub(crate) fn into(self, record: &mut Record) -> Option<()> {
        let issuer = self.issuer.as_deref().map(bytes);
        let next = self.next.map(|next| {
            Some(Next {
                fingerprint: bytes(&next.fingerprint)?,
                end: next.end,
                issuer: bytes(&next.issuer)?,
            })
        });
        record.fingerprint = bytes(&self.fingerprint)?;
        record.issuer = match issuer {
            Some(issuer) => Some(issuer?),
            None => None,
        };
        record.next = match next {
            Some(next) => Some(next?),
            None => None,
        };
        record.name = self.name;
        record.enrolled = self.enrolled;
        record.revoked = self.revoked;
        record.removed = self.removed;
        record.labels = self.labels;
        record.certificate_end = self.certificate_end;
        Some(())
    }
}

/// What is seen of an agent, written by the node that it is connected to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SeenDocument {
    pub(crate) node: Option<String>,
    pub(crate) connected: bool,
    last_seen: Option<UnixTime>,
    address: Option<String>,
    certificate_end: Option<UnixTime>,
    renews: bool,
    trusts: Vec<String>,
    version: Option<String>,
    os_version: Option<String>,
    platform: Platform,
}

impl SeenDocument {
    pub(crate) fn of(record: &Record, connected: bool) -> Self {
        Self {
            node: record.node.clone(),
            connected,
            last_seen: record.last_seen,
            address: record.address.clone(),
            certificate_end: record.certificate_end,
            renews: record.renews,
            trusts: record.trusts.clone(),
            version: record.version.clone(),
            os_version: record.os_version.clone(),
            platform: record.platform.clone(),
        }
    }

    pub(crate) fn into(self, record: &mut Record) {
        record.node = self.node;
        record.connected = self.connected;
        record.last_seen = self.last_seen;
        record.address = self.address;
        record.certificate_end = self.certificate_end.or(record.certificate_end);
        record.renews = self.renews;
        record.trusts = self.trusts;
        record.version = self.version;
        record.os_version = self.os_version;
        record.platform = self.platform;
    }
}

/// An enrolment token; of its secret the SHA-256.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct TokenDocument {
    id: String,
    hash: String,
    created: UnixTime,
    expires: UnixTime,
    uses: u32,
    left: u32,
    revoked: bool,
    labels: Labels,
}

impl TokenDocument {
    pub(super) fn of(token: &Token) -> Self {
        Self {
            id: hex(&token.id),
            hash: hex(&token.hash),
            created: token.created,
            expires: token.expires,
            uses: token.uses,
            left: token.left,
            revoked: token.revoked,
            labels: token.labels.clone(),
        }
    }

    pub(super) fn token(self) -> Option<Token> {
        Some(Token {
            id: bytes(&self.id)?,
            hash: bytes(&self.hash)?,
            created: self.created,
            expires: self.expires,
            uses: self.uses,
            left: self.left,
            revoked: self.revoked,
            labels: self.labels,
        })
    }
}

/// The CAs: certificates and sealed keys, PEM.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AuthorityDocument {
    pub(crate) current: SealedCa,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<SealedCa>,
    /// A certificate alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) old: Option<String>,
}

/// One CA.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SealedCa {
    pub(crate) certificate: String,
    /// PKCS#8, encrypted.
    pub(crate) key: String,
}

/// The text of a document. What serde writes here has no way to fail: keys are strings.
pub(super) fn text(document: &impl Serialize) -> String {
    serde_json::to_string(document).unwrap_or_default()
}

/// A document, as it is read.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let pairs = digits.as_bytes().chunks(2);
    if digits.len() != 2 * N || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let mut record = Record::new(AgentId::new(7).unwrap(), "web01", [0xa7; 32], 5);
        record.labels = Labels::from([("site".to_owned(), "lyon".to_owned())]);
        record.issuer = Some([3; 32]);
        record.next = Some(Next {
            fingerprint: [4; 32],
            end: 9,
            issuer: [3; 32],
        });
        record.certificate_end = Some(8);
        record.node = Some("node02".to_owned());
        record.connected = true;
        record.last_seen = Some(6);
        record.trusts = vec!["ab".to_owned()];
        record.platform.name = Some("ubuntu".to_owned());
        record
    }

    #[test]
    fn a_record_comes_back_whole_from_its_two_documents() {
        let before = record();
        let agent: AgentDocument = read(&text(&AgentDocument::of(&before))).unwrap();
        let seen: SeenDocument = read(&text(&SeenDocument::of(&before, true))).unwrap();
        let mut after = Record::new(before.id, "", [0; 32], 0);
        agent.into(&mut after).unwrap();
        seen.into(&mut after);
        assert_eq!(after, before);
    }

    #[test]
    fn a_later_release_may_write_more_and_nonsense_is_refused() {
        let mut known = serde_json::to_value(AgentDocument::of(&record())).unwrap();
        known["more"] = serde_json::json!(1);
        assert!(read::<AgentDocument>(&known.to_string()).is_ok());
        for bad in ["a7", "", &"ä".repeat(32), &"+7".repeat(32)] {
            known["fingerprint"] = serde_json::json!(bad);
            let document: AgentDocument = read(&known.to_string()).unwrap();
            assert_eq!(document.into(&mut record()), None, "{bad}");
        }
    }

    #[test]
    fn a_key_tells_what_it_is_about() {
        let id = AgentId::new(7).unwrap();
        for about in [
            About::Agent(id),
            About::Seen(id),
            About::Registry,
            About::Authority,
        ] {
            assert_eq!(About::of(&about.key()), about);
        }
        for other in [
            "channel/agents/7",
            "channel/agents/0000000000",
            "channel/seen/x",
            "channel/nodes/a",
            "",
        ] {
            assert_eq!(About::of(other), About::Other, "{other}");
        }
    }
}
