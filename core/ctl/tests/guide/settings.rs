//! The page of settings beside what the daemon says of itself.

use std::process::Command;

use serde_json::Value;

use super::common::programs;
use super::page::{page, source};

/// A row of a table: the heading above it, its keys, and the cell of their defaults.
struct Row {
    heading: String,
    keys: Vec<String>,
    default: String,
}

fn rows(text: &str) -> Vec<Row> {
    let (mut heading, mut rows) = (String::new(), Vec::new());
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            title.clone_into(&mut heading);
        }
        let cells: Vec<&str> = line.split(" | ").collect();
        let [keys, default, _, ..] = cells[..] else {
            continue;
        };
        if !keys.starts_with("| `") {
            continue;
        }
        let keys = keys.split('`').skip(1).step_by(2).map(ToOwned::to_owned);
        rows.push(Row {
            heading: heading.clone(),
            keys: keys.collect(),
            default: default.replace(['`', '"'], ""),
        });
    }
    rows
}

/// Whether a row under this heading is of that section and plugin.
fn is_of(heading: &str, section: &str, plugin: Option<&str>) -> bool {
    let here = match section {
        "" => heading == "At the top",
        section => heading.contains(section),
    };
    let typed = |name: &str| heading.contains(&format!("type = \"{name}\""));
    here && (!heading.contains("type = ") || plugin.is_some_and(typed))
}

#[test]
fn every_setting_is_told_with_its_default() {
    let text = page("settings");
    let rows = rows(&text);
    let told = Command::new(programs().join("wpkd"))
        .args(["settings", "--json"])
        .output()
        .unwrap();
    assert!(told.status.success(), "{told:?}");
    let told = String::from_utf8(told.stdout).unwrap();
    let mut wrong = Vec::new();
    for line in told.lines() {
        let told: Value = serde_json::from_str(line).unwrap();
        let key = told["key"].as_str().unwrap();
        let section = told["section"].as_str().unwrap();
        let row = rows.iter().find(|row| {
            is_of(&row.heading, section, told["type"].as_str())
                && row.keys.iter().any(|one| one == key)
        });
        let Some(row) = row else {
            wrong.push(format!("no row for {line}"));
            continue;
        };
        let default = told["default"].as_str().map(|text| text.replace('"', ""));
        if let Some(default) = default.filter(|default| default != "none")
            && !row.default.split(", ").any(|one| one == default)
        {
            wrong.push(format!("{section} {key}: {} is not {default}", row.default));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(told.lines().count() >= 70, "{told}");
}

#[test]
fn what_packaged_files_show_is_told() {
    let text = page("settings");
    for file in ["config/wpkd.toml", "config/wazuh-manager.toml"] {
        for line in source(file).lines() {
            let line = line.trim_start_matches("# ");
            let Some((key, _)) = line.split_once(" = ") else {
                continue;
            };
            let plain = |b: u8| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit();
            if key != "type" && key.bytes().all(plain) {
                assert!(text.contains(&format!("`{key}`")), "{file}: {key}");
            }
        }
    }
}
