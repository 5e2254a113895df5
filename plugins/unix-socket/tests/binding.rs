//! What lies at the path before, and what is left behind.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(missing_docs, unreachable_pub)]

mod common;

use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener};

use common::{build, serve_defaults};
use serde_json::json;
use wpk_api::Factory;
use wpk_plugin_unix_socket::plugin;
use wpk_testkit::{Home, ask};

fn refusal(home: &Home, settings: &serde_json::Value) -> String {
    match build(home, settings) {
        Ok(_) => panic!("{settings} was accepted"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn missing_folders_are_created_for_the_group_only() {
    let home = Home::new().unwrap();
    let settings = json!({"upgrade": "new/deep/upgrade", "task": "new/task", "mode": "0600"});
    let _source = build(&home, &settings).unwrap();
    for folder in ["new", "new/deep"] {
        let mode = std::fs::metadata(home.path(folder)).unwrap().mode() & 0o777;
        assert_eq!(mode & !0o750, 0, "{folder}: {mode:o}");
    }
    let mode = std::fs::metadata(home.path("new/task")).unwrap().mode() & 0o7777;
    assert_eq!(mode, 0o600);
}

#[tokio::test]
async fn the_group_is_set() {
    let home = Home::new().unwrap();
    // Root may give any group, others one of their own.
    let group = match rustix::process::geteuid().is_root() {
        true => 4242,
        false => rustix::process::getegid().as_raw(),
    };
    let _source = build(&home, &json!({"group": group.to_string()})).unwrap();
    let file = std::fs::metadata(home.upgrade_socket()).unwrap();
    assert_eq!((file.gid(), file.mode() & 0o7777), (group, 0o660));
    let message = refusal(
        &Home::new().unwrap(),
        &json!({"group": "no-such-group-here"}),
    );
    assert!(message.contains("no-such-group-here"), "{message}");
}

#[tokio::test]
async fn a_daemon_that_answers_is_never_pushed_aside() {
    let served = serve_defaults();
    let message = refusal(&served.home, &json!({"task": ""}));
    let path = served.home.upgrade_socket();
    assert!(message.contains(path.to_str().unwrap()), "{message}");
    assert!(message.contains("another daemon"), "{message}");
    assert!(ask(&path, "still there").await.is_some());

    let home = Home::new().unwrap();
    let _datagrams = UnixDatagram::bind(home.task_socket()).unwrap();
    let message = refusal(&home, &json!({"upgrade": ""}));
    assert!(message.contains("another daemon"), "{message}");
}

#[tokio::test]
async fn a_failed_start_leaves_nothing_behind() {
    let home = Home::new().unwrap();
    let _other = UnixListener::bind(home.task_socket()).unwrap();
    refusal(&home, &json!({}));
    assert!(!home.upgrade_socket().exists());
    assert!(home.task_socket().exists());
}

#[tokio::test]
async fn a_left_over_socket_is_replaced() {
    let home = Home::new().unwrap();
    drop(UnixListener::bind(home.upgrade_socket()).unwrap());
    assert!(home.upgrade_socket().exists());
    let source = build(&home, &json!({})).unwrap();
    drop(source);
    assert!(!home.upgrade_socket().exists());
}

#[tokio::test]
async fn what_is_no_socket_is_never_removed() {
    let home = Home::new().unwrap();
    std::fs::write(home.upgrade_socket(), "precious").unwrap();
    let message = refusal(&home, &json!({}));
    assert!(message.contains("no socket"), "{message}");
    assert_eq!(std::fs::read(home.upgrade_socket()).unwrap(), b"precious");

    // Not through a link either, whatever it points to.
    drop(UnixListener::bind(home.path("elsewhere")).unwrap());
    symlink(home.path("elsewhere"), home.task_socket()).unwrap();
    refusal(&home, &json!({"upgrade": ""}));
    assert!(home.path("elsewhere").exists());
}

#[tokio::test]
async fn a_socket_of_somebody_else_is_left_alone_at_the_end() {
    let home = Home::new().unwrap();
    let source = build(&home, &json!({})).unwrap();
    std::fs::remove_file(home.task_socket()).unwrap();
    let _other = UnixListener::bind(home.task_socket()).unwrap();
    drop(source);
    let left = std::fs::symlink_metadata(home.task_socket()).unwrap();
    assert!(left.file_type().is_socket());
    assert!(!home.upgrade_socket().exists());
}

#[tokio::test]
async fn errors_name_the_path_and_say_what_to_do() {
    let home = Home::new().unwrap();
    let long = "x".repeat(120);
    let message = refusal(&home, &json!({"upgrade": long}));
    assert!(
        message.contains(&long) && message.contains("107 bytes"),
        "{message}"
    );

    std::fs::write(home.path("file"), "").unwrap();
    let message = refusal(&home, &json!({"upgrade": "file/upgrade"}));
    assert!(message.contains("file/upgrade"), "{message}");

    if !rustix::process::geteuid().is_root() {
        let closed = home.path("closed");
        std::fs::create_dir(&closed).unwrap();
        std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o500)).unwrap();
        let message = refusal(&home, &json!({"upgrade": "closed/upgrade"}));
        assert!(message.contains("closed/upgrade"), "{message}");
    }
}

#[test]
fn check_touches_nothing() {
    let settings = json!({"mode": "9", "max_connections": 0, "sockets": []});
    let problems = plugin().check(&settings);
    let keys: Vec<_> = problems
        .iter()
        .map(|problem| problem.key.as_str())
        .collect();
    assert_eq!(keys, ["mode", "sockets"]);
    assert!(plugin().check(&json!({})).is_empty());
}
