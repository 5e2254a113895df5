//! What we build we accept, whatever the names and contents.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use proptest::prelude::*;
use wpk_package::authority::{Authority, SigningKey, Validity};
use wpk_package::{
    BuildOptions, Limits, Package, Signer, Source, Stage, Trust, UnpackOptions, build,
    check_merged, collect_folder, sha1_of_file, unmerge, unpack, unpack_from,
};

use crate::common::{KEYS, always, now, root, signer, store, tree};

fn write_all(folder: &Path, files: &BTreeMap<String, Vec<u8>>) {
    for (name, content) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

fn sample() -> BTreeMap<String, Vec<u8>> {
    BTreeMap::from([
        ("upgrade.sh".to_owned(), b"#!/bin/sh\nexit 0\n".to_vec()),
        (
            "a/b/with space \u{fc}.bin".to_owned(),
            (0..=255).cycle().take(200_000).collect(),
        ),
        (
            "a/looks like\\a header".to_owned(),
            b"!5 x\nhello!".to_vec(),
        ),
        ("empty".to_owned(), Vec::new()),
    ])
}

#[test]
fn a_built_package_unpacks_to_the_same_files() {
    let place = tempfile::tempdir().unwrap();
    let (from, out) = (place.path().join("from"), place.path().join("p.wpk"));
    write_all(&from, &sample());
    let sources = collect_folder(&from).unwrap();
    let options = BuildOptions {
        tag: Some("v1.0".to_owned()),
        ..BuildOptions::default()
    };
    let built = build(&sources, &signer(), &out, &options).unwrap();
    assert_eq!(built.entries, 4);
    assert_eq!(built.size, fs::metadata(&out).unwrap().len());
    assert_eq!(built.sha1, sha1_of_file(&out).unwrap());
    let again = place.path().join("again.wpk");
    assert_eq!(
        build(&sources, &signer(), &again, &options)
            .unwrap()
            .entries,
        4
    );

    // Into a new folder, into an existing one, and from a stream.
    let (trust, options) = (store(), UnpackOptions::default());
    let new = place.path().join("new");
    let unpacked = unpack(&out, &new, Trust::Store(&trust), now(), &options).unwrap();
    assert_eq!(tree(&new), sample());
    assert_eq!(unpacked.contents.tag.as_deref(), Some("v1.0"));
    assert_eq!(unpacked.verified.signer().subject, "CN=Test signer");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(
        (mode(&new), mode(&new.join("a/b")), mode(&new.join("empty"))),
        (0o750, 0o750, 0o640)
    );

    let error = unpack(&out, &new, Trust::Store(&trust), now(), &options).unwrap_err();
    assert_eq!(error.stage(), Stage::Unmerge);
    assert!(error.to_string().contains("exists already"), "{error}");
    assert_eq!(
        tree(&new),
        sample(),
        "nothing was replaced and nothing added"
    );

    let streamed = place.path().join("streamed");
    let file = fs::File::open(&out).unwrap();
    let trust = Trust::Store(&trust);
    unpack_from(file, "a stream", &streamed, trust, now(), &options).unwrap();
    assert_eq!(tree(&streamed), sample());
    let verified = Package::read(fs::File::open(&out).unwrap(), "x", &Limits::default());
    assert_eq!(
        verified
            .unwrap()
            .verify_stream(trust, now())
            .unwrap()
            .signer()
            .subject,
        "CN=Test signer"
    );
}

#[test]
fn the_payload_depends_only_on_the_input() {
    let place = tempfile::tempdir().unwrap();
    write_all(place.path(), &sample());
    let mut sources = collect_folder(place.path()).unwrap();
    let out = tempfile::tempdir().unwrap();
    let make = |sources: &[Source], name: &str| {
        let path = out.path().join(name);
        build(sources, &signer(), &path, &BuildOptions::default()).unwrap();
        let bytes = fs::read(path).unwrap();
        // Certificates are made anew by the helper, so compare what follows.
        let end = bytes.iter().skip(7).position(|b| *b == 0).unwrap() + 7 + 1 + 256;
        bytes[end..].to_vec()
    };
    let first = make(&sources, "1");
    sources.reverse();
    assert_eq!(first, make(&sources, "2"));
}

#[test]
fn the_steps_of_the_agent() {
    let place = tempfile::tempdir().unwrap();
    let (from, out) = (place.path().join("from"), place.path().join("p.wpk"));
    write_all(&from, &sample());
    build(
        &collect_folder(&from).unwrap(),
        &signer(),
        &out,
        &BuildOptions::default(),
    )
    .unwrap();

    let limits = Limits::default();
    let mut package = Package::open(&out, &limits).unwrap();
    let store = store();
    let verified = package.verify(Trust::Store(&store), now()).unwrap();
    let merged_path = place.path().join("merged");
    let mut merged = package.gunzip_to(&verified, &merged_path).unwrap();
    assert_eq!(
        fs::metadata(&merged_path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(
        check_merged(&merged, "merged", &limits)
            .unwrap()
            .entries
            .len(),
        4
    );
    let target = place.path().join("upgrade");
    fs::create_dir(&target).unwrap();
    unmerge(&mut merged, "merged", &target, &UnpackOptions::default()).unwrap();
    assert_eq!(tree(&target), sample());
    // An existing file is never opened for the unzipped content.
    let error = package.gunzip_to(&verified, &merged_path).unwrap_err();
    assert_eq!(error.stage(), Stage::Uncompress);
    assert!(merged_path.exists());

    // The file changes between the check and its use: by content that is
    // gzip, too, but was never signed.
    let mut bytes = fs::read(&out).unwrap();
    let payload = bytes.iter().skip(7).position(|b| *b == 0).unwrap() + 7 + 1 + 256;
    bytes.truncate(payload);
    bytes.extend(crate::common::gzip(b"!2 upgrade.sh\nhi"));
    fs::write(&out, bytes).unwrap();
    let other = place.path().join("other");
    let error = package.gunzip_to(&verified, &other).unwrap_err();
    assert_eq!(error.stage(), Stage::Signature);
    assert!(
        error.to_string().contains("changed after its signature"),
        "{error}"
    );
    assert!(!other.exists());
}

#[test]
fn signers_need_a_fitting_pair() {
    let pem = root()
        .signing_certificate("S", always(), &KEYS.leaf)
        .unwrap();
    let key = KEYS.leaf.to_pem().unwrap();
    let text = format!("{key}{pem}");
    assert!(
        Signer::from_pem(text.as_bytes(), text.as_bytes()).is_ok(),
        "one file for both"
    );
    let wrong = KEYS.middle.to_pem().unwrap();
    let error = Signer::from_pem(wrong.as_bytes(), pem.as_bytes()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("does not belong to the certificate \"CN=S\""),
        "{error}"
    );
    assert!(Signer::from_pem(b"x", pem.as_bytes()).is_err());
    assert!(Signer::from_pem(key.as_bytes(), b"x").is_err());
    let encrypted = key.replace("PRIVATE", "ENCRYPTED PRIVATE");
    let error = Signer::from_pem(encrypted.as_bytes(), pem.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("encrypted"), "{error}");

    // PKCS#1, as older tools write it; and no key ever gets into a package.
    let der = pem::parse(&key).unwrap();
    let pkcs1 = {
        use rsa::pkcs1::EncodeRsaPrivateKey;
        use rsa::pkcs8::DecodePrivateKey;
        let key = rsa::PrivateKey::from_pkcs8_der(der.contents()).unwrap();
        pem::encode(&pem::Pem::new(
            "RSA PRIVATE KEY",
            key.to_pkcs1_der().unwrap().as_bytes(),
        ))
    };
    let signer = Signer::from_pem(pkcs1.as_bytes(), text.as_bytes()).unwrap();
    let place = tempfile::tempdir().unwrap();
    let (file, out) = (place.path().join("f"), place.path().join("o.wpk"));
    fs::write(&file, "x").unwrap();
    let source = Source {
        name: "f".into(),
        path: file,
    };
    build(&[source], &signer, &out, &BuildOptions::default()).unwrap();
    let bytes = fs::read(&out).unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains("PRIVATE"));
    assert_eq!(
        fs::metadata(&out).unwrap().permissions().mode() & 0o777,
        0o644
    );
}

#[test]
fn keys_are_saved_for_their_owner_only() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("key.pem");
    KEYS.leaf.save(&path).unwrap();
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(
        KEYS.leaf.save(&path).is_err(),
        "an existing key is never replaced"
    );
    let again = SigningKey::from_pem(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(again.to_pem().unwrap(), KEYS.leaf.to_pem().unwrap());
    assert_eq!(format!("{again:?}"), "SigningKey(..)");
    let root = Authority::root("R", Validity::days(30), &again).unwrap();
    let signer = root.signer("S", Validity::days(1), &KEYS.middle).unwrap();
    assert!(signer.certificate().not_after - signer.certificate().not_before > 86_400);
}

#[test]
fn what_agents_refuse_is_not_built() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    fs::write(&file, "content").unwrap();
    let out = place.path().join("out.wpk");
    let source = |name: &str| Source {
        name: name.into(),
        path: file.clone(),
    };
    let options = BuildOptions::default();
    let fails = |sources: &[Source], options: &BuildOptions, says: &str| {
        let error = build(sources, &signer(), &out, options).unwrap_err();
        assert_eq!(error.stage(), Stage::Build);
        assert!(error.to_string().contains(says), "{error}");
        assert!(!out.exists());
        let left = fs::read_dir(place.path()).unwrap().count();
        assert!(left <= 2, "no temporary file is left");
    };
    fails(&[], &options, "no file to pack");
    fails(&[source("../x")], &options, "leaves its folder");
    fails(&[source("/x")], &options, "is absolute");
    fails(&[source("x"), source("./x")], &options, "occurs twice");
    fails(
        &[source("x"), source("x/y")],
        &options,
        "both a file and a folder",
    );
    fails(
        &[Source {
            name: "x".into(),
            path: PathBuf::from("/nope"),
        }],
        &options,
        "/nope",
    );
    fails(
        &[Source {
            name: "x".into(),
            path: PathBuf::from("/"),
        }],
        &options,
        "neither",
    );
    let tag = |tag: &str| BuildOptions {
        tag: Some(tag.to_owned()),
        ..BuildOptions::default()
    };
    fails(&[source("x")], &tag("two\nlines"), "one line");
    fails(
        &[source("x")],
        &BuildOptions {
            level: 10,
            ..BuildOptions::default()
        },
        "0 to 9",
    );
    let limits = Limits {
        unpacked: 5,
        ..Limits::default()
    };
    fails(
        &[source("x")],
        &BuildOptions {
            limits,
            ..BuildOptions::default()
        },
        "5 bytes",
    );
    symlink(&file, place.path().join("link")).unwrap();
    assert!(
        collect_folder(place.path())
            .unwrap_err()
            .to_string()
            .contains("link")
    );
    let elsewhere = Path::new("/nonexistent/out.wpk");
    let error = build(&[source("x")], &signer(), elsewhere, &options).unwrap_err();
    assert!(error.to_string().contains("/nonexistent"), "{error}");
}

fn files() -> impl Strategy<Value = BTreeMap<String, Vec<u8>>> {
    let component = "[a-z!# .\\\\\u{e9}-]{1,10}".prop_filter("dots", |c| c != "." && c != "..");
    let name = proptest::collection::vec(component, 1..4).prop_map(|parts| parts.join("/"));
    let content = proptest::collection::vec(any::<u8>(), 0..3_000);
    proptest::collection::btree_map(name, content, 1..8).prop_filter("clash", |files| {
        !files
            .keys()
            .any(|a| files.keys().any(|b| b.starts_with(&format!("{a}/"))))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_files_come_back(files in files(), level in 0_u32..=9, tag in "[ -~]{0,20}") {
        let place = tempfile::tempdir().unwrap();
        let (from, out, to) =
            (place.path().join("from"), place.path().join("p.wpk"), place.path().join("to"));
        write_all(&from, &files);
        let options = BuildOptions { tag: Some(tag.clone()), level, ..BuildOptions::default() };
        build(&collect_folder(&from).unwrap(), &signer(), &out, &options).unwrap();
        let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_800_000_000);
        let done = unpack(&out, &to, Trust::Store(&store()), at, &UnpackOptions::default());
        prop_assert_eq!(done.unwrap().contents.tag, Some(tag));
        prop_assert_eq!(tree(&to), files);
    }

    #[test]
    fn no_content_makes_the_parser_panic(content in proptest::collection::vec(
        prop_oneof![Just(b'!'), Just(b'#'), Just(b'\n'), Just(b' '), Just(b'/'), Just(b'.'),
                    b'0'..=b'9', any::<u8>()], 0..200)) {
        let limits = Limits { entries: 3, name: 8, unpacked: 150, ..Limits::default() };
        if let Ok(contents) = check_merged(&content[..], "fuzz", &limits) {
            prop_assert!(contents.entries.len() <= 3);
            for entry in contents.entries {
                prop_assert!(entry.name.components().all(
                    |c| matches!(c, std::path::Component::Normal(_))));
            }
        }
    }
}
