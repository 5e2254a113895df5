//! Settings as far as they could be read, with every mistake, for those who look
//! further: what is wrong with the world is told beside what is wrong in the files,
//! unless it may only follow from it.

use serde_json::Value;

use crate::load::Fragments;
use crate::sections::{PluginSection, Settings};
use crate::{Finding, Findings};

/// What [`Fragments::read`](crate::Fragments::read) gives. Where something is wrong, its
/// default stands in the settings: nothing may be begun with them before
/// [`end`](Self::end) has said that they are good.
pub struct Reading {
    pub(crate) settings: Settings,
    pub(crate) fragments: Fragments,
    pub(crate) doubts: Doubts,
}

/// What may have been meant otherwise than it is taken.
#[derive(Default)]
pub(crate) struct Doubts {
    /// Sections that are not there may have been meant: a file cannot be read, or a
    /// name at the top is none.
    pub(crate) incomplete: bool,
    /// Sections that may have been meant otherwise: of a plugin's those whose type is
    /// not sure, of ours those with mistakes.
    pub(crate) faulty: Vec<String>,
}

impl Doubts {
    /// Whether a section may have been meant otherwise.
    pub(crate) fn about(&self, section: &str, fragments: &Fragments) -> bool {
        let name = section.split('.').next().unwrap_or_default();
        (self.incomplete && fragments.value.get(name).is_none())
            || (self.faulty.iter()).any(|faulty| is_inside(faulty, section))
    }
}

fn is_inside(key: &str, section: &str) -> bool {
    let rest = key.strip_prefix(section);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

impl Reading {
    /// The settings, with the defaults of what is wrong.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether the home is the one that is meant; most of what can be looked at lies
    /// there.
    pub fn is_at_home(&self) -> bool {
        let found = &self.fragments.findings;
        !found.iter().any(|found| found.key == "home")
            && !self.doubts.about("home", &self.fragments)
    }

    /// A section without what is wrong in it; `None` where it may have been meant
    /// otherwise altogether. `key` is its place, `store` or `source.0`.
    pub fn sure(&self, key: &str, section: &PluginSection) -> Option<PluginSection> {
        let name = key.split('.').next().unwrap_or_default();
        let written = self.fragments.value.get(name).is_some();
        // What stands for an absent section depends on the node.
        if self.doubts.about(key, &self.fragments)
            || self.doubts.about(name, &self.fragments) && !written
            || !written && self.doubts.about("node", &self.fragments)
            || self.is_wrong(key)
        {
            return None;
        }
        let mut section = section.clone();
        if let Value::Object(entries) = &mut section.settings {
            entries.retain(|name, _| !self.has_mistake(&format!("{key}.{name}")));
        }
        Some(section)
    }

    /// Adds what was seen to be wrong with the world at `key`, unless it may follow from
    /// a mistake that is told already: in a section with mistakes only keys that are
    /// written, and not wrong themselves, count.
    pub fn seen(&mut self, key: &str, message: impl Into<String>) {
        let parts = key.split('.');
        let list = key.split('.').nth(1).is_some_and(is_number);
        let section: Vec<&str> = parts.take(1 + usize::from(list)).collect();
        let section = section.join(".");
        let doubtful = self.doubts.about(&section, &self.fragments) || self.has_mistake(&section);
        if (doubtful && !self.fragments.is_written(key)) || self.is_wrong(key) {
            return;
        }
        self.fragments.found(key, message);
    }

    /// Adds a mistake at `key`.
    pub fn found(&mut self, key: &str, message: impl Into<String>) {
        self.fragments.found(key, message);
    }

    /// The settings, if nothing is wrong.
    ///
    /// # Errors
    /// Every mistake.
    pub fn end(self) -> Result<Settings, Findings> {
        match self.fragments.findings {
            found if found.is_empty() => Ok(self.settings),
            found => Err(Findings(found)),
        }
    }

    fn is_wrong(&self, key: &str) -> bool {
        let found = &self.fragments.findings;
        found.iter().any(|found| found.key == key)
    }

    fn has_mistake(&self, section: &str) -> bool {
        let inside = |found: &Finding| is_inside(&found.key, section);
        self.fragments.findings.iter().any(inside)
    }
}

fn is_number(part: &str) -> bool {
    part.parse::<usize>().is_ok()
}
