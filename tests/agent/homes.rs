//! Homes that others made, folders that are gone, settings that are wrong.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};
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
        the_folder_of_the_store,
        "a package comes",
        "the folder of the CA store may be written by all",
        "775, said: true; works"
    ),
    check!(
        a_folder_above_the_store,
        "a package comes",
        "a folder outside the home, on the way to the CA store, may be written by all",
        "code 13, said: true; works"
    ),
    check!(
        a_link_of_another,
        "a package comes",
        "the CA store is another user's link to root's file",
        "code 13, said: true; works"
    ),
    check!(
        folders_of_a_real_agent,
        "the agent starts",
        "its daemons write etc and var/run by their group",
        "770 770; works"
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

async fn the_folder_of_the_store() -> String {
    let stand = Stand::start("").await;
    set(&stand.path("etc"), 0o777);
    let works = stand.works().await;
    let said = stand
        .process
        .output()
        .contains("etc could be written by others");
    format!("{}, said: {said}; {works}", mode(&stand.path("etc")))
}

async fn a_folder_above_the_store() -> String {
    let elsewhere = tempfile::tempdir().unwrap();
    let folder = elsewhere.path().join("folder");
    fs::create_dir(&folder).unwrap();
    set(&folder, 0o777);
    let store = folder.join("ca.pem");
    let setting = format!("[upgrade.ca_verification]\nca_store = [{store:?}]\n");
    let stand = Stand::start_after(&setting, |home| {
        fs::copy(home.join("etc/wpk_root.pem"), &store).unwrap();
    })
    .await;
    let (code, _) = stand.install("exit 0").await;
    let said = stand
        .process
        .output()
        .contains("folder may be written by others");
    set(&folder, 0o755);
    format!("code {code}, said: {said}; {}", stand.works().await)
}

/// Only root can bring it about.
async fn a_link_of_another() -> Option<String> {
    let stand = Stand::start("").await;
    let store = stand.path("etc/wpk_root.pem");
    let kept = stand.path("etc/kept.pem");
    fs::rename(&store, &kept).unwrap();
    symlink(&kept, &store).unwrap();
    lchown(&store, Some(65_534), None).ok()?;
    let (code, _) = stand.install("exit 0").await;
    let said = stand
        .process
        .output()
        .contains("wpk_root.pem belongs to user 65534");
    lchown(&store, Some(0), None).unwrap();
    Some(format!(
        "code {code}, said: {said}; {}",
        stand.works().await
    ))
}

async fn folders_of_a_real_agent() -> String {
    let stand = Stand::start_after("", |home| {
        fs::create_dir_all(home.join("var/run")).unwrap();
        set(&home.join("etc"), 0o770);
        set(&home.join("var/run"), 0o770);
    })
    .await;
    let works = stand.works().await;
    let modes = ["etc", "var/run"].map(|name| mode(&stand.path(name)));
    format!("{}; {works}", modes.join(" "))
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
