//! What lies at the path before, and what is left behind.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(missing_docs, unreachable_pub)]

mod common;

use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::time::Duration;

use common::{DEADLINE, build, serve, serve_defaults};
use serde_json::json;
use tokio::time::timeout;
use wpk_api::Factory;
use wpk_plugin_unix_socket::plugin;
use wpk_testkit::{Client, Home, ask, wait_until};

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

/// The answer at a path, waited for.
async fn answer(path: &Path) -> Vec<u8> {
    let answered = wait_until(DEADLINE, || ask(path, "hello")).await;
    answered.expect("nobody answers there").to_vec()
}

#[tokio::test]
async fn a_socket_that_is_removed_is_made_again() {
    let served = serve(&json!({"mode": "0640"}));
    let (upgrade, task) = (served.home.upgrade_socket(), served.home.task_socket());
    let mut before = Client::connect(&upgrade).await.unwrap();
    before.ask("hello").await.unwrap().unwrap();
    for round in 0..2 {
        std::fs::remove_file(&upgrade).unwrap();
        if round == 1 {
            std::fs::remove_file(&task).unwrap();
        }
        let again = timeout(Duration::from_secs(2), answer(&upgrade)).await;
        assert_eq!(again.expect("not within a second"), b"Upgrade hello");
        assert_eq!(answer(&task).await, b"Task hello");
        let mode = std::fs::metadata(&upgrade).unwrap().mode() & 0o7777;
        assert_eq!(mode, 0o640);
    }
    // Who was connected notices nothing.
    let answered = before.ask("hello").await.unwrap().unwrap();
    assert_eq!(answered, b"Upgrade hello");
    served.stop.cancel();
    served.ended.await.unwrap().unwrap();
    assert!(!upgrade.exists() && !task.exists());
}

#[tokio::test]
async fn a_folder_that_is_removed_is_made_again() {
    let served = serve(&json!({"upgrade": "", "task": "own/task"}));
    let task = served.home.path("own/task");
    assert_eq!(answer(&task).await, b"Task hello");
    std::fs::remove_dir_all(served.home.path("own")).unwrap();
    assert_eq!(answer(&task).await, b"Task hello");
}

#[tokio::test]
async fn what_somebody_else_put_there_is_not_pushed_aside() {
    let served = serve_defaults();
    let task = served.home.task_socket();
    assert_eq!(answer(&task).await, b"Task hello");
    // In one step, so that no moment is without a socket.
    let aside = served.home.path("queue/tasks/other");
    let other = UnixListener::bind(&aside).unwrap();
    let identity = |path: &Path| std::fs::metadata(path).map(|file| file.ino()).ok();
    let inode = identity(&aside);
    std::fs::rename(&aside, &task).unwrap();
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(60)).await;
    tokio::time::resume();
    assert_eq!(identity(&task), inode, "it was pushed aside");
    assert_eq!(
        answer(&served.home.upgrade_socket()).await,
        b"Upgrade hello"
    );
    // Once it is gone the path is ours again.
    drop(other);
    std::fs::remove_file(&task).unwrap();
    assert_eq!(answer(&task).await, b"Task hello");
}

#[tokio::test]
async fn a_socket_that_cannot_be_made_again_ends_the_source() {
    let served = serve(&json!({"upgrade": "own/upgrade"}));
    let folder = served.home.path("own");
    assert_eq!(answer(&folder.join("upgrade")).await, b"Upgrade hello");
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::write(&folder, "no folder").unwrap();
    let ended = timeout(DEADLINE, served.ended).await.unwrap().unwrap();
    let error = ended.unwrap_err().to_string();
    assert!(error.contains("own/upgrade"), "{error}");
    assert!(error.contains("cannot be made again"), "{error}");
    assert!(!served.home.task_socket().exists(), "the other ends too");
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
    assert_eq!(keys, ["mode", "sockets", "max_connections"]);
    assert!(plugin().check(&json!({})).is_empty());
}
