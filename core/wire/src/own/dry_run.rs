//! `"dry_run": true` in an `upgrade` or `upgrade_custom`: what would be done for
//! an agent that passes the rules. Agents refused by the rules have the item of
//! section 2 and nothing more.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wpk_api::Target;

use crate::asked::AskedId;
use crate::codes::UpgradeCode;
use crate::upgrade::response::Item;

/// What a dry run says of an agent. Beside code 0 all but `reason` is known as
/// far as its kind of upgrade has it; beside a failure (codes 9 and 14 to 26)
/// the reason, and the target where it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    /// Name of the WPK file.
    #[serde(default)]
    pub file: Option<String>,
    /// Its URL, or its path on the manager.
    #[serde(default)]
    pub location: Option<String>,
    /// Why no WPK was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The version the agent would have: [`Target::Latest`] where it is not
    /// known, [`Target::Invalid`] where what was asked for is no version. On the
    /// wire `null` or the text.
    #[serde(
        default = "latest",
        serialize_with = "print_target",
        deserialize_with = "read_target"
    )]
    pub target: Target,
}

impl Default for Forecast {
    fn default() -> Self {
        Self {
            file: None,
            location: None,
            reason: None,
            target: latest(),
        }
    }
}

impl Forecast {
    /// The item of the answer.
    pub fn to_item(&self, code: UpgradeCode, agent: AskedId) -> Item {
        Item::upgrade(code, agent).with(self)
    }

    /// Reads an item of the answer; nothing is known from one of another shape.
    pub fn from_item(item: &Item) -> Self {
        item.read().unwrap_or_default()
    }

    /// The target as it is shown; `None` where it is not known.
    pub fn target(&self) -> Option<String> {
        match &self.target {
            Target::Latest => None,
            Target::Exactly(version) => Some(version.to_string()),
            Target::Invalid(text) => Some(text.clone()),
        }
    }
}

fn latest() -> Target {
    Target::Latest
}

fn print_target<S: Serializer>(target: &Target, serializer: S) -> Result<S::Ok, S::Error> {
    match target {
        Target::Latest => serializer.serialize_none(),
        Target::Exactly(version) => serializer.serialize_some(version),
        Target::Invalid(text) => serializer.serialize_some(text),
    }
}

fn read_target<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Target, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.map_or(Target::Latest, |text| {
        text.parse()
            .map_or_else(|_| Target::Invalid(text), Target::Exactly)
    }))
}
