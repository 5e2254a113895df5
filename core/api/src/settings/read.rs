//! Reading a section so that every mistake is found at once: serde stops at the
//! first error of a struct. Each key of a section is tried alone first; then the
//! section is read as a whole, which finds what is missing.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::problem::Problem;

/// Reads a section.
///
/// # Errors
/// All mistakes of the section, in the order of its keys.
pub fn read<T: DeserializeOwned>(section: &Value) -> Result<T, Vec<Problem>> {
    let Value::Object(entries) = section else {
        return Err(vec![Problem::new("", "must be a table of settings")]);
    };
    let mut problems = Vec::new();
    for (key, value) in entries {
        let alone = Value::Object(Map::from_iter([(key.clone(), value.clone())]));
        if let Err(error) = T::deserialize(alone) {
            let message = error.to_string();
            // Alone it misses the other keys; the whole tells what is missing.
            if missing(&message).is_none() {
                problems.push(Problem::new(key.clone(), message));
            }
        }
    }
    match T::deserialize(section.clone()) {
        Ok(read) if problems.is_empty() => return Ok(read),
        Ok(_) => {}
        Err(error) => {
            let message = error.to_string();
            let flat = !entries.values().any(|v| v.is_object() || v.is_array());
            match missing(&message) {
                Some(key) if flat => problems.push(Problem::new(key, "is missing")),
                Some(_) => problems.push(Problem::new("", message)),
                None if problems.is_empty() => problems.push(Problem::new("", message)),
                None => {}
            }
        }
    }
    Err(problems)
}

/// The key a message of serde says is missing.
fn missing(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.strip_suffix('`')
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde::Deserialize;

    use super::*;
    use crate::settings::{ByteSize, Span};

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Section {
        timeout: Option<Span>,
        size: Option<ByteSize>,
    }

    #[test]
    fn every_mistake_is_found() {
        let section = serde_json::json!({"timeout": "5 parsecs", "size": true, "sise": 1});
        let problems = read::<Section>(&section).unwrap_err();
        let keys: Vec<_> = problems.iter().map(|p| p.key.as_str()).collect();
        assert_eq!(keys, ["sise", "size", "timeout"]);
        assert!(
            problems[0].message.contains("unknown field `sise`"),
            "{problems:?}"
        );
    }

    #[test]
    fn good_sections_are_read() {
        let section = serde_json::json!({"timeout": "75s", "size": "16MiB"});
        let read: Section = read(&section).unwrap();
        assert_eq!(read.timeout, Some(Span(Duration::from_secs(75))));
        assert_eq!(read.size, Some(ByteSize(16 << 20)));
        assert!(super::read::<Section>(&Value::from(5)).is_err());
    }

    #[test]
    fn what_must_be_there_is_missed_beside_other_mistakes() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Needy {
            bucket: String,
            region: String,
        }
        let section = serde_json::json!({"bucket": "b", "region": "r"});
        let good: Needy = read(&section).unwrap();
        assert_eq!((good.bucket.as_str(), good.region.as_str()), ("b", "r"));
        let problems = read::<Needy>(&serde_json::json!({"bucket": "b"})).unwrap_err();
        assert_eq!(problems, [Problem::new("region", "is missing")]);
        let problems = read::<Needy>(&serde_json::json!({"bucket": 5})).unwrap_err();
        assert_eq!(problems[0].key, "bucket");
    }
}
