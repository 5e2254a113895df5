//! How long files and functions may be: a file of one concern seldom needs more
//! than 400 lines, and a function that fits a screen is read as a whole.

use std::fs;
use std::path::{Path, PathBuf};

use crate::text::bare;
use crate::tree::{crates, root, rust_files, shown};

/// Lines of a file in `src`, its tests among them.
const FILE: usize = 400;
/// Lines of a function, from its `fn` to its closing brace.
const FUNCTION: usize = 80;
/// How many files may be longer.
const MOST_LONG: usize = 5;

/// Longer files, each with the one concern that is not worth two files.
const LONG: &[(&str, &str)] = &[];

/// What is wrong with the lengths of `files`, given those that may be long.
fn complaints(base: &Path, files: &[PathBuf], long: &[(&str, &str)]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut left: Vec<PathBuf> = long.iter().map(|(file, _)| base.join(file)).collect();
    for file in files {
        let text = fs::read_to_string(file).unwrap();
        let lines = text.lines().count();
        if lines > FILE {
            match left.iter().position(|known| known == file) {
                Some(at) => drop(left.remove(at)),
                None => wrong.push(format!(
                    "{} has {lines} lines, more than {FILE}: give its second concern a file",
                    shown(file)
                )),
            }
        }
        for (line, name, length) in long_functions(&text) {
            wrong.push(format!(
                "{}:{line}: fn {name} has {length} lines, more than {FUNCTION}",
                shown(file)
            ));
        }
    }
    wrong.extend(left.iter().map(|file| {
        let file = shown(file);
        format!("{file} is not longer than {FILE} lines (any more): take it off the list")
    }));
    wrong
}

/// Functions that are too long: line, name and length. In formatted code a
/// function ends at the first closing brace as far left as its first line.
fn long_functions(text: &str) -> Vec<(usize, String, usize)> {
    let bare = bare(text);
    let lines: Vec<&str> = bare.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = function(line) else {
            continue;
        };
        let indent = line.len() - line.trim_start().len();
        let closes = |line: &&str| {
            line.len() > indent
                && line[..indent].trim().is_empty()
                && line[indent..].starts_with('}')
        };
        // A declaration without a body, or one on a single line.
        let body = lines[at..]
            .iter()
            .find(|line| line.trim_end().ends_with(['{', ';', '}']));
        if body.is_none_or(|line| !line.trim_end().ends_with('{')) {
            continue;
        }
        let length = lines[at..].iter().position(closes).map(|end| end + 1);
        if let Some(length) = length.filter(|length| *length > FUNCTION) {
            found.push((at + 1, name.to_owned(), length));
        }
    }
    found
}

/// The name, if a function starts on this line.
fn function(line: &str) -> Option<&str> {
    let mut rest = line.trim_start();
    if rest.starts_with("pub") {
        rest = match rest.strip_prefix("pub(") {
            Some(scoped) => scoped.split_once(')')?.1.trim_start(),
            None => rest.strip_prefix("pub ")?,
        };
    }
    for word in [
        "default ",
        "const ",
        "async ",
        "unsafe ",
        "extern \" \" ",
        "extern ",
    ] {
        rest = rest.strip_prefix(word).unwrap_or(rest);
    }
    let name = rest.strip_prefix("fn ")?;
    name.split(['(', '<']).next()
}

#[test]
fn files_and_functions_stay_short() {
    let files: Vec<_> = crates()
        .iter()
        .flat_map(|folder| rust_files(&folder.join("src")))
        .collect();
    let mut wrong = complaints(&root(), &files, LONG);
    if LONG.len() > MOST_LONG {
        wrong.push(format!(
            "{} files are long, more than {MOST_LONG}",
            LONG.len()
        ));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::made;

    /// A function of so many lines, `{` in a text included, among other items.
    fn function_of(lines: usize) -> String {
        let body = "        let x = \"}\";\n".repeat(lines - 2);
        format!(
            "impl A {{\n    pub(crate) async fn long<T>(x: T) {{\n{body}    }}\n\n    fn b(&self);\n}}\n"
        )
    }

    #[test]
    fn a_long_file_is_told_and_the_list_of_long_ones_is_exact() {
        let lines = |count: usize| "// line\n".repeat(count);
        let home = made(&[("a.rs", &lines(FILE)), ("b.rs", &lines(FILE + 1))]);
        let files = rust_files(home.path());
        let check = |long: &[(&str, &str)]| complaints(home.path(), &files, long);
        let wrong = check(&[]);
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        assert!(wrong[0].contains("b.rs has 401 lines"), "{wrong:?}");
        assert!(check(&[("b.rs", "one concern")]).is_empty());
        let wrong = check(&[("a.rs", "short now"), ("b.rs", "one concern")]);
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        assert!(wrong[0].contains("take it off"), "{wrong:?}");
    }

    #[test]
    fn a_long_function_is_told() {
        let home = made(&[
            ("a.rs", &function_of(FUNCTION)),
            ("b.rs", &function_of(FUNCTION + 1)),
        ]);
        let wrong = complaints(home.path(), &rust_files(home.path()), &[]);
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        assert!(
            wrong[0].contains("b.rs:2: fn long has 81 lines"),
            "{wrong:?}"
        );
    }
}
