//! From a text to a definition. Tables are read one by one, so that a mistake is told
//! with the name of the site, rollout or wave in which it is.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use wpk_api::settings::{self, Problem, Problems};
use wpk_api::words::clean;

use super::amount::Rate;
use super::release::{Release, Releases};
use super::rollout::{MOST_WAVES, Rollout, Wave};
use super::site::{Site, Sites};
use super::whole::{Definition, LONGEST_DEFINITION, MOST_RELEASES, MOST_ROLLOUTS, MOST_SITES};

impl Definition {
    /// Reads a definition in TOML.
    ///
    /// # Errors
    /// All mistakes, each with its key and what to write instead.
    pub fn from_toml(text: &str) -> Result<Self, Vec<Problem>> {
        toml(text)
    }

    /// Reads a definition in JSON, with the same keys.
    ///
    /// # Errors
    /// As [`from_toml`](Self::from_toml).
    pub fn from_json(text: &str) -> Result<Self, Vec<Problem>> {
        json(text)
    }
}

fn toml(text: &str) -> Result<Definition, Vec<Problem>> {
    check_length(text)?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map_or(1, |before| before.matches('\n').count() + 1);
        vec![Problem::new(
            "",
            format!("line {line}: {}", error.message()),
        )]
    })?;
    definition(as_json(toml::Value::Table(table)))
}

fn json(text: &str) -> Result<Definition, Vec<Problem>> {
    check_length(text)?;
    let value = serde_json::from_str(text)
        .map_err(|error| vec![Problem::new("", format!("this is no JSON: {error}"))])?;
    definition(value)
}

fn check_length(text: &str) -> Result<(), Vec<Problem>> {
    if text.len() > LONGEST_DEFINITION {
        let message = format!("a definition may be {LONGEST_DEFINITION} bytes long");
        return Err(vec![Problem::new("", message)]);
    }
    Ok(())
}

fn as_json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) => Value::from(number),
        toml::Value::Boolean(yes) => Value::Bool(yes),
        // Quoted or not, a moment is read in the same way.
        toml::Value::Datetime(moment) => Value::String(moment.to_string()),
        toml::Value::Array(values) => values.into_iter().map(as_json).collect(),
        toml::Value::Table(table) => {
            let entries = table.into_iter().map(|(key, value)| (key, as_json(value)));
            Value::Object(entries.collect())
        }
    }
}

/// Mistakes, each with the tables around it.
struct Found(Vec<Problem>);

impl Found {
    fn within(&mut self, place: &str, problems: Vec<Problem>) {
        self.0.extend(problems.into_iter().map(|mut problem| {
            problem.key = match problem.key.is_empty() {
                true => place.to_owned(),
                false => format!("{place}: {}", problem.key),
            };
            problem
        }));
    }

    fn add(&mut self, key: &str, message: impl Into<String>) {
        self.0.push(Problem::new(key, message));
    }
}

fn definition(value: Value) -> Result<Definition, Vec<Problem>> {
    let Value::Object(mut table) = value else {
        let message = "must be a table with [[site]], [[rollout]] or [[release]]";
        return Err(vec![Problem::new("", message)]);
    };
    let mut found = Found(Vec::new());
    let sites = list(&mut table, "site", MOST_SITES, &mut found);
    let rollouts = list(&mut table, "rollout", MOST_ROLLOUTS, &mut found);
    let releases = list(&mut table, "release", MOST_RELEASES, &mut found);
    let max_concurrent = key::<u32>(&mut table, "max_concurrent", &mut found);
    let bandwidth = key::<Rate>(&mut table, "bandwidth", &mut found);
    if max_concurrent == Some(0) {
        found.add(
            "max_concurrent",
            "must be at least 1; to let nothing begin, pause the rollouts",
        );
    }
    for key in table.keys() {
        let message = "is not known here: write [[site]], [[rollout]], [[release]], max_concurrent, bandwidth";
        found.add(&clean(key, 64), message);
    }
    let sites = sites.map(|entries| {
        let sites = each::<Site>("site", "name", entries, Site::problems, &mut found);
        unique("site", sites.iter().map(|site| &*site.name), &mut found);
        sites
    });
    let releases = releases.map(|entries| {
        let check = Release::problems;
        Releases(each("release", "version", entries, check, &mut found))
    });
    let rollouts: Vec<Rollout> = rollouts
        .unwrap_or_default()
        .into_iter()
        .enumerate()
        .filter_map(|(at, entry)| rollout(at, entry, &mut found))
        .collect();
    unique("rollout", rollouts.iter().map(|one| &*one.name), &mut found);
    if !found.0.is_empty() {
        return Err(found.0);
    }
    let limits = max_concurrent.is_some() || bandwidth.is_some();
    let sites = match sites {
        None if !limits => None,
        sites => Some(Sites {
            max_concurrent,
            bandwidth,
            ..Sites::new(sites.unwrap_or_default())
        }),
    };
    Ok(Definition {
        sites,
        rollouts,
        releases,
    })
}

fn key<T: DeserializeOwned>(
    table: &mut Map<String, Value>,
    key: &str,
    found: &mut Found,
) -> Option<T> {
    let value = table.remove(key)?;
    match T::deserialize(value) {
        Ok(value) => Some(value),
        Err(error) => {
            found.add(key, error.to_string());
            None
        }
    }
}

fn list(
    table: &mut Map<String, Value>,
    key: &str,
    most: usize,
    found: &mut Found,
) -> Option<Vec<Value>> {
    match table.remove(key)? {
        Value::Array(entries) if entries.len() <= most => Some(entries),
        Value::Array(_) => {
            found.add(key, format!("a definition may have {most}"));
            None
        }
        _ => {
            found.add(
                key,
                format!("must be a list: write [[{key}]] with double brackets"),
            );
            None
        }
    }
}

/// `[[site]] "lyon"`, or `[[site]] number 2` of one without a name.
fn place(kind: &str, named_by: &str, at: usize, entry: &Value) -> String {
    match entry.get(named_by).and_then(Value::as_str) {
        Some(name) => format!("[[{kind}]] {:?}", clean(name, 64)),
        None => format!("[[{kind}]] number {}", at + 1),
    }
}

fn each<T: DeserializeOwned>(
    kind: &str,
    named_by: &str,
    entries: Vec<Value>,
    check: fn(&T) -> Problems,
    found: &mut Found,
) -> Vec<T> {
    let mut read = Vec::new();
    for (at, entry) in entries.into_iter().enumerate() {
        let place = place(kind, named_by, at, &entry);
        match settings::read::<T>(&entry) {
            Ok(value) => {
                found.within(&place, check(&value).found());
                read.push(value);
            }
            Err(problems) => found.within(&place, problems),
        }
    }
    read
}

fn rollout(at: usize, mut entry: Value, found: &mut Found) -> Option<Rollout> {
    let place = place("rollout", "name", at, &entry);
    let waves = match entry.as_object_mut() {
        Some(table) => {
            let mut inner = Found(Vec::new());
            let waves = list(table, "wave", MOST_WAVES, &mut inner).unwrap_or_default();
            found.within(&place, inner.0);
            waves
        }
        None => Vec::new(),
    };
    let before = found.0.len();
    let mut inner = Found(Vec::new());
    let waves = each::<Wave>("rollout.wave", "name", waves, Wave::problems, &mut inner);
    found.within(&place, inner.0);
    let sound = found.0.len() == before;
    match settings::read::<Rollout>(&entry) {
        Ok(mut rollout) => {
            rollout.waves = waves;
            let problems = rollout.problems().found().into_iter();
            // What waves say together means nothing while one of them is not read.
            let told = problems.filter(|problem| sound || problem.key != "wave");
            found.within(&place, told.collect());
            Some(rollout)
        }
        Err(problems) => {
            found.within(&place, problems);
            None
        }
    }
}

fn unique<'a>(kind: &str, names: impl Iterator<Item = &'a str>, found: &mut Found) {
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            found.add(
                &format!("[[{kind}]] {name:?}"),
                "is there twice: give the second one another name",
            );
        }
    }
}
