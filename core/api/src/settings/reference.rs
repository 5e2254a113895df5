//! A setting as it is told to people, out of the JSON schema of its section: for `wpkd
//! settings` and the man pages of the settings files.

use serde_json::Value;

use super::ends;
use super::schema::{DURATION, SIZE, UNIT};

/// How what may stand for a size begins.
const A_SIZE: &str = "a size";

/// A setting as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its name in the section.
    pub name: String,
    /// What it is, with its range.
    pub what: String,
    /// What may stand there, with its unit.
    pub values: String,
    /// As it is written in a file; `None`: there is none, and `what` says what absence
    /// means.
    pub default: Option<String>,
    /// Whether it must be given.
    pub required: bool,
}

impl Key {
    /// Whether it must be given, and else what counts where it is not.
    pub fn absence(&self) -> String {
        match (&self.default, self.required) {
            (_, true) => "must be given".to_owned(),
            (Some(default), false) => format!("default {default}"),
            (None, false) => "may be absent".to_owned(),
        }
    }

    /// What a reader would miss: for the tests of whoever has settings. `None`: nothing.
    pub fn missing(&self) -> Option<&'static str> {
        let what = self.what.to_ascii_lowercase();
        let told = |words: &[&str]| words.iter().any(|word| what.contains(word));
        if self.what.len() < 10 || !self.what.ends_with('.') {
            return Some("a description");
        }
        if self.values.is_empty() {
            return Some("its type");
        }
        if self.default.is_none()
            && !self.required
            && !told(&["absent", "default", "must be there"])
        {
            return Some("its default, or what absence means");
        }
        let has = |words: &[&str]| words.iter().any(|word| self.values.contains(word));
        let number = has(&["number"]);
        if number && !has(&["number of ", "numbers of "]) {
            return Some("its unit: #[schemars(extend(\"unit\" = \"agents\"))]");
        }
        let with_unit = has(&["a time", "a size"]);
        if (with_unit || number) && !ends::are_told(&self.what, with_unit) {
            return Some("its range: `1s to 30d`, or `at least` and `at most`");
        }
        None
    }
}

/// The settings of a section, by name: what [`schema_of`](super::schema_of) gives.
pub fn keys(schema: &Value) -> Vec<Key> {
    let required = |name: &str| {
        let all = schema.get("required").and_then(Value::as_array);
        (all.into_iter().flatten()).any(|one| one.as_str() == Some(name))
    };
    let properties = schema.get("properties").and_then(Value::as_object);
    let properties = properties.into_iter().flatten();
    properties
        .map(|(name, property)| Key {
            name: name.clone(),
            what: prose(text(property, "description").unwrap_or_default()),
            values: with_unit(values(schema, property), text(property, UNIT)),
            default: default(property),
            required: required(name),
        })
        .collect()
}

/// A doc comment as a paragraph: in one line, without links of Rust.
pub fn prose(comment: &str) -> String {
    let mut text = comment.split_whitespace().collect::<Vec<_>>().join(" ");
    while let Some(begin) = text.find("](") {
        let (Some(open), Some(close)) = (text[..begin].rfind('['), text[begin..].find(')')) else {
            break;
        };
        text.replace_range(begin..=begin + close, "");
        text.replace_range(open..=open, "");
    }
    text.replace("[`", "`").replace("`]", "`")
}

fn text<'a>(schema: &'a Value, key: &str) -> Option<&'a str> {
    schema.get(key)?.as_str()
}

fn default(property: &Value) -> Option<String> {
    match property.get("default")? {
        Value::Null => None,
        // An empty list is none at all.
        Value::Array(items) if items.is_empty() => Some("none".to_owned()),
        value => Some(value.to_string()),
    }
}

/// What a number counts, and what a size is of: `per second`.
fn with_unit(values: String, unit: Option<&str>) -> String {
    let Some(unit) = unit else {
        return values;
    };
    if let Some(example) = values.strip_prefix(A_SIZE) {
        let example = example.trim_end_matches('"');
        return format!("{A_SIZE} {unit}{example}/s\"");
    }
    for word in ["numbers", "number"] {
        if values.contains(word) {
            return values.replacen(word, &format!("{word} of {unit}"), 1);
        }
    }
    values
}

/// What may stand there, in words.
fn values(root: &Value, schema: &Value) -> String {
    if let Some(named) = text(schema, "$ref").and_then(|path| path.strip_prefix('#')) {
        return root
            .pointer(named)
            .map(|schema| values(root, schema))
            .unwrap_or_default();
    }
    match text(schema, "format") {
        Some(DURATION) => return "a time, such as \"30s\"".to_owned(),
        Some(SIZE) => return format!("{A_SIZE}, such as \"16MiB\""),
        _ => {}
    }
    if let Some(only) = schema.get("const") {
        return only.to_string();
    }
    if let Some(one_of) = schema.get("enum").and_then(Value::as_array) {
        let words = one_of.iter().filter(|one| !one.is_null());
        return either(words.map(ToString::to_string).collect());
    }
    for key in ["oneOf", "anyOf", "allOf"] {
        if let Some(some) = schema.get(key).and_then(Value::as_array) {
            let some = some.iter().map(|one| values(root, one));
            return either(some.filter(|one| !one.is_empty()).collect());
        }
    }
    let types = match schema.get("type") {
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(some)) => some.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let named = types
        .into_iter()
        .filter_map(|name| of_type(root, schema, name));
    either(named.collect())
}

fn of_type(root: &Value, schema: &Value, name: &str) -> Option<String> {
    Some(match name {
        "boolean" => "true or false".to_owned(),
        "integer" | "number" => "a number".to_owned(),
        "string" => "a text".to_owned(),
        "array" => {
            let items = schema.get("items").map(|items| values(root, items));
            match items.as_deref().and_then(|items| items.strip_prefix("a ")) {
                Some(item) => format!("a list of {item}s"),
                None => "a list".to_owned(),
            }
        }
        // An absent value.
        "null" => return None,
        other => other.to_owned(),
    })
}

fn either(mut words: Vec<String>) -> String {
    words.dedup();
    match words.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, before)) => format!("{} or {last}", before.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_is_told_in_words() {
        let schema = json!({
            "properties": {
                "wait": {"description": "How\nlong [`Self::x`](Self::x) is.", "type": "string",
                    "format": DURATION, "default": "5s"},
                "rate": {"type": ["string", "integer"], "format": SIZE, "unit": "per second"},
                "room": {"type": ["string", "integer", "null"], "format": SIZE, "default": null},
                "tls": {"$ref": "#/$defs/Tls", "default": "auto"},
                "most": {"anyOf": [{"const": "auto"}, {"type": "integer"}],
                    "unit": "agents", "description": "How many agents there are, 1 to 5.",
                    "default": "auto"},
                "hosts": {"type": ["array", "null"], "items": {"type": "string"}},
                "path": {"type": "string"},
            },
            "required": ["path"],
            "$defs": {"Tls": {"oneOf": [{"const": "auto"}, {"const": "on"}, {"const": "off"}]}},
        });
        let keys = keys(&schema);
        assert_eq!(keys.len(), 7);
        let of = |name: &str| keys.iter().find(|key| key.name == name).unwrap();
        assert_eq!(of("wait").what, "How long `Self::x` is.");
        assert_eq!(of("wait").default.as_deref(), Some("\"5s\""));
        assert_eq!(of("room").default, None);
        assert_eq!(of("room").values, "a size, such as \"16MiB\"");
        assert_eq!(of("tls").values, "\"auto\", \"on\" or \"off\"");
        assert_eq!(of("rate").values, "a size per second, such as \"16MiB/s\"");
        assert_eq!(of("most").values, "\"auto\" or a number of agents");
        assert_eq!(of("hosts").values, "a list of texts");
        assert!(of("path").required);
        assert_eq!(of("path").missing(), Some("a description"));
    }

    #[test]
    fn a_range_and_a_unit_are_missed() {
        let missing = |what: &str, mut property: Value| {
            property["description"] = what.into();
            property["default"] = "1".into();
            let keys = keys(&json!({"properties": {"key": property}}));
            keys[0]
                .missing()
                .map(|text| text.split(':').next().unwrap())
        };
        let number = json!({"type": "integer"});
        let agents = json!({"type": "integer", "unit": "agents"});
        let time = json!({"type": "string", "format": DURATION});
        let size = json!({"type": ["string", "integer"], "format": SIZE});
        let told = "How many there are, 1 to 5.";
        assert_eq!(missing(told, number), Some("its unit"));
        assert_eq!(missing(told, agents.clone()), None);
        assert_eq!(missing("How many there are.", agents), Some("its range"));
        // Without a unit nobody knows what 5 is.
        for one in [time, size] {
            assert_eq!(
                missing("How long or large.", one.clone()),
                Some("its range")
            );
            assert_eq!(missing(told, one.clone()), Some("its range"));
        }
        let told = "At most 1GiB, at least twice `other`.";
        assert_eq!(
            missing(told, json!({"type": "string", "format": SIZE})),
            None
        );
    }
}
