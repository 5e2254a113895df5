//! `wpkd check` on libraries and on the settings of what they bring.

use std::os::unix::fs::PermissionsExt;

use tokio::process::Command;
use wpk_testkit::binary;
use wpk_testkit::library::Library;

use crate::common::{hostile, plugin};

/// What `wpkd check` prints about these settings, and whether it is content.
async fn check(settings: &str) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wpkd.toml");
    // Another check at the same time looks whether its port is free by listening there.
    let port = "\n[transport]\nlisten = \"127.0.0.1:0\"\n";
    std::fs::write(&file, settings.to_owned() + port).unwrap();
    let mut command = Command::new(binary("wpkd").unwrap());
    let output = command.arg("check").arg("--config").arg(&file).output();
    let output = output.await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn a_plugin_that_is_fine_is_listed() {
    let library = hostile("good");
    let settings = plugin(&library) + "[[provider]]\ntype = \"hostile\"\ncolour = \"red\"\n";
    let (good, printed) = check(&settings).await;
    assert!(good, "{printed}");
    assert!(printed.contains("providers  hostile"), "{printed}");
    assert!(printed.contains("plugin.so"), "{printed}");
}

#[tokio::test]
async fn mistakes_in_a_plugins_section_have_their_key() {
    let libraries = [hostile("good"), Library::of_package("wpk-hostile").unwrap()];
    let settings = libraries.each_ref().map(plugin).concat()
        + r#"
        [[provider]]
        type = "hostile"
        color = "red"
        [[provider]]
        type = "odd"
        mode = "bad"
        seize = 5
        size = -1
        [[provider]]
        type = "odd"
        [[provider]]
        type = "even"
        "#;
    let (good, printed) = check(&settings).await;
    assert!(!good);
    for key in [
        "[[provider]] number 1: color: unknown setting; known are colour",
        "[[provider]] number 2: mode: ",
        "[[provider]] number 2: seize: unknown field `seize`",
        "[[provider]] number 2: size: ",
        "[[provider]] number 3: mode: is missing",
        "[[provider]] number 4: type: \"even\" is unknown",
    ] {
        let found = printed
            .lines()
            .any(|line| line.contains("wpkd.toml") && line.contains(key));
        assert!(found, "{key} is not in\n{printed}");
    }
    assert!(printed.contains("has 6 mistake(s)"), "{printed}");
}

#[tokio::test]
async fn a_library_that_must_not_be_loaded_keeps_the_daemon_from_starting() {
    let digest = "ab".repeat(32);
    let writable = hostile("good");
    std::fs::set_permissions(writable.path(), std::fs::Permissions::from_mode(0o666)).unwrap();
    let open_folder = hostile("good");
    let folder = open_folder.path().parent().unwrap();
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    let good = hostile("good");
    let [major, known, declines] = ["wrong_major", "known_type", "declines"].map(hostile);
    let cases = [
        (plugin(&writable), "mode 0666"),
        (plugin(&open_folder), "mode 0777"),
        (
            plugin(&good) + &format!("sha256 = \"{digest}\"\n"),
            "SHA-256",
        ),
        (plugin(&major), "version 2"),
        (plugin(&known), "known already"),
        (plugin(&declines), "the licence is missing"),
        (
            "[[plugin]]\npath = \"/nonexistent.so\"\n".to_owned(),
            "/nonexistent.so",
        ),
        (
            "[[plugin]]\npath = \"relative.so\"\n".to_owned(),
            "[[plugin]] number 1: path",
        ),
    ];
    for (settings, reason) in cases {
        let (good, printed) = check(&settings).await;
        assert!(!good, "{settings}");
        assert!(printed.contains(reason), "{reason} is not in\n{printed}");
    }
}

#[tokio::test]
async fn a_plugin_that_cannot_be_made_keeps_the_daemon_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wpkd.toml");
    let library = Library::of_package("wpk-hostile").unwrap();
    let home = folder.path().join("home");
    let settings = format!(
        "home = {home:?}\n{}[[provider]]\ntype = \"odd\"\nmode = \"panic_in_open\"\n",
        plugin(&library)
    );
    std::fs::write(&file, settings).unwrap();
    let mut command = Command::new(binary("wpkd").unwrap());
    let output = command.arg("--config").arg(&file).output().await.unwrap();
    assert!(!output.status.success());
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("made to panic in open"), "{errors}");
    assert!(errors.contains("provider \"odd\""), "{errors}");
}
