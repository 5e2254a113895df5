//! `wpkctl package` as its user runs it: keys, build, verify, inspect, unpack.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use common::*;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn keys(dir: &Path, name: &str) -> PathBuf {
    let keys = dir.join(name);
    run(&["package", "keygen", "--out", text(&keys), "--ca-name", name]).ended(0);
    keys
}

fn build(keys: &Path, out: &Path, sources: &[&str]) -> Run {
    let (key, cert) = (keys.join("signer.key"), keys.join("signer.pem"));
    let arguments = [
        "package",
        "build",
        "--key",
        text(&key),
        "--cert",
        text(&cert),
        "--out",
    ];
    run(&[
        &arguments[..],
        &[text(out), "--tag", "demo", "--json"],
        sources,
    ]
    .concat())
}

#[test]
fn a_package_makes_the_round_trip() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let keys = keys(dir, "ours");
    for (name, mode) in [("ca.key", 0o600), ("signer.key", 0o600), ("ca.pem", 0o644)] {
        let found = keys.join(name).metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(found, mode, "{name}");
    }
    let folder = dir.join("content");
    fs::create_dir_all(folder.join("sub")).unwrap();
    fs::write(folder.join("upgrade.sh"), "#!/bin/sh\n").unwrap();
    fs::write(folder.join("sub/data"), [0, 1, 2, 255]).unwrap();
    let extra = dir.join("extra.txt");
    fs::write(&extra, "more").unwrap();
    let wpk = dir.join("a.wpk");
    let built = build(&keys, &wpk, &[text(&folder), text(&extra)])
        .ended(0)
        .objects();
    assert_eq!(built[0]["files"], 3);

    let ca = keys.join("ca.pem");
    let run_on =
        |command: &str, more: &[&str]| run(&[&["package", command, text(&wpk)][..], more].concat());
    let verified = run_on("verify", &["--ca", text(&ca), "--json"])
        .ended(0)
        .objects();
    assert_eq!(verified[0]["sha1"], built[0]["sha1"]);
    assert_eq!(verified[0]["signer"]["subject"], "CN=WPK signer");
    assert!(
        run_on("verify", &["--ca", text(&ca)])
            .ended(0)
            .out
            .contains("signature is good")
    );

    let inspected = run_on("inspect", &["--json"]).ended(0).objects();
    assert_eq!(inspected[0]["tag"], "demo");
    assert_eq!(inspected[0]["verified"], false);
    assert_eq!(inspected[0]["files"].as_array().unwrap().len(), 3);
    let shown = run_on("inspect", &["--ca", text(&ca)]).ended(0);
    assert_eq!(shown.row("4 ")[..2], ["4", "extra.txt"]);

    let to = dir.join("out");
    run_on("unpack", &["--to", text(&to), "--ca", text(&ca)]).ended(0);
    assert_eq!(fs::read(to.join("sub/data")).unwrap(), [0, 1, 2, 255]);
    assert_eq!(fs::read(to.join("extra.txt")).unwrap(), b"more");
    run_on("unpack", &["--to", text(&to), "--ca", text(&ca)]).ended(1);
    run_on("unpack", &["--to", text(&to)]).ended(2);
}

#[test]
fn strangers_and_changed_bytes_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (ours, theirs) = (keys(dir, "ours"), keys(dir, "theirs"));
    let file = dir.join("upgrade.sh");
    fs::write(&file, "#!/bin/sh\n").unwrap();
    let wpk = dir.join("a.wpk");
    build(&theirs, &wpk, &[text(&file)]).ended(0);
    let (ca, to) = (ours.join("ca.pem"), dir.join("to"));
    let verified = run(&["package", "verify", text(&wpk), "--ca", text(&ca)]).ended(1);
    assert!(verified.err.contains("a.wpk"), "{}", verified.err);
    run(&[
        "package",
        "unpack",
        text(&wpk),
        "--to",
        text(&to),
        "--ca",
        text(&ca),
    ])
    .ended(1);
    assert!(!to.exists());
    let unpacked = run(&[
        "package",
        "unpack",
        text(&wpk),
        "--to",
        text(&to),
        "--no-verify",
    ]);
    assert!(unpacked.ended(0).err.contains("no CA vouches"));

    let mut bytes = fs::read(&wpk).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&wpk, bytes).unwrap();
    let ca = theirs.join("ca.pem");
    run(&["package", "verify", text(&wpk), "--ca", text(&ca)]).ended(1);
    fs::write(&wpk, "what").unwrap();
    run(&["package", "inspect", text(&wpk)]).ended(1);
}

#[test]
fn keys_are_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let keys = keys(dir.path(), "ours");
    let before = fs::read(keys.join("ca.key")).unwrap();
    let run = run(&["package", "keygen", "--out", text(&keys)]).ended(1);
    assert!(run.err.contains("exists already"), "{}", run.err);
    assert_eq!(fs::read(keys.join("ca.key")).unwrap(), before);
}

#[test]
fn nonsense_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("k");
    let long = "x".repeat(65);
    let keygen = ["package", "keygen", "--out", text(&keys)];
    run(&[&keygen[..], &["--ca-name", &long]].concat()).ended(2);
    run(&[&keygen[..], &["--days", "0"]].concat()).ended(2);
    assert!(!keys.exists());
    let missing = dir.path().join("missing");
    let arguments = [
        "--key",
        text(&missing),
        "--cert",
        text(&missing),
        "--out",
        "x",
        "y",
    ];
    let run = run(&[&["package", "build"][..], &arguments].concat()).ended(1);
    assert!(run.err.contains("missing"), "{}", run.err);
}
