//! The pages of settings beside what the daemon and the agent say of themselves.

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
        // What stands before the first heading is no table of settings.
        if !keys.starts_with("| `") || heading.is_empty() {
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

/// A setting as its program tells it.
#[derive(Debug)]
struct Told {
    /// Its section as it is written in a file; empty: before all.
    section: String,
    /// The type of the plugin whose it is.
    plugin: Option<String>,
    key: String,
    default: Option<String>,
}

impl Told {
    /// Whether it may stand under this heading.
    fn is_under(&self, heading: &str) -> bool {
        let here = match self.section.as_str() {
            "" => heading == "At the top",
            section => heading.contains(section),
        };
        let typed = |name: &String| heading.contains(&format!("type = \"{name}\""));
        here && (!heading.contains("type = ") || self.plugin.as_ref().is_some_and(typed))
    }

    fn is_in(&self, row: &Row) -> bool {
        self.is_under(&row.heading) && row.keys.contains(&self.key)
    }
}

/// What `wpkd settings` tells.
fn of_the_daemon() -> Vec<Told> {
    let told = Command::new(programs().join("wpkd"))
        .args(["settings", "--json"])
        .output()
        .unwrap();
    assert!(told.status.success(), "{told:?}");
    let told = String::from_utf8(told.stdout).unwrap();
    let read = |line: &str| {
        let told: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| told[key].as_str().map(ToOwned::to_owned);
        Told {
            section: text("section").unwrap(),
            plugin: text("type"),
            key: text("key").unwrap(),
            default: text("default"),
        }
    };
    told.lines().map(read).collect()
}

/// What wpk-agent.toml(5) tells, from the schemas that it is made of.
fn of_the_agent() -> Vec<Told> {
    let sections = wpk_agent::settings::reference().into_iter();
    let read = |(section, schema): (&'static str, Value)| {
        let keys = wpk_api::settings::keys(&schema).into_iter();
        keys.map(move |key| Told {
            section: section.to_owned(),
            plugin: None,
            key: key.name,
            default: key.default,
        })
    };
    sections.flat_map(read).collect()
}

/// What one of the two has and the other has not, or differently.
fn differences(topic: &str, told: &[Told]) -> Vec<String> {
    let rows = rows(&page(topic));
    let mut wrong = Vec::new();
    for one in told {
        let Some(row) = rows.iter().find(|row| one.is_in(row)) else {
            wrong.push(format!("{topic}: no row for {one:?}"));
            continue;
        };
        let default = one.default.as_ref().map(|text| text.replace('"', ""));
        if let Some(default) = default.filter(|default| default != "none")
            && !row.default.split(", ").any(|one| one == default)
        {
            wrong.push(format!("{topic}: {one:?}: not {}", row.default));
        }
    }
    for row in &rows {
        for key in &row.keys {
            let known = (told.iter()).any(|one| one.is_under(&row.heading) && one.key == *key);
            if !known {
                wrong.push(format!("{topic}: {} {key} is no setting", row.heading));
            }
        }
    }
    wrong
}

#[test]
fn every_setting_is_told_with_its_default_and_no_other() {
    let (daemon, agent) = (of_the_daemon(), of_the_agent());
    assert!(daemon.len() >= 70, "{daemon:?}");
    assert!(agent.len() >= 38, "{agent:?}");
    let mut wrong = differences("settings", &daemon);
    wrong.extend(differences("agent-settings", &agent));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_packaged_files_show_is_told() {
    for (file, topic) in [
        ("config/wpkd.toml", "settings"),
        ("config/wazuh-manager.toml", "settings"),
        ("config/wpk-agent.toml", "agent-settings"),
    ] {
        let text = page(topic);
        for line in source(file).lines() {
            let line = line.trim_start_matches('#').trim_start();
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
