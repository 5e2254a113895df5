//! The questions about plugins that only those who know them answer.

use serde_json::Value;
use wpk_api::settings::Problem;
use wpk_api::{Context, Demands, NodeInfo, PluginKind};

use crate::sections::PluginSection;

/// Whoever knows the plugins by name: the daemon, with its built-ins and the
/// libraries it has loaded.
pub trait Plugins {
    /// The known types of a kind, for messages.
    fn types(&self, kind: PluginKind) -> Vec<&'static str>;

    /// The types of the sections of a kind that the configuration leaves out, in
    /// order; more than one only where [`PluginKind::is_list`]. `manager`: a 4.x manager is
    /// around us.
    fn usual(&self, kind: PluginKind, node: &NodeInfo, manager: bool) -> Vec<&'static str>;

    /// The mistakes in a section of this type; `None` for an unknown type.
    fn check(&self, kind: PluginKind, type_name: &str, settings: &Value) -> Option<Vec<Problem>>;

    /// What a section demands of the others; nothing for an unknown type.
    fn demands(&self, kind: PluginKind, section: &PluginSection, context: &Context) -> Demands;
}
