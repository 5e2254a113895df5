//! Plugins that are made up, and the ways to read.

use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;
use wpk_api::settings::Problem;
use wpk_api::{Context, Demands, Need, NodeInfo, Occupied, PluginKind, Resource, Role};
use wpk_config::{Finding, PluginSection, Plugins, Settings, Sources};

/// Made-up plugins: `door` serves one path, `diary` writes to one, `line` carries, and the directory
/// `line` needs it. Settings of all of them are fine but for the key `wrong`.
pub(crate) struct Known;

impl Plugins for Known {
    fn types(&self, kind: PluginKind) -> Vec<&'static str> {
        match kind {
            PluginKind::Source => vec!["door", "line"],
            PluginKind::Directory | PluginKind::Transport => vec!["line", "other"],
            PluginKind::Provider => vec!["shelf", "file"],
            PluginKind::Store => vec!["book", "far"],
            PluginKind::Observer => vec!["diary"],
        }
    }

    fn usual(&self, kind: PluginKind, node: &NodeInfo, _: bool) -> Vec<&'static str> {
        match kind {
            PluginKind::Source => vec!["door"],
            PluginKind::Directory | PluginKind::Transport => vec!["line"],
            PluginKind::Provider => vec!["shelf", "file"],
            PluginKind::Store if node.role == Role::Worker => vec!["far"],
            PluginKind::Store => vec!["book"],
            PluginKind::Observer => Vec::new(),
        }
    }

    fn check(&self, kind: PluginKind, type_name: &str, settings: &Value) -> Option<Vec<Problem>> {
        let wrong = settings.get("wrong").map(|_| Problem::new("wrong", "is"));
        (self.types(kind).contains(&type_name)).then(|| wrong.into_iter().collect())
    }

    fn demands(&self, kind: PluginKind, section: &PluginSection, context: &Context) -> Demands {
        let mut demands = Demands::default();
        match (kind, section.kind.as_str()) {
            (PluginKind::Source, "door") | (PluginKind::Observer, "diary") => {
                let path = section.settings["path"].as_str();
                let path = path.unwrap_or(&section.kind);
                demands.occupies.push(Occupied {
                    key: "path".into(),
                    what: Resource::Path(context.path(path)),
                });
            }
            (PluginKind::Source | PluginKind::Directory, "line") => demands.needs.push(Need {
                kind: PluginKind::Transport,
                type_name: "line".into(),
            }),
            _ => {}
        }
        demands
    }
}

pub(crate) fn load(file: Option<&Path>) -> Result<Settings, Vec<Finding>> {
    let sources = Sources {
        file: file.map(Path::to_owned),
        home: None,
    };
    wpk_config::load(&sources, Some(&Known)).map_err(|findings| findings.0)
}

pub(crate) fn load_text(text: &str) -> Result<Settings, Vec<Finding>> {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("wpkd.toml");
    std::fs::write(&file, text).unwrap();
    load(Some(&file))
}

/// As a tool reads it that knows no plugins.
pub(crate) fn load_without_plugins(text: &str) -> Result<Settings, Vec<Finding>> {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("wpkd.toml");
    std::fs::write(&file, text).unwrap();
    let sources = Sources {
        file: Some(file),
        home: None,
    };
    wpk_config::load(&sources, None).map_err(|findings| findings.0)
}

pub(crate) fn keys(findings: &[Finding]) -> Vec<&str> {
    findings
        .iter()
        .map(|finding| finding.key.as_str())
        .collect()
}

/// The settings are refused, with findings at just these keys, in their order.
#[track_caller]
pub(crate) fn refused(text: &str, expected: &[&str]) -> Vec<Finding> {
    let findings = load_text(text).unwrap_err();
    let mut found = keys(&findings);
    found.sort_unstable();
    assert_eq!(found, expected);
    findings
}

pub(crate) fn types(settings: &Settings, kind: PluginKind) -> Vec<&str> {
    let sections = settings.sections(kind).iter();
    sections.map(|section| section.kind.as_str()).collect()
}
