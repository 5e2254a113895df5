//! Stage two: from fragments to typed settings, or to all mistakes.

use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde_json::Value;
use wpk_api::Role;
use wpk_api::settings::{self, Problem};
use wpk_wire::Dialect;

use super::load::{Fragments, default_home};
use super::plugins::{self, PLUGIN_KEY};
use super::ranges;
use super::sections::{NodeSection, PluginFile, PluginSection, Settings, WazuhSection};
use super::{Finding, Findings};
use crate::registry::{Kinds, Registry};

/// Sections that are tables, lists of tables, and plain values at the top.
const TOP_LEVEL: [&str; 12] = [
    "home",
    "dialect",
    "node",
    "source",
    "directory",
    "transport",
    "provider",
    "store",
    "cache",
    "delivery",
    "tasks",
    "wazuh",
];

impl Fragments {
    /// Typed settings, or every mistake, those found before included.
    pub(super) fn check(
        self,
        registry: Option<&Registry>,
        findings: Vec<Finding>,
    ) -> Result<Settings, Findings> {
        let mut check = Check {
            fragments: &self,
            findings,
        };
        let settings = check.settings(registry);
        if check.findings.is_empty() {
            Ok(settings)
        } else {
            Err(Findings(check.findings))
        }
    }
}

struct Check<'a> {
    fragments: &'a Fragments,
    findings: Vec<Finding>,
}

impl Check<'_> {
    fn found(&mut self, key: impl Into<String>, message: impl Into<String>) {
        let key = key.into();
        let origin = self.fragments.origin(&key);
        self.findings.push(Finding {
            origin,
            key,
            message: message.into(),
        });
    }

    fn problems(&mut self, section: &str, problems: Vec<Problem>) {
        for problem in problems {
            let problem = problem.inside(section);
            self.found(problem.key, problem.message);
        }
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.fragments.value.get(key)
    }

    fn settings(&mut self, registry: Option<&Registry>) -> Settings {
        let known = |key: &str| TOP_LEVEL.contains(&key) || key == PLUGIN_KEY;
        let unknown: Vec<String> = (self.fragments.value.as_object().into_iter().flatten())
            .map(|(key, _)| key.clone())
            .filter(|key| !known(key))
            .collect();
        for key in unknown {
            let expected = TOP_LEVEL.join(", ");
            self.found(
                key,
                format!("unknown setting; known at the top are {expected}, {PLUGIN_KEY}"),
            );
        }
        let node = self.table::<NodeSection>("node").into_info();
        if node.name.is_empty() || node.name.len() > 255 {
            self.found("node.name", "must be 1 to 255 bytes");
        }
        // The tasks of a cluster are its master's.
        let store = match node.role {
            Role::Master => "sqlite",
            Role::Worker => "cluster",
        };
        let settings = Settings {
            home: self.home(),
            dialect: self.dialect(),
            node,
            sources: self.list("source", &["unix-socket"], registry.map(Registry::sources)),
            directory: self.one("directory", "channel", registry.map(Registry::directories)),
            transport: self.one("transport", "channel", registry.map(Registry::transports)),
            providers: self.list(
                "provider",
                &["repository", "local-file"],
                registry.map(Registry::providers),
            ),
            store: self.one("store", store, registry.map(Registry::stores)),
            cache: self.table("cache"),
            delivery: self.table("delivery"),
            tasks: self.table("tasks"),
            plugins: self.plugins(),
            ossec: self.fragments.ossec.clone(),
        };
        // Read before everything else (`load.rs`); here only its mistakes count.
        let _: WazuhSection = self.table("wazuh");
        self.ranges(&settings);
        settings
    }

    fn home(&mut self) -> PathBuf {
        match self.get("home") {
            None => default_home(),
            Some(Value::String(path)) if path.starts_with('/') => PathBuf::from(path),
            Some(_) => {
                self.found(
                    "home",
                    "must be an absolute path, for example \"/var/ossec\"",
                );
                default_home()
            }
        }
    }

    fn dialect(&mut self) -> Dialect {
        match self
            .get("dialect")
            .map(|value| serde_json::from_value(value.clone()))
        {
            None => Dialect::default(),
            Some(Ok(dialect)) => dialect,
            Some(Err(_)) => {
                self.found("dialect", "must be \"documented\" or \"wazuh-4\"");
                Dialect::default()
            }
        }
    }

    fn table<T: DeserializeOwned + Default>(&mut self, section: &str) -> T {
        match self.get(section).map(settings::read) {
            None => T::default(),
            Some(Ok(table)) => table,
            Some(Err(problems)) => {
                // What else the section says is looked at all the same.
                let mut rest = self.get(section).cloned().unwrap_or_default();
                if let Value::Object(entries) = &mut rest {
                    entries.retain(|key, _| !problems.iter().any(|problem| problem.key == *key));
                }
                self.problems(section, problems);
                settings::read(&rest).unwrap_or_default()
            }
        }
    }

    /// One plugin section.
    fn one(&mut self, section: &str, default: &str, kinds: Option<&dyn Kinds>) -> PluginSection {
        match self.get(section).cloned() {
            None => PluginSection::of(default),
            Some(value) => self.plugin_section(section, value, kinds),
        }
    }

    /// A list of plugin sections.
    fn list(
        &mut self,
        section: &str,
        default: &[&str],
        kinds: Option<&dyn Kinds>,
    ) -> Vec<PluginSection> {
        match self.get(section).cloned() {
            None => default.iter().map(|kind| PluginSection::of(kind)).collect(),
            Some(Value::Array(entries)) => (entries.into_iter().enumerate())
                .map(|(i, entry)| self.plugin_section(&format!("{section}.{i}"), entry, kinds))
                .collect(),
            Some(_) => {
                self.found(section, format!("must be a list: write [[{section}]]"));
                Vec::new()
            }
        }
    }

    fn plugin_section(
        &mut self,
        section: &str,
        value: Value,
        kinds: Option<&dyn Kinds>,
    ) -> PluginSection {
        let Value::Object(mut entries) = value else {
            self.found(section, "must be a table of settings");
            return PluginSection::of("");
        };
        let kind = match entries.remove("type") {
            Some(Value::String(kind)) => kind,
            Some(_) => {
                self.found(format!("{section}.type"), "must be a text");
                return PluginSection::of("");
            }
            None => {
                self.found(section, "has no `type`; it names the plugin");
                return PluginSection::of("");
            }
        };
        let settings = Value::Object(entries);
        if let Some(kinds) = kinds {
            match kinds.check(&kind, &settings) {
                Some(problems) => self.problems(section, problems),
                None => self.found(
                    format!("{section}.type"),
                    format!(
                        "{kind:?} is unknown; known are {}",
                        kinds.names().join(", ")
                    ),
                ),
            }
        }
        PluginSection { kind, settings }
    }

    fn plugins(&mut self) -> Vec<PluginFile> {
        let entries = match self.get(PLUGIN_KEY).cloned() {
            None => return Vec::new(),
            Some(Value::Array(entries)) => entries,
            Some(_) => {
                self.found(PLUGIN_KEY, "must be a list: write [[plugin]]");
                return Vec::new();
            }
        };
        let mut files = Vec::new();
        for (i, entry) in entries.iter().enumerate() {
            match plugins::read(entry) {
                Ok((file, _)) => files.push(file),
                Err(problems) => self.problems(&format!("{PLUGIN_KEY}.{i}"), problems),
            }
        }
        files
    }

    fn ranges(&mut self, settings: &Settings) {
        // A key that could not be read has its default here; that is no news.
        let mut problems = ranges::check(settings);
        problems.retain(|problem| !self.findings.iter().any(|found| found.key == problem.key));
        self.problems("", problems);
        for (name, one) in [
            ("source", &settings.sources),
            ("provider", &settings.providers),
        ] {
            if one.is_empty() && !matches!(self.get(name), Some(value) if !value.is_array()) {
                self.found(name, format!("at least one [[{name}]] is needed"));
            }
        }
    }
}
