//! Homes that others made, folders that are gone, settings that are wrong.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use serde_json::json;

use crate::stand::Stand;
use crate::table::{Check, check};

pub const CHECKS: &[Check] = &[
    check!(
        a_folder_for_all,
        "the agent starts",
        "var/upgrade may be written by all",
        "700; works"
    ),
    check!(
        a_folder_for_all_later,
        "the agent runs",
        "var/upgrade is made writable for all",
        "700 while the installer runs; works"
    ),
    check!(
        settings_for_all,
        "the agent starts",
        "settings, CA store and var may be written by all",
        "644 644 755; works"
    ),
    check!(
        the_store_of_another,
        "a package comes",
        "the CA store belongs to another user",
        "code 13, said: true; works"
    ),
    check!(
        folders_that_are_gone,
        "the agent runs",
        "tmp, logs, var/incoming, var/upgrade and var/run are removed",
        "works"
    ),
    check!(
        left_by_failed_deliveries,
        "deliveries failed",
        "what they left fills var/incoming",
        "works"
    ),
];

fn mode(path: &Path) -> String {
    let mode = fs::metadata(path).unwrap().permissions().mode();
    format!("{:o}", mode & 0o7777)
}

fn set(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

async fn a_folder_for_all() -> String {
    let stand = Stand::start_after("", |home| set(&home.join("var/upgrade"), 0o777)).await;
    let mode = mode(&stand.path("var/upgrade"));
    format!("{mode}; {}", stand.works().await)
}

async fn a_folder_for_all_later() -> String {
    let stand = Stand::start("").await;
    set(&stand.path("var/upgrade"), 0o777);
    let script = "stat -c %a var/upgrade > mode";
    assert_eq!(stand.install(script).await.0, 0);
    let mode = fs::read_to_string(stand.path("mode")).unwrap();
    let mode = mode.trim();
    format!("{mode} while the installer runs; {}", stand.works().await)
}

async fn settings_for_all() -> String {
    let stand = Stand::start_after("", |home| {
        set(&home.join("etc/agent.toml"), 0o666);
        set(&home.join("etc/wpk_root.pem"), 0o664);
        set(&home.join("var"), 0o777);
    })
    .await;
    let works = stand.works().await;
    let modes = ["etc/agent.toml", "etc/wpk_root.pem", "var"].map(|name| mode(&stand.path(name)));
    format!("{}; {works}", modes.join(" "))
}

/// Only root can bring it about.
async fn the_store_of_another() -> Option<String> {
    let stand = Stand::start("").await;
    let store = stand.path("etc/wpk_root.pem");
    chown(&store, Some(65_534), None).ok()?;
    let (code, _) = stand.install("exit 0").await;
    let said = stand.process.output().contains("belongs to user 65534");
    chown(&store, Some(0), None).unwrap();
    Some(format!(
        "code {code}, said: {said}; {}",
        stand.works().await
    ))
}

async fn folders_that_are_gone() -> String {
    let stand = Stand::start("").await;
    for folder in ["tmp", "logs", "var/incoming", "var/upgrade", "var/run"] {
        fs::remove_dir_all(stand.path(folder)).unwrap();
    }
    stand.works().await.to_owned()
}

async fn left_by_failed_deliveries() -> String {
    let stand = Stand::start("[limits]\nincoming = \"28KiB\"").await;
    for name in ["one", "two", "three"] {
        stand.ask("open", json!({"mode": "wb", "file": name})).await;
        let buffer = base64_simd::STANDARD.encode_to_string([0; 9_500]);
        let write = json!({"buffer": buffer, "length": 9_500, "file": name});
        assert_eq!(stand.ask("write", write).await.0, 0, "{name}");
    }
    stand.works().await.to_owned()
}
