//! Messages of our own: the guide has each, and has no other.
//!
//! A message of our own is the text of an `#[error("...")]`, of an error that holds a text,
//! of a refusal, or of what is printed to standard error (`SAID`), anywhere in our programs,
//! plugins and the library of installers: why something asked for was not done is told to
//! people in one of them. One of less than nine letters beside what it is filled with, such
//! as `{path}: {cause}`, says nothing by itself. Not among them are mistakes in settings and
//! definitions, each of which begins with its key, which the guide has, and says what may
//! stand there; and lines of the log that tell what happens.

use std::collections::BTreeSet;

use super::page::{page, sources};

/// What a message begins with in the sources.
const SAID: [&str; 16] = [
    "#[error(",
    "BuildError::Failed(",
    "CtlError::Nobody(",
    "CtlError::Unexpected(",
    "CtlError::Usage(",
    "DirectoryError::Refused(",
    "DirectoryError::Unavailable(",
    "End::Failed(",
    "EnrollError::Before(",
    "Failure::new(",
    "Refusal::not_recognized(",
    "StoreError::Damaged(",
    "StoreError::Unavailable(",
    "eprintln!(",
    "io::Error::other(",
    "refused(",
];

/// How many letters say something.
const TELLING: usize = 9;

fn letters(text: &str) -> usize {
    text.chars().filter(char::is_ascii_alphabetic).count()
}

/// The first text in the brackets of a call, as it stands in the source.
fn first_text(call: &str) -> Option<&str> {
    let (mut depth, mut begun, mut escaped) = (1, None, false);
    for (at, c) in call.char_indices() {
        match (begun, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(begun), '"') => return Some(&call[begun..at]),
            (None, '"') => begun = Some(at + 1),
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return None;
        }
    }
    None
}

/// As a reader sees it, with `...` for what it is filled with and without backquotes, which
/// cannot stand in the guide's code.
fn shown(text: &str) -> String {
    let mut plain = String::new();
    let mut lines = text.split("\\\n");
    plain.push_str(lines.next().unwrap_or_default());
    for line in lines {
        plain.push_str(line.trim_start());
    }
    let plain = plain.replace("\\\"", "\"").replace("\\\\", "\\");
    let mut shown = String::new();
    for (number, piece) in plain.split('{').enumerate() {
        match piece.split_once('}') {
            Some((_, rest)) if number > 0 => {
                shown.push_str("...");
                shown.push_str(rest);
            }
            _ => shown.push_str(piece),
        }
    }
    shown.replace('`', "")
}

fn messages() -> BTreeSet<String> {
    let sources = sources(&["core", "plugins", "sdk/installer/src"]);
    let mut found = BTreeSet::new();
    for (_, source) in sources {
        let source = source.split("#[cfg(test)]\nmod tests").next().unwrap();
        for said in SAID {
            let texts = source.split(said).skip(1).filter_map(first_text);
            found.extend(texts.map(shown).filter(|text| letters(text) >= TELLING));
        }
    }
    found
}

/// The texts in the first cells of the tables of a page.
fn told(topic: &str) -> Vec<String> {
    let text = page(topic);
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    let codes = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let codes = codes.map(|code| code.replace("NAME", "...").replace(" N ", " ... "));
    codes.filter(|code| letters(code) >= TELLING).collect()
}

#[test]
fn every_message_has_its_line() {
    let mut told_of = told("messages");
    told_of.extend(told("troubleshooting"));
    let messages = messages();
    assert!(messages.len() >= 310, "{messages:#?}");
    let missing: Vec<&String> = (messages.iter())
        .filter(|message| !told_of.iter().any(|text| message.contains(text.as_str())))
        .collect();
    assert!(missing.is_empty(), "not in the guide: {missing:#?}");
}

#[test]
fn every_line_is_of_a_message() {
    let messages = messages();
    for text in told("messages") {
        let said = messages.iter().any(|message| message.contains(&text));
        assert!(said, "{text:?} is said nowhere");
    }
}

#[test]
fn a_row_says_what_to_do() {
    for line in page("messages").lines() {
        let Some(row) = line.strip_prefix("| `") else {
            continue;
        };
        let advice = row.split(" | ").nth(1).unwrap_or_default();
        assert!(letters(advice) >= 5, "{line}");
    }
}
