//! `upgrade_progress`: how far the deliveries to some agents are. Only agents
//! that are being delivered to right now are in the answer.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use wpk_api::{AgentId, TaskId};

use crate::agent::command::Step;
use crate::codes::UpgradeCode;
use crate::refusal::Refusal;
use crate::upgrade::response::Item;

/// Asks for the deliveries to these agents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AskProgress {
    /// May be empty. What is no agent's id is passed over when a request is read.
    pub agents: Vec<AgentId>,
}

impl AskProgress {
    pub(crate) fn read(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        let missing = || Refusal::upgrade(UpgradeCode::RequiredParameters);
        Ok(Self {
            agents: agents(parameters).ok_or_else(missing)?,
        })
    }
}

/// The agents of one of our own commands, without what is no agent's id; `None`
/// where there is no such list.
pub(super) fn agents(parameters: &Map<String, Value>) -> Option<Vec<AgentId>> {
    let ids = parameters.get("agents")?.as_array()?;
    let agent = |id: &Value| AgentId::new(id.as_i64()?).ok();
    Some(ids.iter().filter_map(agent).collect())
}

/// A delivery that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The agent that is written to.
    pub agent: AgentId,
    /// The task that is carried out.
    pub task_id: TaskId,
    /// What is being done.
    pub step: DeliveryStep,
    /// Bytes of the WPK that the agent has.
    #[serde(default)]
    pub sent: u64,
    /// Bytes of the WPK; 0 until that is known.
    #[serde(default)]
    pub total: u64,
    /// How many agents the manager writes to at a time now (`delivery.max_concurrent`); 0
    /// from a manager that does not say.
    #[serde(default)]
    pub at_once: u64,
}

impl Delivery {
    /// The item of the answer.
    pub fn to_item(&self) -> Item {
        Item::created(self.agent, self.task_id).with(self)
    }

    /// Reads an item of the answer; `None` if it is of no delivery.
    pub fn from_item(item: &Item) -> Option<Self> {
        item.read().ok()
    }
}

/// What is being done in a delivery; a word on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryStep {
    /// The WPK is fetched or waited for.
    Download,
    /// A step of section 5.
    Agent(Step),
    /// A word of another release.
    Other,
}

impl DeliveryStep {
    const DOWNLOAD: &str = "download";

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Download => Self::DOWNLOAD,
            Self::Agent(step) => step.as_str(),
            Self::Other => "other",
        }
    }

    /// Reads the word.
    pub fn from_word(word: &str) -> Self {
        if word == Self::DOWNLOAD {
            return Self::Download;
        }
        Step::from_word(word).map_or(Self::Other, Self::Agent)
    }
}

impl From<Step> for DeliveryStep {
    fn from(step: Step) -> Self {
        Self::Agent(step)
    }
}

impl std::fmt::Display for DeliveryStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for DeliveryStep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for DeliveryStep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|word| Self::from_word(&word))
    }
}
