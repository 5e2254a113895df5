//! Packages and installers on the real program: what an installer gets and what
//! it does not, its time limit, its result, and an agent killed meanwhile.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use common::{
    Agent, DEADLINE, QUICK, answer, command, datagram, home, installer, package, queue, trust_ours,
};
use wpk_testkit::Process;

const OPEN: &str = r#"{"command":"open","parameters":{"mode":"wb","file":"f"}}"#;
const CLEAR: &str = r#"{"command":"clear_upgrade_result","parameters":{}}"#;

fn settings() -> String {
    format!("{QUICK}[listen]\n")
}

async fn start() -> Agent {
    let home = home();
    trust_ours(home.path());
    common::start_in(home, &settings()).await
}

/// Gone, or at least dead: whoever inherits it may not have reaped it yet.
fn is_dead(pid: &str) -> bool {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat
            .rsplit(')')
            .next()
            .unwrap()
            .trim_start()
            .starts_with('Z'),
        Err(_) => true,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installer_gets_a_clean_place() {
    let home = home();
    trust_ours(home.path());
    let mut command = command(home.path(), &settings());
    command.env("SECRET", "inherited");
    let log = home.path().join("agent.log");
    let mut process = Process::start(command, log).unwrap();
    assert!(
        process
            .wait_for_line("the agent is ready", DEADLINE)
            .await
            .is_some()
    );
    let agent = Agent { home, process };
    let script = "env > env.txt; pwd > pwd.txt; ls -l /proc/$$/fd > fds.txt; cat > stdin.txt\n\
                  cut -d' ' -f1,5 /proc/$$/stat > group.txt; echo out; echo err >&2; exit 7";
    agent.upload("a.wpk", &installer(script)).await;
    assert_eq!(
        agent.upgrade("a.wpk", "upgrade.sh").await,
        Some(answer(0, "7"))
    );

    let text = |name: &str| fs::read_to_string(agent.path(name)).unwrap();
    let mut names: Vec<_> = text("env.txt")
        .lines()
        .map(|line| line.split('=').next().unwrap().to_owned())
        .collect();
    // These the shell makes by itself.
    names.retain(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(&name.as_str()));
    names.sort();
    assert_eq!(names, ["HOME", "LC_ALL", "PATH"]);
    let root = agent.home.path().canonicalize().unwrap();
    assert_eq!(Path::new(text("pwd.txt").trim()), root);
    assert_eq!(text("stdin.txt"), "");
    assert!(!text("fds.txt").contains("socket:"), "{}", text("fds.txt"));
    let group = text("group.txt");
    let (own, group) = group.trim().split_once(' ').unwrap();
    assert_eq!(own, group, "it leads its process group");
    let log = || text("logs/wpk-installer.log");
    let printed = || log().contains("out\n") && log().contains("err\n");
    agent.until("what it prints is in the log", printed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_limit_ends_the_whole_group() {
    let agent = start().await;
    let script = "sleep 300 & echo $! > child.pid; sleep 300";
    agent.upload("a.wpk", &installer(script)).await;
    let begin = Instant::now();
    let failed = Some(answer(18, "Error executing command"));
    assert_eq!(agent.upgrade("a.wpk", "upgrade.sh").await, failed);
    assert!(begin.elapsed() < Duration::from_secs(20));
    let child = fs::read_to_string(agent.path("child.pid")).unwrap();
    agent
        .until("the end of the background child", || is_dead(child.trim()))
        .await;
    assert_eq!(
        agent.ask(OPEN).await,
        Some(answer(0, "ok")),
        "the agent goes on"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_is_told_until_it_is_cleared() {
    let agent = start().await;
    let queue = queue(agent.home.path());
    // The child keeps the output open and outlives the answer.
    let script = "( i=0; while [ ! -e go ] && [ $((i+=1)) -lt 6000 ]; do sleep 0.01; done; echo 1 > var/upgrade/upgrade_result ) &";
    agent.upload("a.wpk", &installer(script)).await;
    assert_eq!(
        agent.upgrade("a.wpk", "upgrade.sh").await,
        Some(answer(0, "0"))
    );
    let blocked = answer(1, "Upgrade module is disabled or not ready yet");
    assert_eq!(
        agent.ask(OPEN).await,
        Some(blocked.clone()),
        "no result yet, but it works on one"
    );
    fs::write(agent.path("go"), "").unwrap();
    let expected = "u:upgrade_module:{\"command\":\"upgrade_update_status\",\"parameters\":\
        {\"error\":1,\"message\":\"Upgrade failed due missing dependency\",\"status\":\"Failed\"}}\0";
    for _ in 0..3 {
        assert_eq!(datagram(&queue, DEADLINE).await.as_deref(), Some(expected));
    }
    assert_eq!(agent.ask(OPEN).await, Some(blocked));
    assert_eq!(agent.ask(CLEAR).await, Some(answer(0, "ok")));
    assert_eq!(agent.ask(OPEN).await, Some(answer(0, "ok")));
    while datagram(&queue, Duration::from_millis(300)).await.is_some() {}
    assert_eq!(
        agent.ask(CLEAR).await,
        Some(answer(19, "Could not erase upgrade_result file"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_killed_while_an_installer_runs_finds_its_result() {
    let mut agent = start().await;
    let script = "touch started; i=0; while [ ! -e go ] && [ $((i+=1)) -lt 6000 ]; do sleep 0.01; done\n\
                  echo 0 > var/upgrade/upgrade_result";
    let mut settings = settings();
    settings = settings.replace("execution_timeout = \"1s\"", "execution_timeout = \"1h\"");
    agent.process.kill().await.unwrap();
    let mut agent = common::start_in(agent.home, &settings).await;
    agent.upload("a.wpk", &installer(script)).await;
    let (socket, started) = (agent.socket(), agent.path("started"));
    let asking = tokio::spawn(async move {
        let command =
            r#"{"command":"upgrade","parameters":{"file":"a.wpk","installer":"upgrade.sh"}}"#;
        wpk_testkit::ask(socket, command).await
    });
    agent
        .until("the start of the installer", || started.exists())
        .await;
    agent.process.kill().await.unwrap();
    assert_eq!(asking.await.unwrap(), None);
    fs::write(
        agent.path("var/incoming/half.wpk"),
        "left by a killed agent",
    )
    .unwrap();

    let queue = queue(agent.home.path());
    let agent = common::start_in(agent.home, &settings).await;
    assert_eq!(fs::read_dir(agent.path("var/incoming")).unwrap().count(), 0);
    fs::write(agent.path("go"), "").unwrap();
    let told = datagram(&queue, DEADLINE).await.unwrap();
    assert!(told.contains("\"status\":\"Done\""), "{told}");
    assert_eq!(agent.ask(CLEAR).await, Some(answer(0, "ok")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_installer_prints_is_bounded() {
    let home = home();
    trust_ours(home.path());
    let settings = format!("{}[limits]\ninstaller_log = \"64KiB\"\n", settings());
    let agent = common::start_in(home, &settings).await;
    let script = "head -c 2000000 /dev/zero | tr '\\0' x; echo done";
    agent.upload("a.wpk", &installer(script)).await;
    assert_eq!(
        agent.upgrade("a.wpk", "upgrade.sh").await,
        Some(answer(0, "0"))
    );
    let log = agent.path("logs/wpk-installer.log");
    let ended = || fs::read(&log).is_ok_and(|text| text.ends_with(b"done\n"));
    agent.until("the last word in the log", ended).await;
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.len() <= 64 * 1024, "{} bytes", text.len());
    assert!(
        text.starts_with("--- installer of \"a.wpk\""),
        "the beginning stays"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_links_lead_nowhere() {
    let agent = start().await;
    let outside = tempfile::tempdir().unwrap();
    let kept = outside.path().join("kept");
    fs::write(&kept, installer("exit 0")).unwrap();
    let mode = fs::metadata(&kept).unwrap().permissions();

    symlink(&kept, agent.path("var/incoming/a.wpk")).unwrap();
    let unsigned = Some(answer(13, "Could not verify signature"));
    assert_eq!(agent.upgrade("a.wpk", "upgrade.sh").await, unsigned);
    assert!(
        fs::symlink_metadata(agent.path("var/incoming/a.wpk")).is_err(),
        "the link goes"
    );

    symlink(&kept, agent.path("var/upgrade/upgrade.sh")).unwrap();
    symlink(outside.path(), agent.path("var/upgrade/data")).unwrap();
    let files: &[(&str, &[u8])] = &[
        ("data/kept", b"not there"),
        ("upgrade.sh", b"#!/bin/sh\nexit 0\n"),
    ];
    agent.upload("a.wpk", &package(files)).await;
    assert_eq!(
        agent.upgrade("a.wpk", "upgrade.sh").await,
        Some(answer(0, "0"))
    );
    assert_eq!(
        fs::read(agent.path("var/upgrade/data/kept")).unwrap(),
        b"not there"
    );

    fs::remove_dir_all(agent.path("var/upgrade")).unwrap();
    symlink(outside.path(), agent.path("var/upgrade")).unwrap();
    agent.upload("a.wpk", &package(files)).await;
    let unclean = Some(answer(15, "Could not clean up upgrade directory"));
    assert_eq!(agent.upgrade("a.wpk", "upgrade.sh").await, unclean);
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    assert_eq!(fs::metadata(&kept).unwrap().permissions(), mode);
    assert_eq!(fs::read_dir(agent.path("var/incoming")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_that_are_gone_are_made_again() {
    let agent = start().await;
    for folder in ["tmp", "var/incoming", "logs", "var/run", "var/upgrade"] {
        fs::remove_dir_all(agent.path(folder)).unwrap();
    }
    agent.upload("a.wpk", &installer("exit 0")).await;
    for folder in ["tmp", "logs"] {
        // Some were made again by then.
        let _ = fs::remove_dir_all(agent.path(folder));
    }
    assert_eq!(
        agent.upgrade("a.wpk", "upgrade.sh").await,
        Some(answer(0, "0"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_certificate_store_counts_at_once() {
    let agent = start().await;
    let wpk = installer("exit 0");
    fs::remove_file(agent.path("etc/wpk_root.pem")).unwrap();
    agent.upload("a.wpk", &wpk).await;
    let unsigned = Some(answer(13, "Could not verify signature"));
    assert_eq!(agent.upgrade("a.wpk", "upgrade.sh").await, unsigned);
    trust_ours(agent.home.path());
    agent.upload("a.wpk", &wpk).await;
    assert_eq!(
        agent.upgrade("a.wpk", "upgrade.sh").await,
        Some(answer(0, "0"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_the_limit_is_not_taken() {
    let home = home();
    trust_ours(home.path());
    let settings = format!("{}[limits]\nincoming = \"10KiB\"\n", settings());
    let agent = common::start_in(home, &settings).await;
    assert_eq!(agent.ask(OPEN).await, Some(answer(0, "ok")));
    let buffer = base64_simd::STANDARD.encode_to_string([0; 6000]);
    let write = format!(
        r#"{{"command":"write","parameters":{{"buffer":"{buffer}","length":6000,"file":"f"}}}}"#
    );
    assert_eq!(agent.ask(&write).await, Some(answer(0, "ok")));
    assert_eq!(
        agent.ask(&write).await,
        Some(answer(10, "Cannot write file"))
    );
}
