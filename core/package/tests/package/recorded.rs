//! The recorded packages end at the stage whose code the real agent
//! answered. Where ours differs, the difference is a listed defect of the
//! recorded agent, or content that section 8 does not allow.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use wpk_package::{CaStore, Limits, PackageError, Stage, Trust, UnpackOptions, inspect, unpack};

use crate::common::{now, tree};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance/recordings/wpk")
}

fn run(
    name: &str,
    cas: &[&str],
    at: SystemTime,
) -> Result<BTreeMap<String, Vec<u8>>, PackageError> {
    let paths: Vec<_> = cas.iter().map(|ca| folder().join(ca)).collect();
    let place = tempfile::tempdir().unwrap();
    let store = CaStore::load(&paths)?;
    let package = folder().join(format!("{name}.wpk"));
    unpack(
        &package,
        place.path(),
        Trust::Store(&store),
        at,
        &UnpackOptions::default(),
    )
    .map(|_| tree(place.path()))
}

/// The agent's code for what this crate does with the package; 0 stands for
/// everything that comes after unpacking.
fn code(result: &Result<BTreeMap<String, Vec<u8>>, PackageError>) -> u32 {
    match result.as_ref().map_err(PackageError::stage) {
        Ok(_) => 0,
        Err(Stage::Signature) => 13,
        Err(Stage::Uncompress) => 14,
        Err(Stage::Unmerge) => 16,
        Err(Stage::Build) => panic!("nothing is built here"),
    }
}

#[test]
fn every_recorded_package_ends_at_its_stage() {
    // Name, our code. First those that got equally far in the recorded agent.
    let table = [
        ("good_exit_0", 0),
        ("installer_exit_2", 0),
        ("installer_exit_3", 0),
        ("installer_exit_127", 0),
        ("installer_killed_by_signal", 0),
        ("installer_timeout_3s", 0),
        ("installer_big_output", 0),
        ("installer_background_child", 0),
        ("installer_not_script", 0),
        ("installer_bad_interpreter", 0),
        ("installer_empty_file", 0),
        ("missing_installer", 0),
        ("installer_null", 0),
        ("installer_empty", 0),
        ("installer_with_space", 0),
        ("installer_with_args", 0),
        ("installer_directory", 0),
        ("leftover_files_are_cleaned", 0),
        ("two_certs_in_pem", 0),
        ("name_with_dots_ok", 0),
        ("empty_gzip", 0),
        ("merged_no_entries", 0),
        ("not_a_wpk", 13),
        ("empty_file", 13),
        ("magic_only", 13),
        ("trailing_byte", 13),
        ("cert_key_mismatch", 13),
        ("expired_cert", 13),
        ("not_yet_valid_cert", 13),
        ("rsa4096_cert", 13),
        ("cert_not_pem", 13),
        ("gzip_bad_crc", 14),
        ("dotdot_last", 16),
        ("dotdot_existing_target_is_replaced_by_empty_file", 16),
        ("header_no_name", 16),
        // Accepted there: content that is not gzip, or cut off.
        ("plain_not_gzip", 14),
        ("truncated_gzip", 14),
        ("crlf_header", 16),
        // Accepted there, forbidden by section 8.
        ("absolute_name", 16),
        ("size_negative", 16),
        ("size_not_number", 16),
        ("size_smaller_than_data", 16),
    ];
    for (name, expected) in table {
        let result = run(name, &["ca.pem"], now());
        assert_eq!(code(&result), expected, "{name}: {result:?}");
    }
    let stores = ["ca_store_missing_file", "ca_store_two_second_matches"];
    let known = table.iter().map(|row| row.0).chain(stores);
    let known: Vec<_> = known.map(|name| format!("{name}.wpk")).collect();
    for item in folder()
        .read_dir()
        .expect("the recordings are in tests/conformance")
    {
        let name = item.unwrap().file_name().into_string().unwrap();
        assert!(
            name.ends_with(".pem") || known.contains(&name),
            "{name} is not in the table"
        );
    }
}

#[test]
fn content_is_what_the_agent_unpacked() {
    let files = run("good_exit_0", &["ca.pem"], now()).unwrap();
    assert_eq!(
        files["upgrade.sh"],
        b"#!/bin/sh\necho ran > ran.txt; pwd; exit 0\n"
    );
    assert_eq!(files["data/file1.txt"], b"hello");
    assert_eq!(files.len(), 2);
    assert!(run("empty_gzip", &["ca.pem"], now()).unwrap().is_empty());
    assert!(
        run("merged_no_entries", &["ca.pem"], now())
            .unwrap()
            .is_empty()
    );
}

#[test]
fn ca_stores_are_tried_together() {
    let missing = run("ca_store_missing_file", &["nope.pem"], now());
    assert_eq!(code(&missing), 13);
    assert!(missing.unwrap_err().to_string().contains("nope.pem"));
    assert_eq!(
        code(&run(
            "ca_store_two_second_matches",
            &["ca2.pem", "ca.pem"],
            now()
        )),
        0
    );
    assert_eq!(
        code(&run(
            "ca_store_two_second_matches",
            &["nope.pem", "ca.pem"],
            now()
        )),
        0
    );
    let wrong = run("good_exit_0", &["ca2.pem"], now());
    assert!(
        wrong
            .unwrap_err()
            .to_string()
            .contains("neither in the CA store nor")
    );
    assert_eq!(
        code(&run("good_exit_0", &[""], now())),
        0,
        "the folder itself as a store"
    );
}

#[test]
fn messages_say_who_and_when() {
    let says = |name: &str, text: &str| {
        let error = run(name, &["ca.pem"], now()).unwrap_err().to_string();
        assert!(error.contains(text), "{name}: {error}");
        assert!(error.contains(&format!("{name}.wpk")), "{error}");
    };
    says("expired_cert", "expired at 20");
    says("not_yet_valid_cert", "is not valid before 20");
    says("rsa4096_cert", "has 4096 bits");
    says("not_a_wpk", "no WPK file");
    says("magic_only", "ends inside its certificate");
    let late = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(3_000_000_000);
    let error = run("good_exit_0", &["ca.pem"], late)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("\"CN=wpkcert\" expired at 2036-11-20 17:12:17 UTC"),
        "{error}"
    );
}

#[test]
fn inspect_tells_without_unpacking() {
    let package = folder().join("good_exit_0.wpk");
    let store = CaStore::load(&[folder().join("ca.pem")]).unwrap();
    let limits = Limits::default();
    let summary = inspect(&package, Some(Trust::Store(&store)), now(), &limits).unwrap();
    assert_eq!(summary.sha1, "6fece06ffb01a584cadc48d7d11ef13e1f23d881");
    assert_eq!((summary.size, summary.unpacked), (1357, 47));
    assert_eq!(summary.contents.tag.as_deref(), Some("pack"));
    assert_eq!(
        summary.contents.entries[1].name,
        Path::new("data/file1.txt")
    );
    assert_eq!(summary.verified.unwrap().signer().subject, "CN=wpkcert");
    let signer = &summary.certificates[0];
    assert_eq!(signer.issuer, "CN=Test WPK root");
    assert_eq!(signer.valid_until, "2036-11-20 17:12:17 UTC");
    assert!(signer.serial.starts_with("7e:35:13:03"));

    let expired = folder().join("expired_cert.wpk");
    assert!(inspect(&expired, Some(Trust::Store(&store)), now(), &limits).is_err());
    assert!(
        inspect(&expired, None, now(), &limits)
            .unwrap()
            .verified
            .is_none()
    );
    let stage = |name: &str| {
        inspect(&folder().join(name), None, now(), &limits)
            .map(drop)
            .unwrap_err()
            .stage()
    };
    assert_eq!(stage("gzip_bad_crc.wpk"), Stage::Uncompress);
    assert_eq!(stage("truncated_gzip.wpk"), Stage::Uncompress);
    assert_eq!(stage("dotdot_last.wpk"), Stage::Unmerge);
    assert_eq!(
        wpk_package::sha1_of_file(&package).unwrap(),
        "6fece06ffb01a584cadc48d7d11ef13e1f23d881"
    );
}
