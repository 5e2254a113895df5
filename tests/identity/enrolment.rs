//! How an identity begins: with a token, the key made on the agent; or in a folder that is
//! carried over, by the printed steps and nothing else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tokio::process::Command;
use wpk_testkit::manager::PATIENCE;
use wpk_testkit::{Process, binary};

use crate::site::{Site, run, start};

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_all_that_an_agent_needs() {
    let site = Site::start().await;
    let home = site.folder("web01");
    let token = site.token("1").await;
    let ended = site
        .enroll(&home, &token, &["--name", "web01"])
        .await
        .ended(0);
    assert!(ended.out.contains("(web01) is enrolled"), "{ended:?}");
    assert!(!format!("{ended:?}").contains(&token));
    for (name, rights) in [("", 0o700), ("/agent.key", 0o600), ("/agent.pem", 0o644)] {
        let path = home.join(format!("etc/channel{name}"));
        assert_eq!(mode(&path), rights, "{name}");
    }
    // Nothing is left of the making.
    assert_eq!(fs::read_dir(home.join("etc/channel")).unwrap().count(), 3);
    // Moved, it is as good.
    let moved = site.home.path("moved");
    fs::rename(&home, &moved).unwrap();
    let config = moved.join("etc/wpk-agent.toml");
    let _agent = start(&config, moved.join("agent.log")).await;
    assert_eq!(
        site.agent("web01").await.unwrap()["connection_status"],
        "active"
    );

    // A living identity is not replaced by mistake, and nothing was asked of the manager.
    let second = site.token("2").await;
    let before = fs::read(moved.join("etc/channel/agent.pem")).unwrap();
    let ended = site
        .enroll(&moved, &second, &["--name", "web02"])
        .await
        .ended(1);
    assert!(ended.err.contains("--again"), "{ended:?}");
    assert_eq!(
        fs::read(moved.join("etc/channel/agent.pem")).unwrap(),
        before
    );
    assert!(site.agent("web02").await.is_none());
    site.enroll(&moved, &second, &["--name", "web02", "--again"])
        .await
        .ended(0);
    assert_ne!(
        fs::read(moved.join("etc/channel/agent.pem")).unwrap(),
        before
    );
    assert!(site.agent("web02").await.is_some());
    // With the manager's own words where it refuses, and the identity as it was.
    let before = fs::read(moved.join("etc/channel/agent.pem")).unwrap();
    let ended = site
        .enroll(&moved, &token, &["--name", "web03", "--again"])
        .await
        .ended(1);
    assert!(
        ended
            .err
            .contains("the manager refuses: this token was used up"),
        "{ended:?}"
    );
    assert_eq!(
        fs::read(moved.join("etc/channel/agent.pem")).unwrap(),
        before
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_told_to_another_manager() {
    let (site, other) = (Site::start().await, Site::start().await);
    let home = site.folder("web01");
    let token = other.token("1").await;
    let ended = site
        .enroll(&home, &token, &["--name", "web01"])
        .await
        .ended(1);
    assert!(
        ended.err.contains("not the manager that issued the token"),
        "{ended:?}"
    );
    // Its CA in a file is as good as the digest in a token.
    let token = site.token("3").await;
    let wrong = other.home.path("m/etc/channel/ca.pem");
    let ended = site
        .enroll(
            &home,
            &token,
            &["--name", "web01", "--ca", wrong.to_str().unwrap()],
        )
        .await
        .ended(1);
    assert!(ended.err.contains("not the manager"), "{ended:?}");
    let right = site.home.path("m/etc/channel/ca.pem");
    site.enroll(
        &home,
        &token,
        &["--name", "web01", "--ca", right.to_str().unwrap()],
    )
    .await
    .ended(0);
    let listed = site
        .wpkctl(&["agent", "token", "list", "--json"])
        .await
        .ended(0);
    assert!(listed.out.contains("\"left\":2"), "{listed:?}");
    let ended = site
        .enroll(&site.folder("b"), "wpk1.mistyped", &[])
        .await
        .ended(1);
    assert!(
        ended.err.contains("no enrolment token") && !ended.err.contains("mistyped"),
        "{ended:?}"
    );
}

/// The indented lines of what was printed.
fn lines(printed: &str) -> Vec<&str> {
    let lines = printed.lines();
    lines.filter_map(|line| line.strip_prefix("  ")).collect()
}

async fn shell(folder: &Path, line: &str) {
    let mut command = Command::new("sh");
    command.arg("-ec").arg(line).current_dir(folder);
    run(command, "").await.ended(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_steps_work_to_the_letter_in_another_folder() {
    let site = Site::start().await;
    let out = site.home.path("it's here/web 01");
    fs::create_dir_all(out.parent().unwrap()).unwrap();
    let ended = site
        .wpkctl(&["agent", "enroll", "web01", "--out", out.to_str().unwrap()])
        .await
        .ended(0);
    let steps = lines(&ended.out);
    let [_, pack, unpack, last] = steps[..] else {
        panic!("{ended:?}")
    };
    shell(Path::new("/"), pack).await;
    // The agent's machine: the folder it came from is not there.
    let elsewhere = site.folder("elsewhere");
    let carried = out.with_file_name("web 01.tar");
    assert_eq!(mode(&carried), 0o600);
    fs::rename(&carried, elsewhere.join("web 01.tar")).unwrap();
    fs::remove_dir_all(&out).unwrap();
    shell(&elsewhere, unpack).await;
    assert_eq!(mode(&elsewhere.join("etc/channel/agent.key")), 0o600);
    let binaries = binary("wpk-agent").unwrap();
    let path = binaries.parent().unwrap().to_str().unwrap();
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("exec {last}"))
        .env("PATH", format!("{path}:/usr/bin:/bin"))
        .current_dir(&elsewhere);
    let mut agent = Process::start(command, elsewhere.join("agent.log")).unwrap();
    let connected = agent.wait_for_line("connected to", PATIENCE).await;
    assert!(connected.is_some(), "{}", agent.output());
}
