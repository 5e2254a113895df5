//! A plugin built with another toolchain works in the daemon: nothing of Rust
//! crosses the border.

use std::path::Path;
use std::process::Command;

use serde_json::json;
use wpk_testkit::Manager;
use wpk_testkit::library::{Library, file_name};

use crate::common::{end, enroll, plugin, sha1};

/// A cargo of the nightly toolchain; `None` if there is none.
fn nightly() -> Option<Command> {
    let cargo = || {
        let mut command = Command::new("rustup");
        // What the cargo that runs this test has set would win over the choice.
        for variable in ["RUSTUP_TOOLCHAIN", "CARGO", "RUSTC", "RUSTDOC", "RUSTFLAGS"] {
            command.env_remove(variable);
        }
        command.args(["run", "nightly", "cargo"]);
        command
    };
    let answer = cargo().arg("--version").output().ok()?;
    answer.status.success().then(cargo)
}

#[tokio::test]
async fn a_plugin_of_the_nightly_toolchain_upgrades_an_agent() {
    let Some(mut cargo) = nightly() else {
        wpk_testkit::skipped::say_skipped("the nightly toolchain is not installed");
        return;
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = root.join("target/nightly");
    let built = cargo
        .args(["build", "--locked", "-p", "wpk-hostile", "--target-dir"])
        .arg(&target)
        .current_dir(&root)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{said}");
    let library = Library::copy(&target.join("debug").join(file_name("wpk-hostile"))).unwrap();
    let settings = format!(
        "{}[[provider]]\ntype = \"odd\"\nmode = \"good\"\nsha1 = \"{}\"\nsize = 2500000\n",
        plugin(&library),
        sha1()
    );
    let manager = Manager::start(&settings).await.unwrap();
    enroll(&manager);
    manager.upgrade(&[1], json!({})).await;
    assert_eq!(end(&manager, 1).await["status"], "Updated");
}
