//! `[[plugin]]`: the libraries to load, and what is wrong with them.

use std::time::Duration;

use serde_json::Value;
use wpk_api::settings::{self, Problem, Span};

use super::Finding;
use super::load::Fragments;
use super::sections::PluginFile;
use crate::plugin::{self, LoadOptions};
use crate::registry::Registry;

pub(super) const PLUGIN_KEY: &str = "plugin";

/// One entry of the list, and how its library is to be loaded.
///
/// # Errors
/// Every mistake in it.
pub(super) fn read(entry: &Value) -> Result<(PluginFile, LoadOptions), Vec<Problem>> {
    let file: PluginFile = settings::read(entry)?;
    let mut problems = Vec::new();
    if !file.path.as_ref().is_some_and(|path| path.is_absolute()) {
        let message = "must be the absolute path of a library";
        problems.push(Problem::new("path", message));
    }
    let sha256 = file.sha256.as_deref().map(digest);
    if sha256 == Some(None) {
        problems.push(Problem::new("sha256", "must be 64 hexadecimal digits"));
    }
    let mut limit = |key: &str, span: Option<Span>, most: Duration, words: &str| {
        let range = Duration::from_millis(10)..=most;
        if span.is_some_and(|span| !range.contains(&span.0)) {
            problems.push(Problem::new(key, format!("must be 10ms to {words}")));
        }
    };
    limit("deadline", file.deadline, Duration::from_secs(86_400), "1d");
    limit("grace", file.grace, Duration::from_secs(3_600), "1h");
    if !problems.is_empty() {
        return Err(problems);
    }
    let options = LoadOptions {
        sha256: sha256.flatten(),
        deadline: file.deadline.map(|span| span.0),
        grace: file
            .grace
            .map_or(LoadOptions::default().grace, |span| span.0),
    };
    Ok((file, options))
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(digest)
}

impl Fragments {
    /// Loads every library that is named well; the others are reported when the
    /// settings are checked.
    pub(super) fn load_plugins(&self, registry: &mut Registry, findings: &mut Vec<Finding>) {
        let entries = self.value.get(PLUGIN_KEY).and_then(Value::as_array);
        for (i, entry) in entries.into_iter().flatten().enumerate() {
            let Ok((file, options)) = read(entry) else {
                continue;
            };
            let path = file.path.unwrap_or_default();
            let added =
                plugin::load(&path, &options).and_then(|loaded| registry.add_plugin(&loaded));
            if let Err(error) = added {
                let key = format!("{PLUGIN_KEY}.{i}");
                findings.push(Finding {
                    origin: self.origin(&key),
                    key,
                    message: error.to_string(),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_mistake_of_an_entry_is_found() {
        let entry = json!({"path": "x.so", "sha256": "zz", "deadline": "1ms", "grace": "2h"});
        let keys: Vec<String> = read(&entry)
            .unwrap_err()
            .into_iter()
            .map(|p| p.key)
            .collect();
        assert_eq!(keys, ["path", "sha256", "deadline", "grace"]);
        let digits = "Ab".repeat(32);
        let entry = json!({"path": "/x.so", "sha256": digits, "deadline": "2s"});
        let (_, options) = read(&entry).unwrap();
        assert_eq!(options.sha256, Some([0xab; 32]));
        assert_eq!(options.deadline, Some(Duration::from_secs(2)));
    }
}
