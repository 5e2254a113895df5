//! Where a setting stands: its file, its line, and its key as it is written there. A
//! key of the merged settings (`provider.1.url`) counts the entries of all files; who
//! looks for a mistake sees `[[provider]] number 1` of a file in `conf.d`.

use std::path::Path;

use toml_edit::{ImDocument, Item, Key, TableLike, Value};

/// The files, in the order in which they are read.
#[derive(Clone, Default)]
pub(crate) struct Places(Vec<File>);

#[derive(Clone)]
struct File {
    name: String,
    document: ImDocument<String>,
}

/// A place in a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// `FILE:LINE`
    pub(crate) origin: String,
    /// The key as it stands there.
    pub(crate) written: String,
}

impl Places {
    /// One more file; what is no TOML has no places.
    pub(crate) fn add(&mut self, file: &Path, text: &str) {
        if let Ok(document) = ImDocument::parse(text.to_owned()) {
            let name = file.display().to_string();
            self.0.push(File { name, document });
        }
    }

    /// Where `key` is, or what of it is there; `origin` is the file that it came from,
    /// as far as that is known.
    pub(crate) fn find(&self, key: &str, origin: &str) -> Option<Place> {
        if !self.0.iter().any(|file| file.name == origin) {
            return None;
        }
        let parts: Vec<&str> = key.split('.').collect();
        match parts.as_slice() {
            [list, number, rest @ ..] if let Ok(number) = number.parse() => {
                self.entry(list, number, rest)
            }
            _ => self.plain(&parts, origin),
        }
    }

    /// In an entry of a list to which each file adds.
    fn entry(&self, list: &str, mut number: usize, rest: &[&str]) -> Option<Place> {
        for file in &self.0 {
            let entries = file.document.get(list).map(entries).unwrap_or_default();
            match entries.get(number) {
                None => number -= entries.len(),
                Some(entry) => {
                    let at = deepest(entry.table, rest).0.or(entry.start);
                    let mut written = format!("[[{list}]] number {}", number + 1);
                    if !rest.is_empty() {
                        written = format!("{written}: {}", rest.join("."));
                    }
                    return Some(file.place(at, written));
                }
            }
        }
        None
    }

    /// Anywhere else: in the file where most of the key is, the last of several.
    fn plain(&self, parts: &[&str], origin: &str) -> Option<Place> {
        let found = self.0.iter().map(|file| {
            let (at, depth) = deepest(file.document.as_table(), parts);
            (depth, file.name == origin, file, at)
        });
        let (depth, _, file, at) = found.max_by_key(|(depth, named, ..)| (*depth, *named))?;
        (depth > 0).then(|| file.place(at, parts.join(".")))
    }
}

impl File {
    fn place(&self, at: Option<usize>, written: String) -> Place {
        let origin = match at.and_then(|at| self.document.raw().as_bytes().get(..at)) {
            Some(before) => {
                let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
                format!("{}:{line}", self.name)
            }
            None => self.name.clone(),
        };
        Place { origin, written }
    }
}

/// An entry of a list of tables.
struct Entry<'a> {
    table: &'a dyn TableLike,
    start: Option<usize>,
}

fn entries(item: &Item) -> Vec<Entry<'_>> {
    match item {
        Item::ArrayOfTables(tables) => {
            let entry = |table: &'_ toml_edit::Table| table.span().map(|span| span.start);
            let entries = tables.iter().map(|table| Entry {
                table,
                start: entry(table),
            });
            entries.collect()
        }
        Item::Value(Value::Array(values)) => {
            let entries = values.iter().filter_map(|value| {
                Some(Entry {
                    table: value.as_inline_table()?,
                    start: value.span().map(|span| span.start),
                })
            });
            entries.collect()
        }
        _ => Vec::new(),
    }
}

/// How many parts of a key are there, one inside the other, and where the last is.
fn deepest(table: &dyn TableLike, parts: &[&str]) -> (Option<usize>, usize) {
    let (mut at, mut depth, mut table) = (None, 0, Some(table));
    for part in parts {
        let found: Option<(&Key, &Item)> = table.and_then(|table| table.get_key_value(part));
        let Some((key, item)) = found else { break };
        depth += 1;
        let span = key.span().or_else(|| item.span());
        at = span.map(|span| span.start).or(at);
        table = item.as_table_like();
    }
    (at, depth)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_counted_file_by_file() {
        let mut places = Places::default();
        places.add(
            Path::new("/a"),
            "home = \"/x\"\n[node]\nname = \"a\"\n\n[[provider]]\nurl = 1\n[[provider]]\n\nurl = 2\n",
        );
        places.add(
            Path::new("/b"),
            "[[provider]]\ntype = 1\n[node]\nrole = 1\n",
        );
        places.add(
            Path::new("/c"),
            "# nothing\nprovider = [{ url = 1 },\n {}]\n",
        );
        let find = |key: &str, origin: &str| {
            let place = places.find(key, origin)?;
            Some(format!("{} {}", place.origin, place.written))
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(find("home", "/a"), some("/a:1 home"));
        assert_eq!(find("node.name", "/a"), some("/a:3 node.name"));
        assert_eq!(find("node.role", "/b"), some("/b:4 node.role"));
        assert_eq!(
            find("provider.0.url", "/a"),
            some("/a:6 [[provider]] number 1: url")
        );
        assert_eq!(
            find("provider.1.url", "/a"),
            some("/a:9 [[provider]] number 2: url")
        );
        assert_eq!(
            find("provider.1.none", "/a"),
            some("/a:7 [[provider]] number 2: none")
        );
        assert_eq!(find("provider.2", "/b"), some("/b:1 [[provider]] number 1"));
        assert_eq!(
            find("provider.3.url", "/c"),
            some("/c:2 [[provider]] number 1: url")
        );
        assert_eq!(find("provider.4", "/c"), some("/c:3 [[provider]] number 2"));
        // A value of the environment, and what is nowhere.
        assert_eq!(find("node.name", "WPKD_NODE__NAME"), None);
        assert_eq!(find("store.path", "/a"), None);
    }
}
