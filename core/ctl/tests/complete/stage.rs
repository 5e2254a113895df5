//! A manager that knows names and versions, and the scripts of the package.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::common::*;

/// For shells: what comes late on a machine with much to do is awaited.
pub const PATIENT: [(&str, &str); 1] = [("WPKCTL_COMPLETE_WITHIN", "60s")];

/// Agents of which two share a name, and one has a name that is not to reach a shell. It
/// knows what its repository has if `lists` says so.
pub fn manager(dir: &Path, lists: bool) -> Manager {
    let name = |id: i64, name: &str| {
        let mut agent = listed(id, "v4.14.0");
        agent["name"] = name.into();
        agent
    };
    let fleet = vec![
        name(0, "manager"),
        name(1, "web01"),
        name(2, "web02"),
        name(3, "web02"),
        name(4, "$(reboot)"),
        name(5, "db-1"),
    ];
    Manager::start(&dir.join("s"), move |request| {
        match request["command"].as_str().unwrap() {
            "agent_list" => {
                let after = request["parameters"]["after"].as_i64();
                answer(if after.is_some() {
                    vec![]
                } else {
                    fleet.clone()
                })
            }
            "upgrade_versions" if lists => {
                let mut items: Vec<_> = ["v4.15.0", "v4.14.1", "v3.9.0"].map(version).to_vec();
                items.push(json!({"error": 0, "message": "Success", "incomplete": ["too slow"]}));
                answer(items)
            }
            "release_list" => {
                let mut denied = version("v4.14.1");
                denied["denied"] = true.into();
                answer(vec![version("v4.9.2"), denied])
            }
            "rollout_list" => answer(vec![
                json!({"error": 0, "message": "Success", "name": "weekly", "generation": 1,
                    "state": "running", "applied": 1, "order": 1}),
            ]),
            _ => refusal(3, "JSON parameter not recognized"),
        }
    })
}

/// An item with a version.
fn version(text: &str) -> serde_json::Value {
    json!({"error": 0, "message": "Success", "version": text})
}

/// The folder with what `generate` writes.
pub fn share(dir: &Path) -> PathBuf {
    let share = dir.join("share");
    run(&["generate", "--out", share.to_str().unwrap()]).ended(0);
    share
}
