//! A second implementation, written from section 8 alone in Python with the
//! `cryptography` package, and ours accept each other's packages.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::SystemTime;

use wpk_package::authority::{Authority, Validity};
use wpk_package::{
    BuildOptions, CaStore, Stage, Trust, UnpackOptions, build, collect_folder, unpack,
};

use crate::common::{KEYS, tree};

fn python(arguments: &[&Path]) -> Option<Output> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/section8.py");
    let output = Command::new("python3").arg(script).args(arguments).output();
    // 77: the script runs, but the module is missing.
    let missing = output
        .as_ref()
        .map_or(true, |output| output.status.code() == Some(77));
    if missing {
        let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!in_ci, "CI needs python3 with the module cryptography");
        println!("SKIPPED: python3 with the module cryptography is not installed");
        return None;
    }
    output.ok()
}

fn stdout(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "section8.py failed: {stderr}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn files() -> BTreeMap<String, Vec<u8>> {
    BTreeMap::from([
        ("upgrade.sh".to_owned(), b"#!/bin/sh\nexit 0\n".to_vec()),
        (
            "a/b c/data.bin".to_owned(),
            (0..=255).cycle().take(100_000).collect(),
        ),
        ("empty".to_owned(), Vec::new()),
    ])
}

fn write_files(folder: &Path) {
    for (name, content) in files() {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

#[test]
fn the_other_tool_accepts_ours() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    write_files(&at("from"));
    let root = Authority::root("Root", Validity::days(10), &KEYS.root).unwrap();
    let signer = root
        .signer("Signer", Validity::days(5), &KEYS.leaf)
        .unwrap();
    fs::write(at("ca.pem"), root.certificate_pem()).unwrap();
    let options = BuildOptions {
        tag: Some("v9".to_owned()),
        ..BuildOptions::default()
    };
    let sources = collect_folder(&at("from")).unwrap();
    build(&sources, &signer, &at("ours.wpk"), &options).unwrap();

    let verify = Path::new("verify");
    let Some(output) = python(&[verify, &at("ours.wpk"), &at("ca.pem"), &at("to")]) else {
        return;
    };
    assert_eq!(stdout(&output), "tag v9, 3 files\n");
    assert_eq!(tree(&at("to")), files());

    let mut bytes = fs::read(at("ours.wpk")).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(at("changed.wpk"), bytes).unwrap();
    let output = python(&[verify, &at("changed.wpk"), &at("ca.pem"), &at("to2")]).unwrap();
    assert!(!output.status.success(), "the other tool can tell, too");
}

#[test]
fn we_accept_the_other_tools() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    write_files(&at("from"));
    let build = Path::new("build");
    let arguments: [&Path; 4] = [build, &at("theirs.wpk"), &at("ca.pem"), &at("from")];
    let Some(output) = python(&arguments) else {
        return;
    };
    stdout(&output);
    let store = CaStore::load(&[at("ca.pem")]).unwrap();
    let (options, now) = (UnpackOptions::default(), SystemTime::now());
    let unpacked = unpack(
        &at("theirs.wpk"),
        &at("to"),
        Trust::Store(&store),
        now,
        &options,
    )
    .unwrap();
    assert_eq!(unpacked.contents.tag.as_deref(), Some("section8"));
    assert_eq!(tree(&at("to")), files());

    let stranger = Authority::root("Root", Validity::days(10), &KEYS.root).unwrap();
    let store = CaStore::from_pem(stranger.certificate_pem().as_bytes()).unwrap();
    let error = unpack(
        &at("theirs.wpk"),
        &at("to2"),
        Trust::Store(&store),
        now,
        &options,
    );
    assert_eq!(error.unwrap_err().stage(), Stage::Signature);
}
