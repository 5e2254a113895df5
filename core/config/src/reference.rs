//! What can be set outside of plugins, with each key's description, type and default: the
//! schemas of the structs that read it.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde_json::Value;
use wpk_api::settings::schema_of;

use crate::libraries::Entry;
use crate::releases::ReleaseSettings;
use crate::sections::{
    CacheSettings, DeliverySettings, LogSettings, NodeSection, TaskSettings, TelemetrySettings,
    WazuhSection,
};

/// The keys before the first section.
#[derive(JsonSchema)]
#[allow(dead_code)] // Read one by one (`check.rs`).
struct Top {
    /// The folder at which every relative path starts, and in which everything is written.
    /// Absent: `/var/lib/wpkd` for root, else `~/.local/state/wpkd`.
    home: Option<PathBuf>,
    /// Whose texts and times requests are answered with: `documented`, or `wazuh-4` for
    /// those of a running 4.x manager.
    #[schemars(with = "Option<String>", extend("default" = "documented"))]
    dialect: Option<String>,
}

/// A section that is nobody's plugin: its heading as it is written in a file, empty for
/// what stands before all, and the JSON schema of its keys.
pub fn reference() -> Vec<(&'static str, Value)> {
    let sections = [
        ("", schema_of::<Top>()),
        ("[node]", schema_of::<NodeSection>()),
        ("[wazuh]", schema_of::<WazuhSection>()),
        ("[cache]", schema_of::<CacheSettings>()),
        ("[delivery]", schema_of::<DeliverySettings>()),
        ("[tasks]", schema_of::<TaskSettings>()),
        ("[[release]]", schema_of::<ReleaseSettings>()),
        ("[log]", schema_of::<LogSettings>()),
        ("[telemetry]", schema_of::<TelemetrySettings>()),
        ("[[plugin]]", schema_of::<Entry>()),
    ];
    let told = |(heading, schema): (_, Option<_>)| Some((heading, schema?));
    sections.into_iter().filter_map(told).collect()
}
