//! What can be set, with each key's description, type and default: the schemas of the
//! structs that read it.

use serde_json::Value;
use wpk_api::settings::schema_of;

use super::Top;
use super::sections::{
    AgentSettings, CaVerification, ChannelSettings, Limits, ListenSettings, UpgradeSettings,
};

/// Each section: its heading as it is written in a file, empty for what stands before all,
/// and the JSON schema of its keys.
pub fn reference() -> Vec<(&'static str, Value)> {
    let sections = [
        ("", schema_of::<Top>()),
        ("[agent]", schema_of::<AgentSettings>()),
        ("[upgrade]", schema_of::<UpgradeSettings>()),
        ("[upgrade.ca_verification]", schema_of::<CaVerification>()),
        ("[limits]", schema_of::<Limits>()),
        (
            "[channel]",
            required(schema_of::<ChannelSettings>(), "address"),
        ),
        ("[listen]", schema_of::<ListenSettings>()),
    ];
    let told = |(heading, schema): (_, Option<_>)| Some((heading, schema?));
    sections.into_iter().filter_map(told).collect()
}

/// A key that has a default for the reader's sake only.
fn required(schema: Option<Value>, key: &str) -> Option<Value> {
    let mut schema = schema?;
    schema
        .as_object_mut()?
        .insert("required".to_owned(), vec![key].into());
    Some(schema)
}
