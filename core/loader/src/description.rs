//! What a library says is inside it, checked.

use wpk_abi::host::PluginView;
use wpk_api::PluginKind;
use wpk_api::border::{Described, Description};

/// The most plugins in one library.
const MOST: usize = 64;

/// Reads a library's description; the error ends the sentence "its description ...".
pub(crate) fn read(view: &PluginView) -> Result<Description, String> {
    let description = parse(view.description())?;
    let kinds = |kind| of(&description, kind).next().is_some();
    if kinds(PluginKind::Provider) && !view.streams() {
        return Err(
            "has a provider, but its functions `next` or `close_stream` are missing".into(),
        );
    }
    if kinds(PluginKind::Source) && !view.takes_answers() {
        return Err("has a source, but its function `answer` is missing".into());
    }
    Ok(description)
}

fn parse(json: &[u8]) -> Result<Description, String> {
    let description: Description =
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
        if !is_name(&entry.type_name) {
            return Err(format!("has a wrong type {:?}; {NAMES}", entry.type_name));
        }
        let same =
            |other: &Described| other.kind == entry.kind && other.type_name == entry.type_name;
        if description.plugins.iter().skip(i + 1).any(same) {
            let (kind, name) = (entry.kind, &entry.type_name);
            return Err(format!("has the {kind} type {name:?} twice"));
        }
    }
    Ok(description)
}

/// Its plugins of one kind.
pub(crate) fn of(description: &Description, kind: PluginKind) -> impl Iterator<Item = &Described> {
    (description.plugins.iter()).filter(move |entry| entry.kind == kind)
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
        let read = parse(good).unwrap();
        assert_eq!(of(&read, PluginKind::Store).count(), 1);
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
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
