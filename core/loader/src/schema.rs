//! Settings against the JSON schema a plugin brings: every mistake, by key.
//!
//! Understands what `include/wpk_plugin.h` lists and ignores the rest; the
//! plugin is asked as well, so what is not understood here is not lost. A schema
//! comes from outside: depth and steps are limited, so that one that refers to
//! itself ends.

use std::cell::Cell;

use serde_json::Value;
use wpk_api::settings::Problem;

/// How deep schemas and settings are followed.
const DEPTH: usize = 32;

/// How many rules are looked at in all.
const STEPS: u32 = 100_000;

/// Every mistake in `settings`.
pub(crate) fn check(schema: &Value, settings: &Value) -> Vec<Problem> {
    let steps = Cell::new(STEPS);
    let mut check = Check {
        root: schema,
        steps: &steps,
        problems: Vec::new(),
    };
    check.value(schema, settings, "", DEPTH);
    check.problems
}

struct Check<'a> {
    root: &'a Value,
    steps: &'a Cell<u32>,
    problems: Vec<Problem>,
}

fn below(key: &str, inner: &str) -> String {
    if key.is_empty() {
        inner.to_owned()
    } else {
        format!("{key}.{inner}")
    }
}

impl<'a> Check<'a> {
    fn found(&mut self, key: &str, message: String) {
        self.problems.push(Problem::new(key, message));
    }

    fn value(&mut self, schema: &'a Value, value: &Value, key: &str, depth: usize) {
        let left = (depth.checked_sub(1), self.steps.get().checked_sub(1));
        let (Some(depth), Some(steps)) = left else {
            return;
        };
        self.steps.set(steps);
        if *schema == Value::Bool(false) {
            self.found(key, "is not allowed".to_owned());
        }
        let Value::Object(rules) = schema else {
            return;
        };
        if let Some(Value::String(reference)) = rules.get("$ref") {
            let target = reference
                .strip_prefix('#')
                .map(|path| self.root.pointer(path));
            if let Some(Some(target)) = target {
                self.value(target, value, key, depth);
            }
        }
        if let Some(Value::Array(all)) = rules.get("allOf") {
            for one in all {
                self.value(one, value, key, depth);
            }
        }
        for word in ["anyOf", "oneOf"] {
            if let Some(Value::Array(choices)) = rules.get(word) {
                self.choice(choices, value, key, depth);
            }
        }
        if let Some(wanted) = rules.get("type")
            && !has_type(wanted, value)
        {
            self.found(key, format!("must be {}", type_names(wanted)));
            return;
        }
        self.plain(rules, value, key);
        match value {
            Value::Object(entries) => self.object(rules, entries, key, depth),
            Value::Array(items) => {
                if let Some(each) = rules.get("items") {
                    for (i, item) in items.iter().enumerate() {
                        self.value(each, item, &below(key, &i.to_string()), depth);
                    }
                }
            }
            _ => {}
        }
    }

    /// One of several schemas must fit; the mistakes told are those of the one
    /// that comes nearest.
    fn choice(&mut self, choices: &'a [Value], value: &Value, key: &str, depth: usize) {
        let mut nearest: Option<Vec<Problem>> = None;
        for choice in choices {
            let mut attempt = Check {
                root: self.root,
                steps: self.steps,
                problems: Vec::new(),
            };
            attempt.value(choice, value, key, depth);
            let better = |known: &Vec<Problem>| attempt.problems.len() < known.len();
            if nearest.as_ref().is_none_or(better) {
                nearest = Some(attempt.problems);
            }
        }
        self.problems.extend(nearest.unwrap_or_default());
    }

    fn plain(&mut self, rules: &serde_json::Map<String, Value>, value: &Value, key: &str) {
        if let Some(Value::Array(allowed)) = rules.get("enum")
            && !allowed.contains(value)
        {
            let allowed: Vec<String> = allowed.iter().map(Value::to_string).collect();
            self.found(key, format!("must be one of {}", allowed.join(", ")));
        }
        if let Some(only) = rules.get("const")
            && only != value
        {
            self.found(key, format!("must be {only}"));
        }
        let limit = |word: &str| rules.get(word).and_then(Value::as_f64);
        if let Some(number) = value.as_f64() {
            if let Some(least) = limit("minimum").filter(|least| number < *least) {
                self.found(key, format!("must be at least {least}"));
            }
            if let Some(most) = limit("maximum").filter(|most| number > *most) {
                self.found(key, format!("must be at most {most}"));
            }
        }
        if let Some(text) = value.as_str() {
            let length = text.chars().count() as f64;
            if let Some(least) = limit("minLength").filter(|least| length < *least) {
                self.found(key, format!("must have at least {least} letters"));
            }
            if let Some(most) = limit("maxLength").filter(|most| length > *most) {
                self.found(key, format!("must have at most {most} letters"));
            }
        }
    }

    fn object(
        &mut self,
        rules: &'a serde_json::Map<String, Value>,
        entries: &serde_json::Map<String, Value>,
        key: &str,
        depth: usize,
    ) {
        let properties = rules.get("properties").and_then(Value::as_object);
        for (name, value) in entries {
            let known = properties.and_then(|properties| properties.get(name));
            match (known, rules.get("additionalProperties")) {
                (Some(schema), _) => self.value(schema, value, &below(key, name), depth),
                (None, Some(Value::Bool(false))) => {
                    let known: Vec<&str> = properties
                        .into_iter()
                        .flat_map(|properties| properties.keys().map(String::as_str))
                        .collect();
                    let known = if known.is_empty() {
                        "none".to_owned()
                    } else {
                        known.join(", ")
                    };
                    self.found(
                        &below(key, name),
                        format!("unknown setting; known are {known}"),
                    );
                }
                (None, Some(schema)) => self.value(schema, value, &below(key, name), depth),
                (None, None) => {}
            }
        }
        let required = rules.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            if !entries.contains_key(name) {
                self.found(&below(key, name), "is missing".to_owned());
            }
        }
    }
}

fn has_type(wanted: &Value, value: &Value) -> bool {
    match wanted {
        Value::Array(any) => any.iter().any(|wanted| has_type(wanted, value)),
        Value::String(wanted) => match wanted.as_str() {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "object" => value.is_object(),
            "array" => value.is_array(),
            "number" => value.is_number(),
            "integer" => value.is_i64() || value.is_u64(),
            "string" => value.is_string(),
            _ => true,
        },
        _ => true,
    }
}

fn type_names(wanted: &Value) -> String {
    let words = |word: &str| match word {
        "boolean" => "true or false".to_owned(),
        "object" => "a table".to_owned(),
        "array" => "a list".to_owned(),
        "integer" => "a whole number".to_owned(),
        "string" => "a text".to_owned(),
        other => format!("a {other}"),
    };
    match wanted {
        Value::String(word) => words(word),
        Value::Array(any) => {
            let any = any.iter().filter_map(Value::as_str);
            // There is no null in a configuration file.
            let any: Vec<String> = any.filter(|word| *word != "null").map(words).collect();
            any.join(" or ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_mistake_is_found_by_its_key() {
        let schema = json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["bucket", "region"],
            "properties": {
                "bucket": {"type": "string", "minLength": 3},
                "region": {"type": "string"},
                "attempts": {"type": "integer", "minimum": 1, "maximum": 9},
                "mode": {"enum": ["fast", "safe"]},
                "tls": {"$ref": "#/$defs/Tls"},
                "hosts": {"type": ["array", "null"], "items": {"type": "string"}},
                "proxy": {"anyOf": [{"type": "string"}, {"type": "null"}]}
            },
            "$defs": {"Tls": {"type": "object", "additionalProperties": false,
                "properties": {"ca": {"type": "string"}}}}
        });
        let settings = json!({
            "bucket": "b", "attempts": 10, "mode": "slow", "tls": {"cb": 1},
            "hosts": ["a", 5], "proxy": 7, "reigon": "x"
        });
        let keys: Vec<String> = check(&schema, &settings)
            .into_iter()
            .map(|p| p.key)
            .collect();
        let mut sorted = keys.clone();
        sorted.sort();
        assert_eq!(
            sorted,
            [
                "attempts", "bucket", "hosts.1", "mode", "proxy", "region", "reigon", "tls.cb"
            ]
        );
        let good = json!({"bucket": "bbb", "region": "r", "tls": {"ca": "x"}, "hosts": ["a"]});
        assert_eq!(check(&schema, &good), []);
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let schema = json!({"$ref": "#"});
        assert_eq!(check(&schema, &json!({})), []);
        let itself = json!({"$ref": "#/$defs/a"});
        let wide =
            json!({"$defs": {"a": {"anyOf": [itself, itself, itself]}}, "$ref": "#/$defs/a"});
        assert_eq!(check(&wide, &json!(5)), []);
    }
}
