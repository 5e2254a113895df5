//! A machine that was away while its certificate ended.

use std::path::Path;
use std::time::UNIX_EPOCH;

use tokio::process::Command;
use wpk_testkit::manager::PATIENCE;
use wpk_testkit::{Process, binary, wait_until};

use crate::site::{Site, start};

/// Waits until the certificate of an agent has ended.
async fn away(site: &Site, name: &str) {
    let end = site.agent(name).await.unwrap()["certificate_end"]
        .as_i64()
        .unwrap();
    let ended = wait_until(PATIENCE, async || {
        let now = UNIX_EPOCH.elapsed().unwrap().as_secs();
        (i64::try_from(now).unwrap() > end).then_some(())
    });
    ended.await.expect("an end");
}

fn agent(home: &Path) -> Process {
    let mut command = Command::new(binary("wpk-agent").unwrap());
    command.arg("--config").arg(home.join("etc/wpk-agent.toml"));
    Process::start(command, home.join("agent.log")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_was_away_comes_back_by_itself() {
    let site = Site::with(&[("CERTIFICATE_LIFE", "5s")]).await;
    let home = site.folder("web01");
    let token = site.token("1").await;
    site.enroll(&home, &token, &["--name", "web01"])
        .await
        .ended(0);
    away(&site, "web01").await;
    let agent = start(&home.join("etc/wpk-agent.toml"), home.join("agent.log")).await;
    let log = agent.output();
    assert!(
        log.contains("the certificate has expired") && log.contains("was renewed"),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_away_for_too_long_needs_a_fresh_token_and_both_sides_say_so() {
    let site = Site::with(&[("CERTIFICATE_LIFE", "10s"), ("RENEW_WITHIN", "0s")]).await;
    let home = site.folder("web01");
    let token = site.token("2").await;
    site.enroll(&home, &token, &["--name", "web01"])
        .await
        .ended(0);
    away(&site, "web01").await;
    let mut agent = agent(&home);
    let told = agent.wait_for_line("fresh token", PATIENCE).await;
    assert!(told.is_some(), "{}", agent.output());
    assert!(site.log().contains("fresh token"), "{}", site.log());
    // While it runs it is enrolled again, and goes on with that.
    site.enroll(&home, &token, &["--name", "web01b", "--again"])
        .await
        .ended(0);
    let config = home.join("etc/wpk-agent.toml");
    agent.kill().await.unwrap();
    start(&config, home.join("second.log")).await;
}
