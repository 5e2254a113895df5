//! `agent_ca`: the CA of the embedded manager's agent channel, and the steps by which
//! another takes its place (section 16).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wpk_api::{CaReport, CaStep, CaWish};

use crate::parameters::should_be;
use crate::refusal::Refusal;
use crate::upgrade::response::Item;

/// A step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AskCa {
    /// The step; absent: nothing is changed.
    pub step: CaStep,
    /// Take it although agents are cut off.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
}

impl AskCa {
    pub(crate) fn read(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        let words = "`show`, `replace`, `switch` or `finish`";
        let step = match parameters.get("step") {
            None => CaStep::Show,
            Some(step) => CaStep::deserialize(step).map_err(|_| should_be("step", words))?,
        };
        let force = match parameters.get("force") {
            None => false,
            Some(force) => force
                .as_bool()
                .ok_or_else(|| should_be("force", "a flag"))?,
        };
        Ok(Self { step, force })
    }
}

impl From<AskCa> for CaWish {
    fn from(asked: AskCa) -> Self {
        Self {
            step: asked.step,
            force: asked.force,
        }
    }
}

/// The answer: how things stand after the step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaState(pub CaReport);

impl CaState {
    /// The item of the answer.
    pub fn to_item(&self) -> Item {
        Item::default().with(self)
    }

    /// Reads the item of the answer; `None` if it tells of no CA.
    pub fn from_item(item: &Item) -> Option<Self> {
        item.read().ok()
    }
}
