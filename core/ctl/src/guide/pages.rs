//! The pages of the guide, in the order in which they are listed.

/// A page.
#[derive(Debug)]
pub(crate) struct Page {
    /// Its name on the command line; the file is `core/ctl/guide/TOPIC.md`.
    pub(crate) topic: &'static str,
    /// Markdown, of the kind that `markdown` reads.
    pub(crate) text: &'static str,
}

impl Page {
    /// Its first line.
    pub(crate) fn title(&self) -> &'static str {
        let first = self.text.lines().next().unwrap_or_default();
        first.trim_start_matches('#').trim()
    }
}

macro_rules! pages {
    ($($topic:literal,)*) => {
        &[$(Page {
            topic: $topic,
            text: include_str!(concat!("../../guide/", $topic, ".md")),
        },)*]
    };
}

/// All of them.
pub(crate) const PAGES: &[Page] = pages![
    "first-manager",
    "beside-4x",
    "upgrades",
    "rollouts",
    "rollout-examples",
    "repositories",
    "custom-packages",
    "several-managers",
    "plugins",
    "settings",
    "agent-settings",
    "commands",
    "monitoring",
    "backup-and-restore",
    "upgrading-wpkd",
    "troubleshooting",
    "messages",
    "security",
    "json-and-exit-codes",
    "glossary",
];
