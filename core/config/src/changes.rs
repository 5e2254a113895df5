//! What was changed in the settings since they were read last, key by key.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

/// The settings as they were written, each value under its full key
/// (`provider.0.url`). What is left out has no key. Values may be passwords: `Debug`
/// shows the keys alone.
#[derive(Clone, Default, PartialEq)]
pub struct Written(BTreeMap<String, Value>);

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Written {
    pub(crate) fn of(settings: &Value) -> Self {
        let mut written = BTreeMap::new();
        flatten(String::new(), settings, &mut written);
        Self(written)
    }

    /// The value at `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// The keys that are only here, only in `other`, or have different values.
    pub fn changed(&self, other: &Self) -> Vec<String> {
        let keys: BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        let changed = keys.into_iter().filter(|key| {
            let (before, after) = (self.0.get(*key), other.0.get(*key));
            before != after
        });
        changed.cloned().collect()
    }

    /// Takes over what `other` says at `key`, a value or that there is none.
    pub fn take(&mut self, key: &str, other: &Self) {
        match other.0.get(key) {
            Some(value) => self.0.insert(key.to_owned(), value.clone()),
            None => self.0.remove(key),
        };
    }
}

fn flatten(key: String, value: &Value, into: &mut BTreeMap<String, Value>) {
    let below = |name: &str| match key.as_str() {
        "" => name.to_owned(),
        key => format!("{key}.{name}"),
    };
    match value {
        Value::Object(entries) => {
            for (name, value) in entries {
                flatten(below(name), value, into);
            }
        }
        // A list of plain values is one value: what it holds has no names.
        Value::Array(entries) if entries.iter().any(Value::is_object) => {
            for (number, value) in entries.iter().enumerate() {
                flatten(below(&number.to_string()), value, into);
            }
        }
        value => {
            into.insert(key, value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_key_is_told_once_and_what_was_taken_over_is_no_change() {
        let before = Written::of(&json!({
            "home": "/a", "cache": {"max_size": "1GiB", "ca_store": ["a"]},
            "provider": [{"type": "repository", "url": "a"}, {"type": "local-file"}],
        }));
        let after = Written::of(&json!({
            "home": "/a", "cache": {"ca_store": ["a", "b"]}, "tasks": {},
            "provider": [{"type": "repository", "url": "b"}],
        }));
        let keys = [
            "cache.ca_store",
            "cache.max_size",
            "provider.0.url",
            "provider.1.type",
        ];
        assert_eq!(before.changed(&after), keys);
        assert_eq!(after.changed(&before), keys);
        let mut now = before.clone();
        for key in ["cache.max_size", "provider.0.url", "provider.1.type"] {
            now.take(key, &after);
        }
        assert_eq!(now.changed(&after), ["cache.ca_store"]);
        assert_eq!(before.changed(&before), [""; 0]);
    }
}
