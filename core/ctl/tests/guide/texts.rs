//! Troubleshooting: every code is there with its text, and every text is one of the code's.

use wpk_wire::{AgentCode, TaskCode, UpgradeCode};

use super::page::{page, sources};

fn section(heading: &str) -> String {
    let text = page("troubleshooting");
    let (_, rest) = text.split_once(&format!("\n## {heading}\n")).unwrap();
    rest.split("\n## ").next().unwrap().to_owned()
}

#[test]
fn every_code_has_its_text() {
    let upgrade = UpgradeCode::ALL.iter();
    let task = TaskCode::ALL.iter();
    let agent = AgentCode::ALL.iter();
    for (heading, codes) in [
        (
            "An upgrade was refused, or failed",
            upgrade.map(|c| (c.code(), c.text())).collect::<Vec<_>>(),
        ),
        (
            "Codes of the task socket",
            task.map(|c| (c.code(), c.text())).collect(),
        ),
        (
            "Codes of agents",
            agent.map(|c| (c.code(), c.text())).collect(),
        ),
    ] {
        let text = section(heading);
        for (code, words) in &codes {
            let row = format!("| {code} | `{words}`");
            assert!(text.contains(&row), "{heading}: {row}");
        }
        let rows = text.lines().filter(|line| {
            let first = line.trim_start_matches("| ").split(' ').next();
            first.is_some_and(|first| first.parse::<u8>().is_ok())
        });
        assert_eq!(rows.count(), codes.len(), "{heading}");
    }
}

/// A source as one text, with texts over several lines joined.
fn joined(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        let mut line = line.to_owned();
        while line.ends_with('\\') {
            line.pop();
            line.push_str(lines.next().unwrap_or_default().trim_start());
        }
        text.push_str(&line);
        text.push('\n');
    }
    text.replace("\\\"", "\"")
}

#[test]
fn every_text_is_one_of_ours() {
    let sources = sources(&["core", "plugins"]);
    let sources: Vec<String> = sources.iter().map(|(_, text)| joined(text)).collect();
    let mut looked = 0;
    for heading in [
        "wpkctl says",
        "wpkd does not start",
        "The agent does not connect",
        "Texts in requests that were refused with code 3",
    ] {
        for row in section(heading)
            .lines()
            .filter(|line| line.starts_with("| `"))
        {
            let text = row.split('`').nth(1).unwrap();
            // What differs each time is written so.
            let text = text.replace("(...)", "...").replace(" N ", " ... ");
            let text = text
                .replace("NAME", "...")
                .replace("store.type = \"postgres\"", "...");
            for part in text
                .split("...")
                .map(str::trim)
                .filter(|part| part.len() > 3)
            {
                let there = sources.iter().any(|source| source.contains(part));
                assert!(there, "{heading}: {part:?} is said nowhere");
                looked += 1;
            }
        }
    }
    assert!(looked >= 35, "{looked} texts");
}
