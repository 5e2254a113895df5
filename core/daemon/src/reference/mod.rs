//! `wpkd settings` and wpkd.toml(5): every setting, as the structs that read the
//! configuration describe themselves. `key` is one setting out of a schema, `text` shows
//! sections in a terminal, `manual` as a man page.

mod key;
mod manual;
mod text;

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::{Value, json};
use wpk_api::PluginKind;

use crate::builtins;
use crate::cli::{SettingsArgs, Where};
use crate::registry::Registry;
use crate::settings;
use key::Key;
pub(crate) use manual::page;

/// A section with its settings.
pub(crate) struct Section {
    /// As it stands in a file, such as `[store]`; empty for what stands before all.
    heading: String,
    /// The `type` of the plugin whose it is.
    plugin: Option<&'static str>,
    /// What it is for.
    about: String,
    keys: Vec<Key>,
    /// Whether a plugin says what can be set.
    described: bool,
}

impl Section {
    fn new(heading: String, plugin: Option<&'static str>, schema: Option<&Value>) -> Self {
        let about = schema.and_then(|schema| schema.get("description")?.as_str());
        Self {
            heading,
            plugin,
            about: key::prose(about.unwrap_or_default()),
            keys: schema.map(key::keys).unwrap_or_default(),
            described: schema.is_some(),
        }
    }

    /// Its line in a file, with the type.
    fn title(&self) -> String {
        match self.plugin {
            None if self.heading.is_empty() => "Before the first section".to_owned(),
            None => self.heading.clone(),
            Some(name) => format!("{} type = \"{name}\"", self.heading),
        }
    }

    fn is_called(&self, name: &str) -> bool {
        let bare = self.heading.trim_matches(['[', ']']);
        bare == name.trim_matches(['[', ']']) || self.plugin == Some(name)
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

/// Prints them.
pub(crate) fn run(args: &SettingsArgs) -> ExitCode {
    let mut registry = builtins::registry();
    if let Some(file) = &args.config {
        let place = Where {
            config: Some(file.clone()),
            home: None,
            user: None,
        };
        if let Err(findings) = settings::libraries(&place, &mut registry) {
            eprintln!("{findings}");
            return ExitCode::from(2);
        }
    }
    let mut sections = sections(&registry);
    if let Some(name) = &args.section {
        let known = names(&sections);
        sections.retain(|section| section.is_called(name));
        if sections.is_empty() {
            eprintln!("wpkd: there is no section {name}; there are {known}");
            return ExitCode::from(2);
        }
    }
    let text = match args.json {
        true => objects(&sections),
        false => text::of(&sections),
    };
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wpkd: standard output: {error}");
            ExitCode::FAILURE
        }
    }
}

fn names(sections: &[Section]) -> String {
    let mut names: Vec<&str> = (sections.iter())
        .map(|section| section.heading.trim_matches(['[', ']']))
        .filter(|name| !name.is_empty())
        .collect();
    names.dedup();
    names.join(", ")
}

fn objects(sections: &[Section]) -> String {
    let mut text = String::new();
    for section in sections {
        for key in &section.keys {
            let object = json!({
                "section": section.heading,
                "type": section.plugin,
                "key": key.name,
                "what": key.what,
                "values": key.values,
                "default": key.default,
                "required": key.required,
            });
            text.push_str(&format!("{object}\n"));
        }
    }
    text
}

/// What stands after a section of a plugin that has no keys.
fn without_keys(section: &Section) -> &'static str {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_its_description_unit_and_default() {
        let mut wrong = Vec::new();
        let sections = sections(&builtins::registry());
        let mut keys = 0;
        for section in &sections {
            assert!(section.described, "{} has no schema", section.title());
            assert!(section.about.ends_with('.'), "{}", section.title());
            for key in &section.keys {
                keys += 1;
                if let Some(what) = key::missing(key) {
                    wrong.push(format!("{} {}: {what}: {key:?}", section.title(), key.name));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(keys >= 70, "{keys}");
    }

    #[test]
    fn lines_are_not_longer_than_a_terminal() {
        let text = text::of(&sections(&builtins::registry()));
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        for part in [
            "[[source]] type = \"unix-socket\"",
            "  max_frame: a size",
            "default \"16MiB\"",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}
