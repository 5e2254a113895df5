//! `agent_enroll`: the embedded manager issues an id, a key and a certificate.
//! The answer holds the private key; the daemon gives it to root and its own
//! user only.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wpk_api::{AgentId, Enrollment};

use crate::codes::UpgradeCode;
use crate::refusal::Refusal;
use crate::upgrade::response::Item;

/// A new agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EnrollAgent {
    /// Its name.
    pub name: String,
}

impl EnrollAgent {
    pub(crate) fn read(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        match parameters.get("name") {
            Some(Value::String(name)) => Ok(Self { name: name.clone() }),
            _ => Err(Refusal::upgrade(UpgradeCode::RequiredParameters)),
        }
    }
}

/// What the agent needs to connect. Holds its private key: never logged, and
/// `Debug` leaves it out.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolledAgent {
    /// Its id.
    pub agent: AgentId,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its private key, PEM.
    #[serde(default)]
    pub key: String,
    /// Its certificate, PEM.
    #[serde(default)]
    pub certificate: String,
    /// The certificate of the CA of agents and manager, PEM.
    #[serde(default)]
    pub ca: String,
    /// Where it reaches the manager, `host:port`, if that is known.
    #[serde(default)]
    pub address: Option<String>,
}

/// An answer with which no agent can start.
#[derive(Debug, thiserror::Error)]
pub enum IncompleteEnrolment {
    /// It cannot be read.
    #[error("is not understood: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// A member is absent or empty.
    #[error("has no `{0}`")]
    Absent(&'static str),
    /// A member holds something else.
    #[error("has no PEM in `{0}`")]
    NotPem(&'static str),
}

impl From<Enrollment> for EnrolledAgent {
    fn from(enrolled: Enrollment) -> Self {
        Self {
            agent: enrolled.id,
            name: enrolled.name,
            key: enrolled.key_pem,
            certificate: enrolled.certificate_pem,
            ca: enrolled.ca_pem,
            address: enrolled.address,
        }
    }
}

impl EnrolledAgent {
    /// The item of the answer.
    pub fn to_item(&self) -> Item {
        Item::upgrade(UpgradeCode::Success, self.agent).with(self)
    }

    /// Reads the item of an answer that is no refusal. An empty address is none.
    ///
    /// # Errors
    /// [`IncompleteEnrolment`] where one of the other parts is missing, or is no PEM.
    pub fn from_item(item: &Item) -> Result<Self, IncompleteEnrolment> {
        let mut enrolled: Self = item.read()?;
        for (member, text) in [
            ("key", &enrolled.key),
            ("certificate", &enrolled.certificate),
            ("ca", &enrolled.ca),
        ] {
            if text.is_empty() {
                return Err(IncompleteEnrolment::Absent(member));
            }
            if !text.trim_start().starts_with("-----BEGIN ") {
                return Err(IncompleteEnrolment::NotPem(member));
            }
        }
        enrolled.address = enrolled.address.filter(|address| !address.is_empty());
        Ok(enrolled)
    }
}

impl fmt::Debug for EnrolledAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnrolledAgent")
            .field("agent", &self.agent)
            .field("name", &self.name)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
