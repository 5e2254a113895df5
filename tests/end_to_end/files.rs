//! `wpkctl upgrade --file` with real agents: a file that cannot be sent is refused before any
//! agent is touched, by a dry run and by the request in the same words; and agents named by
//! their names.

use serde_json::Value;
use wpk_testkit::wpk::SigningCa;

use crate::embedded::Site;

/// A signing CA and a stranger; making keys takes a while.
async fn authorities() -> (SigningCa, SigningCa) {
    tokio::task::spawn_blocking(|| (SigningCa::new().unwrap(), SigningCa::new().unwrap()))
        .await
        .unwrap()
}

const SCRIPT: &[u8] = b"#!/bin/sh\n(echo 0 > var/upgrade/upgrade_result) >/dev/null 2>&1 &\n";

/// What is said of a file, by a dry run and by the request; nobody got a task.
async fn refused(site: &Site, file: &str, more: &[&str]) -> String {
    let arguments = [&["upgrade", "web*", "--file", file], more].concat();
    let (status, text) = site.wpkctl(&arguments).await;
    assert_eq!(status, Some(1), "{text}");
    assert!(
        text.contains("Agents that cannot be upgraded:\n  001, 002: code "),
        "{text}"
    );
    let (_, why) = text.split_once("  001, 002: code ").unwrap();
    let why = why.lines().next().unwrap().to_owned();
    let (status, dry) = site
        .wpkctl(&[&arguments[..], &["--dry-run"]].concat())
        .await;
    assert_eq!(status, Some(1), "{dry}");
    let row = dry.lines().find(|line| line.starts_with("001,002 "));
    assert!(row.is_some_and(|row| row.ends_with(&why)), "{dry}\n{why}");
    let (status, none) = site.wpkctl(&["result", "1-2"]).await;
    assert_eq!(status, Some(1), "{none}");
    assert_eq!(none.matches("No task in DB").count(), 2, "{none}");
    assert!(why.contains(file), "{why}");
    why
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_sent_is_refused_at_once_and_in_dry_runs() {
    let (ca, stranger) = authorities().await;
    let mut site = Site::start().await;
    for name in ["web01", "web02"] {
        site.agent(name, ca.certificate_pem()).await;
    }
    let write = |name: &str, bytes: &[u8]| {
        let path = site.home.path(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let package = ca.package(&[("upgrade.sh", SCRIPT)]).unwrap();
    let good = write("good.wpk", &package);
    let text = write("notes.wpk", b"no package");
    let half = write("half.wpk", &package[..package.len() - 40]);
    let (trusted, other) = (
        write("ca.pem", ca.certificate_pem().as_bytes()),
        write("stranger.pem", stranger.certificate_pem().as_bytes()),
    );
    let none = site.home.path("none.wpk");

    let why = refused(&site, none.to_str().unwrap(), &[]).await;
    assert!(
        why.starts_with("16: The WPK file does not exist: "),
        "{why}"
    );
    assert!(why.contains("it must lie on the manager"), "{why}");
    let why = refused(&site, &text, &[]).await;
    assert!(why.contains("this is no WPK file"), "{why}");
    assert!(why.contains("`wpkctl package inspect` shows"), "{why}");
    refused(&site, &half, &[]).await;
    let why = refused(&site, &good, &["--ca", &other]).await;
    assert!(why.contains("was not signed with the key of"), "{why}");
    // What is no CA is a mistake of the command line's.
    let (status, said) = site
        .wpkctl(&["upgrade", "1", "--file", &good, "--ca", &text])
        .await;
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.contains("notes.wpk") && !said.contains("code"),
        "{said}"
    );

    let (status, said) = site
        .wpkctl(&[
            "upgrade", "web02", "--file", &good, "--ca", &trusted, "--watch",
        ])
        .await;
    assert_eq!(status, Some(0), "{said}");
    let (_, said) = site.wpkctl(&["result", "1-2", "--json"]).await;
    let of = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let results: Vec<Value> = said.lines().map(of).collect();
    assert_eq!(
        (&results[0]["error"], &results[1]["error"]),
        (&3.into(), &0.into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_that_verifies_signatures_refuses_strangers_before_anybody_is_asked() {
    let (ca, stranger) = authorities().await;
    let home = tempfile::tempdir().unwrap();
    let store = home.path().join("ca.pem");
    std::fs::write(&store, ca.certificate_pem()).unwrap();
    let store = format!("[\"{}\"]", store.display());
    let mut site = Site::with(&[
        ("WPKD_CACHE__VERIFY_SIGNATURE", "true"),
        ("WPKD_CACHE__CA_STORE", &store),
    ])
    .await;
    for name in ["web01", "web02"] {
        site.agent(name, ca.certificate_pem()).await;
    }
    let file = site.home.path("strange.wpk");
    std::fs::write(&file, stranger.package(&[("upgrade.sh", SCRIPT)]).unwrap()).unwrap();
    let why = refused(&site, file.to_str().unwrap(), &[]).await;
    assert!(
        why.contains("cache.ca_store says whom this manager trusts"),
        "{why}"
    );
}
