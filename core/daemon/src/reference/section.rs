//! A section of the settings, and all that there are.

use serde_json::Value;
use wpk_api::PluginKind;
use wpk_api::settings::{Key, keys, prose};

use crate::registry::Registry;

/// A section with its settings.
pub(crate) struct Section {
    /// As it stands in a file, such as `[store]`; empty for what stands before all.
    pub(super) heading: String,
    /// The `type` of the plugin whose it is.
    pub(super) plugin: Option<&'static str>,
    /// What it is for.
    pub(super) about: String,
    pub(super) keys: Vec<Key>,
    /// Whether a plugin says what can be set.
    pub(super) described: bool,
}

impl Section {
    fn new(heading: String, plugin: Option<&'static str>, schema: Option<&Value>) -> Self {
        let about = schema.and_then(|schema| schema.get("description")?.as_str());
        Self {
            heading,
            plugin,
            about: prose(about.unwrap_or_default()),
            keys: schema.map(keys).unwrap_or_default(),
            described: schema.is_some(),
        }
    }

    /// Its line in a file, with the type.
    pub(super) fn title(&self) -> String {
        match self.plugin {
            None if self.heading.is_empty() => "Before the first section".to_owned(),
            None => self.heading.clone(),
            Some(name) => format!("{} type = \"{name}\"", self.heading),
        }
    }

    /// Its name, and the type of its plugin.
    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        let name = self.heading.trim_matches(['[', ']']);
        std::iter::once(name).chain(self.plugin)
    }

    pub(super) fn is_called(&self, name: &str) -> bool {
        let name = name.trim_matches(['[', ']']);
        self.words().any(|word| word == name)
    }
}

/// All of them, in the order of a file.
pub(crate) fn sections(registry: &Registry) -> Vec<Section> {
    let own = wpk_config::reference().into_iter();
    let mut sections: Vec<Section> = own
        .map(|(heading, schema)| Section::new(heading.to_owned(), None, Some(&schema)))
        .collect();
    for (kind, name, schema) in registry.schemas() {
        let heading = match kind.is_list() {
            true => format!("[[{kind}]]"),
            false => format!("[{kind}]"),
        };
        let mut section = Section::new(heading, Some(name), schema.as_ref());
        section.about = purpose(kind).to_owned();
        sections.push(section);
    }
    sections
}

/// What stands after a section of a plugin that has no keys.
pub(super) fn without_keys(section: &Section) -> &'static str {
    match section.described {
        true => "It has no settings.",
        false => "What can be set is said by the plugin's own documentation.",
    }
}

/// What every kind of plugin is for.
fn purpose(kind: PluginKind) -> &'static str {
    match kind {
        PluginKind::Source => "Where requests come from.",
        PluginKind::Directory => "Who the agents are.",
        PluginKind::Transport => "How agents are reached.",
        PluginKind::Provider => "Where WPKs come from, asked in the order of the file.",
        PluginKind::Store => "Where tasks are kept.",
        PluginKind::Observer => "Who is told of every change of a task.",
    }
}
