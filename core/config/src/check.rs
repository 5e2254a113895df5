//! Stage two: from fragments to typed settings, or to all mistakes.

use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde_json::Value;
use wpk_api::Dialect;
use wpk_api::settings::{self, Problem};
use wpk_api::{NodeInfo, PluginKind};

use crate::libraries::{self, PLUGIN_KEY, PluginFile};
use crate::load::{Fragments, default_home};
use crate::plugins::Plugins;
use crate::reading::{Doubts, Reading};
use crate::releases::ReleaseSettings;
use crate::sections::{NodeSection, PluginSection, Settings, WazuhSection};
use crate::{Findings, ranges, releases, together};

/// Sections that are tables, lists of tables, and plain values at the top.
const TOP_LEVEL: [&str; 16] = [
    "home",
    "dialect",
    "node",
    "source",
    "directory",
    "transport",
    "provider",
    "store",
    "observer",
    "cache",
    "delivery",
    "tasks",
    "log",
    "telemetry",
    "release",
    "wazuh",
];

impl Fragments {
    /// Typed settings. Without `plugins` the sections that belong to plugins are
    /// taken as they are.
    ///
    /// # Errors
    /// Every mistake, those found before included.
    pub fn check(self, plugins: Option<&dyn Plugins>) -> Result<Settings, Findings> {
        self.read(plugins).end()
    }

    /// As [`check`](Self::check), for those who look further although something is wrong.
    pub fn read(self, plugins: Option<&dyn Plugins>) -> Reading {
        let mut check = Check {
            doubts: Doubts {
                // What is in a file that cannot be read is nobody's guess.
                incomplete: self.incomplete,
                faulty: Vec::new(),
            },
            fragments: self,
            plugins,
        };
        let settings = check.settings();
        Reading {
            settings,
            fragments: check.fragments,
            doubts: check.doubts,
        }
    }

    /// Whether a value is there and could be read.
    pub(crate) fn is_written(&self, key: &str) -> bool {
        let mut value = Some(&self.value);
        for part in key.split('.') {
            value = match (value, part.parse::<usize>()) {
                (Some(Value::Array(entries)), Ok(number)) => entries.get(number),
                (Some(table), _) => table.get(part),
                (None, _) => None,
            };
        }
        value.is_some() && self.findings.iter().all(|finding| finding.key != key)
    }
}

struct Check<'a> {
    fragments: Fragments,
    plugins: Option<&'a dyn Plugins>,
    doubts: Doubts,
}

impl Check<'_> {
    fn found(&mut self, key: impl Into<String>, message: impl Into<String>) {
        self.fragments.found(key, message);
    }

    fn problems(&mut self, section: &str, problems: Vec<Problem>) {
        for problem in problems {
            let problem = problem.inside(section);
            self.found(problem.key, problem.message);
        }
    }

    /// Whether a section may have been meant otherwise than it is taken.
    fn in_doubt(&self, section: &str) -> bool {
        self.doubts.about(section, &self.fragments)
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.fragments.value.get(key)
    }

    fn settings(&mut self) -> Settings {
        let known = |key: &str| TOP_LEVEL.contains(&key) || key == PLUGIN_KEY;
        let unknown: Vec<String> = (self.fragments.value.as_object().into_iter().flatten())
            .map(|(key, _)| key.clone())
            .filter(|key| !known(key))
            .collect();
        for key in unknown {
            self.doubts.incomplete = true;
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
        let settings = Settings {
            home: self.home(),
            dialect: self.dialect(),
            sources: self.list(PluginKind::Source, &node),
            directory: self.one(PluginKind::Directory, &node),
            transport: self.one(PluginKind::Transport, &node),
            providers: self.list(PluginKind::Provider, &node),
            store: self.one(PluginKind::Store, &node),
            observers: self.list(PluginKind::Observer, &node),
            cache: self.table("cache"),
            delivery: self.table("delivery"),
            tasks: self.table("tasks"),
            log: self.table("log"),
            telemetry: self.table("telemetry"),
            releases: self.releases(),
            plugins: self.plugins(),
            ossec: self.fragments.ossec.clone(),
            node,
        };
        // Read before everything else (`load.rs`); here only its mistakes count.
        let _: WazuhSection = self.table("wazuh");
        self.ranges(&settings);
        settings
    }

    fn releases(&mut self) -> Vec<ReleaseSettings> {
        let (releases, problems) = releases::read(self.get("release"));
        self.faults("release", problems);
        releases
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
                self.faults(section, problems);
                settings::read(&rest).unwrap_or_default()
            }
        }
    }

    /// The sections of a kind that nobody wrote.
    fn usual(&self, kind: PluginKind, node: &NodeInfo) -> Vec<PluginSection> {
        let types = self.usual_types(kind, node).into_iter().flatten();
        types.map(PluginSection::of).collect()
    }

    fn usual_types(&self, kind: PluginKind, node: &NodeInfo) -> Option<Vec<&'static str>> {
        let manager = self.fragments.ossec.is_some();
        self.plugins
            .map(|plugins| plugins.usual(kind, node, manager))
    }

    /// The one section of a kind.
    fn one(&mut self, kind: PluginKind, node: &NodeInfo) -> Option<PluginSection> {
        match self.get(kind.as_str()).cloned() {
            None => self.usual(kind, node).pop(),
            Some(value) => Some(self.plugin_section(kind, kind.as_str(), value, node)),
        }
    }

    /// All sections of a kind.
    fn list(&mut self, kind: PluginKind, node: &NodeInfo) -> Vec<PluginSection> {
        match self.get(kind.as_str()).cloned() {
            None => self.usual(kind, node),
            Some(Value::Array(entries)) => (entries.into_iter().enumerate())
                .map(|(i, entry)| self.plugin_section(kind, &format!("{kind}.{i}"), entry, node))
                .collect(),
            Some(_) => {
                self.fault(kind.as_str(), format!("must be a list: write [[{kind}]]"));
                Vec::new()
            }
        }
    }

    fn plugin_section(
        &mut self,
        kind: PluginKind,
        section: &str,
        value: Value,
        node: &NodeInfo,
    ) -> PluginSection {
        let Value::Object(mut entries) = value else {
            self.fault(section, "must be a table of settings");
            return PluginSection::of("");
        };
        let usual = self.usual_types(kind, node);
        let (type_name, written) = match (entries.remove("type"), usual.as_deref()) {
            (Some(Value::String(name)), _) => (name, true),
            (Some(_), _) => {
                self.faults(section, vec![Problem::new("type", "must be a text")]);
                return PluginSection::of("");
            }
            (None, Some([usual])) => ((*usual).to_owned(), false),
            // Whoever reads without plugins has no use for it.
            (None, None) => (String::new(), false),
            (None, Some(_)) => {
                let known = self.types(kind);
                self.fault(
                    section,
                    format!("has no `type`; write that of a plugin: {known}"),
                );
                return PluginSection::of("");
            }
        };
        let settings = Value::Object(entries);
        if let Some(plugins) = self.plugins {
            match plugins.check(kind, &type_name, &settings) {
                Some(problems) if written => self.problems(section, problems),
                Some(problems) => {
                    let told = problems.into_iter().map(|problem| Problem {
                        message: format!(
                            "{} (taken for type = {type_name:?}, since none is written)",
                            problem.message
                        ),
                        ..problem
                    });
                    self.faults(section, told.collect());
                }
                None => {
                    let known = self.types(kind);
                    let message = format!("{type_name:?} is unknown; known are {known}");
                    self.faults(section, vec![Problem::new("type", message)]);
                }
            }
        }
        PluginSection {
            kind: type_name,
            settings,
        }
    }

    /// A mistake of a section as a whole.
    fn fault(&mut self, section: &str, message: impl Into<String>) {
        self.faults(section, vec![Problem::new("", message)]);
    }

    /// Mistakes because of which a section may have been meant otherwise.
    fn faults(&mut self, section: &str, problems: Vec<Problem>) {
        if !problems.is_empty() {
            self.doubts.faulty.push(section.to_owned());
        }
        self.problems(section, problems);
    }

    fn types(&self, kind: PluginKind) -> String {
        let types = self.plugins.map(|plugins| plugins.types(kind));
        types.unwrap_or_default().join(", ")
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
            match libraries::read(entry) {
                Ok(file) => files.push(file),
                Err(problems) => self.problems(&format!("{PLUGIN_KEY}.{i}"), problems),
            }
        }
        files
    }

    fn ranges(&mut self, settings: &Settings) {
        let mut problems = ranges::check(settings);
        // Where one of the two may have been meant otherwise, they may fit together.
        for relation in ranges::relations(settings) {
            let both = relation
                .keys
                .iter()
                .all(|key| self.fragments.is_written(key));
            if both || !self.in_doubt(relation.section) {
                problems.push(relation.problem);
            }
        }
        if let Some(plugins) = self.plugins {
            let doubt = |section: &str| self.in_doubt(section);
            let named = self.fragments.value.pointer("/node/name").is_some();
            problems.extend(together::check(settings, named, plugins, &doubt));
        }
        // A key that could not be read has its default here; that is no news.
        let known = &self.fragments.findings;
        problems.retain(|problem| !known.iter().any(|found| found.key == problem.key));
        self.problems("", problems);
        for (kind, sections) in [
            (PluginKind::Source, &settings.sources),
            (PluginKind::Provider, &settings.providers),
        ] {
            // Without plugins nobody knows what stands for an absent list.
            let written = self.get(kind.as_str());
            let empty = match written {
                None => self.plugins.is_some(),
                Some(value) => value.is_array(),
            };
            if sections.is_empty() && empty && !self.in_doubt(kind.as_str()) {
                self.found(kind.as_str(), format!("at least one [[{kind}]] is needed"));
            }
        }
    }
}
