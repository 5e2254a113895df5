//! Commands of the sockets: PROTOCOL.md has each with its parameters and its answer.

use std::collections::BTreeSet;

use wpk_wire::{TaskCommand, UpgradeCommand};

use super::page::source;

/// The commands in the first cells of the tables of a section: the words in backquotes
/// that hold nothing but letters and `_`.
fn told(section: &str) -> BTreeSet<String> {
    let text = source("core/wire/PROTOCOL.md");
    let (_, rest) = text.split_once(&format!("\n## {section}. ")).unwrap();
    let section = rest.split("\n## ").next().unwrap();
    let cells = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let plain =
        |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    // The first backquote was stripped: what is quoted comes first, then every other one.
    cells
        .flat_map(|cell| cell.split('`').step_by(2))
        .filter(plain)
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_command_of_ours_has_its_row() {
    let told = told("15");
    let of_the_socket = [
        "upgrade",
        "upgrade_custom",
        "upgrade_result",
        "upgrade_update_status",
    ];
    let upgrade = UpgradeCommand::ALL.iter().map(|one| one.as_str());
    let upgrade: BTreeSet<&str> = upgrade.collect();
    for command in &upgrade {
        // Those of the 4.x module are told in section 2.
        if !of_the_socket.contains(command) {
            assert!(
                told.contains(*command),
                "{command} has no row in section 15"
            );
        }
    }
    let task: BTreeSet<&str> = TaskCommand::ALL.iter().map(|one| one.as_str()).collect();
    for row in &told {
        let known = upgrade.contains(row.as_str()) || task.contains(row.as_str());
        assert!(known, "section 15: nobody knows {row}");
    }
    assert!(told.len() >= 40, "{told:?}");
}

#[test]
fn every_command_of_a_4x_module_is_in_its_section() {
    let text = source("core/wire/PROTOCOL.md");
    let section = |number: &str| {
        let (_, rest) = text.split_once(&format!("\n## {number}. ")).unwrap();
        rest.split("\n## ").next().unwrap().to_owned()
    };
    let (upgrade, task) = (section("2"), section("3"));
    for command in [
        "upgrade",
        "upgrade_custom",
        "upgrade_result",
        "upgrade_update_status",
    ] {
        assert!(upgrade.contains(&format!("`{command}`")), "{command}");
    }
    for command in TaskCommand::ALL {
        let command = command.as_str();
        assert!(task.contains(&format!("`{command}`")), "{command}");
    }
}
