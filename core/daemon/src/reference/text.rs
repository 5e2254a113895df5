//! Sections in a terminal.

use wpk_api::settings::Key;

use super::section::{Section, without_keys};

/// Columns, of 80 at most with the indent.
const WIDTH: usize = 78;

/// All of them, one after the other.
pub(super) fn of(sections: &[Section]) -> String {
    let shown: Vec<String> = sections.iter().map(section).collect();
    shown.join("\n")
}

fn section(section: &Section) -> String {
    let mut text = format!("{}\n", section.title());
    text.push_str(&wrapped(&section.about, 2));
    if section.keys.is_empty() {
        text.push_str(&wrapped(without_keys(section), 2));
    }
    for key in &section.keys {
        text.push('\n');
        text.push_str(&wrapped(&line(key), 2));
        text.push_str(&wrapped(&key.what, 6));
    }
    text
}

/// Its name, what may stand there, and its default.
fn line(key: &Key) -> String {
    format!("{}: {}; {}", key.name, key.values, key.absence())
}

fn wrapped(text: &str, indent: usize) -> String {
    let mut lines = String::new();
    let mut line = String::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        if !line.is_empty() && indent + line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push_str(&format!("{:indent$}{line}\n", ""));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.push_str(&format!("{:indent$}{line}\n", ""));
    }
    lines
}
