//! What a library says is inside it.

use serde::Deserialize;
use serde_json::Value;
use wpk_abi::host::PluginView;

/// The most plugins in one library.
const MOST: usize = 64;

/// The description of the header, checked.
#[derive(Debug, Deserialize)]
pub(crate) struct Description {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) version: String,
    plugins: Vec<Entry>,
}

/// One plugin of a library.
#[derive(Debug, Deserialize)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    #[serde(rename = "type")]
    pub(crate) name: String,
    pub(crate) schema: Option<Value>,
}

/// The five kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Source,
    Directory,
    Provider,
    Transport,
    Store,
}

impl Kind {
    /// Its word in the configuration and across the border.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Directory => "directory",
            Self::Provider => "provider",
            Self::Transport => "transport",
            Self::Store => "store",
        }
    }
}

impl Description {
    /// Reads a library's description; the error ends the sentence "its description ...".
    pub(crate) fn read(view: &PluginView) -> Result<Self, String> {
        let description = Self::parse(view.description())?;
        let kinds = |kind| description.of(kind).next().is_some();
        if kinds(Kind::Provider) && !view.streams() {
            return Err(
                "has a provider, but its functions `next` or `close_stream` are missing".into(),
            );
        }
        if kinds(Kind::Source) && !view.takes_answers() {
            return Err("has a source, but its function `answer` is missing".into());
        }
        Ok(description)
    }

    fn parse(json: &[u8]) -> Result<Self, String> {
        let description: Self =
            serde_json::from_slice(json).map_err(|error| format!("is wrong: {error}"))?;
        if !is_name(&description.name) {
            return Err(format!("has a wrong name {:?}; {NAMES}", description.name));
        }
        if description.version.len() > 64 || description.version.chars().any(char::is_control) {
            return Err("has a wrong version; write at most 64 letters".into());
        }
        if description.plugins.is_empty() || description.plugins.len() > MOST {
            return Err(format!("must list 1 to {MOST} plugins"));
        }
        for (i, entry) in description.plugins.iter().enumerate() {
            if !is_name(&entry.name) {
                return Err(format!("has a wrong type {:?}; {NAMES}", entry.name));
            }
            let same = |other: &Entry| other.kind == entry.kind && other.name == entry.name;
            if description.plugins.iter().skip(i + 1).any(same) {
                let (kind, name) = (entry.kind.as_str(), &entry.name);
                return Err(format!("has the {kind} type {name:?} twice"));
            }
        }
        Ok(description)
    }

    /// Its plugins of one kind.
    pub(crate) fn of(&self, kind: Kind) -> impl Iterator<Item = &Entry> {
        self.plugins.iter().filter(move |entry| entry.kind == kind)
    }
}

const NAMES: &str = "names are 1 to 64 of a-z, 0-9, '-', '_' and '.'";

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sensible_descriptions_pass() {
        let good = br#"{"name": "x", "version": "1", "plugins": [
            {"kind": "provider", "type": "s3"}, {"kind": "store", "type": "s3", "schema": {}}]}"#;
        let read = Description::parse(good).unwrap();
        assert_eq!(read.of(Kind::Store).count(), 1);
        for bad in [
            "",
            "{}",
            "[]",
            r#"{"name": "x", "plugins": []}"#,
            r#"{"name": "x\n", "plugins": [{"kind": "store", "type": "a"}]}"#,
            r#"{"name": "x", "plugins": [{"kind": "shop", "type": "a"}]}"#,
            r#"{"name": "x", "plugins": [{"kind": "store", "type": "A b"}]}"#,
            r#"{"name": "x", "plugins": [{"kind": "store", "type": "a"}, {"kind": "store", "type": "a"}]}"#,
        ] {
            assert!(Description::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
