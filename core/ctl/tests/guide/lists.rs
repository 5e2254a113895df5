//! Lists that the guide has in full: commands, metrics, objects.

use std::collections::BTreeSet;
use std::fs;

use super::common::run;
use super::page::{page, pages, root, source, sources};

/// The commands of wpkctl, in full, as its help lists them.
fn commands(of: &[&str]) -> Vec<String> {
    let help = run(&[of, &["--help"]].concat()).ended(0).out;
    let Some((_, list)) = help.split_once("Commands:\n") else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for line in list.lines().take_while(|line| !line.is_empty()) {
        let name = line.split_whitespace().next().unwrap();
        // Further lines of a text begin further to the right.
        if name == "help" || !line.starts_with("  ") || line.starts_with("   ") {
            continue;
        }
        let full = [of, &[name]].concat();
        let inner = commands(&full);
        let group = !inner.is_empty() && !run(&full).err.contains("cannot reach");
        if !group {
            found.push(full.join(" "));
        }
        found.extend(inner);
    }
    found
}

#[test]
fn every_command_of_wpkctl_is_listed() {
    let text = page("commands");
    let commands = commands(&[]);
    assert!(commands.len() >= 20, "{commands:?}");
    for command in &commands {
        assert!(
            text.contains(&format!("| `wpkctl {command}` |")),
            "wpkctl {command}"
        );
    }
    let listed = text.lines().filter(|line| line.starts_with("| `wpkctl "));
    for line in listed {
        let command = line
            .split('`')
            .nth(1)
            .unwrap()
            .trim_start_matches("wpkctl ");
        let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        run(&words).ended(0);
    }
}

/// The visible variants of `enum Command`, as they are typed.
fn variants(cli: &str) -> Vec<String> {
    let (_, rest) = cli.split_once("enum Command {").unwrap();
    let (body, _) = rest.split_once("\n}").unwrap();
    let mut found = Vec::new();
    let mut hidden = false;
    for line in body.lines() {
        let Some(inner) = line
            .strip_prefix("    ")
            .filter(|inner| !inner.starts_with(' '))
        else {
            continue;
        };
        if inner.starts_with("#[") {
            hidden |= inner.contains("hide = true");
        } else if inner.starts_with(|c: char| c.is_ascii_uppercase()) {
            let name = inner.split(|c: char| !c.is_alphanumeric()).next().unwrap();
            let mut typed = String::new();
            for c in name.chars() {
                if c.is_uppercase() && !typed.is_empty() {
                    typed.push('-');
                }
                typed.extend(c.to_lowercase());
            }
            if !hidden {
                found.push(typed);
            }
            hidden = false;
        }
    }
    found
}

#[test]
fn every_command_of_the_daemon_and_the_agent_is_listed() {
    let text = page("commands");
    for (program, cli) in [
        ("wpkd", "core/daemon/src/cli.rs"),
        ("wpk-agent", "core/agent/src/cli/mod.rs"),
    ] {
        let variants = variants(&source(cli));
        assert!(variants.len() >= 5, "{variants:?}");
        for command in variants {
            let row = format!("| `{program} {command}` |");
            assert!(text.contains(&row), "{row}");
        }
    }
}

#[test]
fn every_metric_and_every_alert_is_told() {
    let text = page("monitoring");
    let metrics = source("config/monitoring/METRICS.md");
    let names = |text: &str| -> BTreeSet<String> {
        let rows = text
            .lines()
            .filter_map(|line| line.strip_prefix("| `wpkd_"));
        rows.map(|row| row.split(['`', '{']).next().unwrap().to_owned())
            .collect()
    };
    assert!(names(&metrics).len() >= 20);
    assert_eq!(names(&text), names(&metrics));
    let rules = source("config/monitoring/alerts.yml");
    for alert in rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
    {
        assert!(text.contains(&format!("| `{alert}` |")), "{alert}");
    }
}

#[test]
fn every_kind_of_object_is_told() {
    let text = page("json-and-exit-codes");
    let mut kinds = 0;
    for (path, source) in sources(&["core/ctl/src"]) {
        let written = source.split("\"event\": \"").skip(1);
        for rest in written.chain(source.split("view.note(\"").skip(1)) {
            let kind = rest.split('"').next().unwrap();
            assert!(
                text.contains(&format!("`{kind}`")),
                "{}: {kind}",
                path.display()
            );
            kinds += 1;
        }
    }
    assert!(kinds >= 15, "{kinds} kinds");
}

#[test]
fn what_a_page_leads_to_is_there() {
    let topics: BTreeSet<String> = pages().into_iter().map(|page| page.topic).collect();
    for page in pages() {
        assert!(page.text.is_ascii(), "{}: only ASCII", page.topic);
        for link in page.links() {
            let topic = link.strip_suffix(".md").unwrap_or(&link);
            assert!(topics.contains(topic), "{}: {link}", page.topic);
        }
        for code in page.code() {
            if let Some(topic) = code.strip_prefix("wpkctl guide ") {
                let topic = topic.split(' ').next().unwrap();
                assert!(
                    topics.contains(topic) || topic == "TOPIC",
                    "{}: {code}",
                    page.topic
                );
            }
            // Files of the sources.
            let ours = ["config/", "sdk/", "examples/", "core/"];
            if ours.iter().any(|folder| code.starts_with(folder)) {
                let path = code.split(' ').next().unwrap();
                assert!(root().join(path).exists(), "{}: {code}", page.topic);
            }
        }
    }
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for topic in &topics {
        let link = format!("(core/ctl/guide/{topic}.md)");
        assert!(readme.contains(&link), "README.md: {link}");
    }
}
