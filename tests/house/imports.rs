//! Who may import whom, as core/README.md says it.

use std::process::Command;

use serde_json::Value;

use crate::tree::root;

/// A crate's place in the house: its folder, and what it may import of ours.
/// A folder that ends in `*` stands for every crate below it; the first row
/// that fits a crate counts. Crates that are planned have their row already.
const RULES: &[(&str, Allowed)] = &[
    ("core/api", Only(&[])),
    ("core/package", Only(&[])),
    ("core/wire", Only(&["core/api"])),
    ("core/config", Only(&["core/api"])),
    ("core/rollout", Only(&["core/api"])),
    ("core/loader", Only(&["core/api", "sdk/abi"])),
    (
        "core/runtime",
        Only(&[
            "core/api",
            "core/wire",
            "core/package",
            "core/rollout",
            "core/config",
        ]),
    ),
    ("core/daemon", All),
    ("core/agent/installer", Only(&["sdk/installer"])),
    (
        "core/agent",
        Only(&[
            "core/api",
            "core/wire",
            "core/package",
            "plugins/socket-file",
        ]),
    ),
    (
        "core/ctl",
        Only(&[
            "core/api",
            "core/wire",
            "core/package",
            "core/rollout",
            "core/config",
        ]),
    ),
    // unix-socket, repository, local-file, wazuh, channel, sqlite, postgres and any
    // other: a built-in sees exactly what a third party sees. What several of them
    // have in common is no plugin.
    (
        "plugins/*",
        Only(&[
            "core/api",
            "core/wire",
            "plugins/sqlite-file",
            "plugins/socket-file",
        ]),
    ),
    ("sdk/abi", Only(&[])),
    ("sdk/plugin", Only(&["core/api", "sdk/abi"])),
    ("sdk/installer", Only(&[])),
    (
        "sdk/testkit",
        Only(&["core/api", "core/wire", "core/package"]),
    ),
    // The built-in plugins once more, as libraries, and the testkit's in-memory ones.
    (
        "sdk/testkit/border",
        Only(&["core/api", "sdk/plugin", "sdk/testkit", "plugins/*"]),
    ),
    ("sdk/testkit/hostile", Only(&["sdk/plugin"])),
    (
        "examples/demo",
        Only(&["core/api", "core/wire", "core/package", "sdk/testkit"]),
    ),
    (
        "examples/*",
        Only(&["sdk/plugin", "sdk/installer", "sdk/abi"]),
    ),
    ("tests", All),
];

enum Allowed {
    Only(&'static [&'static str]),
    All,
}
use Allowed::{All, Only};

fn fits(pattern: &str, folder: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => folder.starts_with(start),
        None => pattern == folder,
    }
}

/// Holds what `cargo metadata` says against the rules. Imports for tests and
/// build scripts are not looked at: they are in no program.
fn complaints(metadata: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let top = format!("{}/", text(&metadata["workspace_root"]));
    let folder = |path: &str| path.strip_prefix(&top).map(str::to_owned);
    let none = Vec::new();
    let mut wrong = Vec::new();
    for package in metadata["packages"].as_array().unwrap_or(&none) {
        let name = text(&package["name"]);
        let manifest = text(&package["manifest_path"]);
        let Some(at) = folder(manifest.trim_end_matches("/Cargo.toml")) else {
            wrong.push(format!("{name}: {manifest} is not below {top}"));
            continue;
        };
        let Some((_, allowed)) = RULES.iter().find(|(pattern, _)| fits(pattern, &at)) else {
            wrong.push(format!(
                "{name} ({at}) has no rule: say in RULES what it may import"
            ));
            continue;
        };
        let Only(allowed) = allowed else {
            continue;
        };
        for import in package["dependencies"].as_array().unwrap_or(&none) {
            let Some(to) = import["path"].as_str().and_then(folder) else {
                continue;
            };
            let in_programs = import["kind"].is_null();
            if in_programs && !allowed.iter().any(|pattern| fits(pattern, &to)) {
                let import = text(&import["name"]);
                let rule = match allowed {
                    [] => "none of ours".to_owned(),
                    some => some.join(", "),
                };
                wrong.push(format!(
                    "{name} ({at}) imports {import} ({to}); it may import {rule}"
                ));
            }
        }
    }
    wrong
}

#[test]
fn crates_import_only_what_they_may() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata: {said}");
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().map_or(0, Vec::len);
    assert!(packages > 20, "only {packages} crates were found");
    let wrong = complaints(&metadata);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A workspace of one crate in `folder` that imports `imports`.
    fn with(folder: &str, imports: &[(&str, Option<&str>)]) -> Vec<String> {
        let imports: Vec<_> = imports
            .iter()
            .map(|(to, kind)| json!({"name": to, "path": format!("/top/{to}"), "kind": kind}))
            .chain([json!({"name": "serde", "kind": null})])
            .collect();
        complaints(&json!({
            "workspace_root": "/top",
            "packages": [{
                "name": "it",
                "manifest_path": format!("/top/{folder}/Cargo.toml"),
                "dependencies": imports,
            }],
        }))
    }

    #[test]
    fn a_forbidden_import_is_told_with_the_rule() {
        let wrong = with("plugins/new", &[("core/api", None), ("core/runtime", None)]);
        assert_eq!(
            wrong,
            [
                "it (plugins/new) imports core/runtime (core/runtime); it may import core/api, core/wire, plugins/sqlite-file, plugins/socket-file"
            ]
        );
        let wrong = with("core/package", &[("core/api", None)]);
        assert!(
            wrong[0].ends_with("it may import none of ours"),
            "{wrong:?}"
        );
        assert_eq!(with("core/ctl", &[("core/loader", None)]).len(), 1);
        assert_eq!(with("examples/new", &[("sdk/testkit", None)]).len(), 1);
        assert_eq!(with("core/new", &[]).len(), 1, "no rule");
    }

    #[test]
    fn what_is_allowed_or_for_tests_is_fine() {
        assert!(with("core/package", &[("sdk/testkit", Some("dev"))]).is_empty());
        assert!(with("core/daemon", &[("plugins/new", None)]).is_empty());
        assert!(with("sdk/testkit/border", &[("plugins/sqlite", None)]).is_empty());
        assert!(with("tests", &[("core/runtime", None)]).is_empty());
    }
}
