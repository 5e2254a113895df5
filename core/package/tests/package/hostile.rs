//! Packages nobody should have made, from raw bytes: each is refused at its
//! stage, with a message that says why, and leaves no trace.

use std::fs;
use std::os::unix::fs::symlink;

use wpk_package::{
    Limits, Package, Stage, Trust, UnmergeError, UnpackOptions, unmerge, unpack, unpack_from,
};

use crate::common::{
    KEYS, always, assemble, gzip, now, refused, refused_with, root, sign, signed, store,
    unpack_bytes,
};

#[track_caller]
fn merged_refused(content: &[u8], says: &str) {
    refused(&signed(&gzip(content)), Stage::Unmerge, says);
}

#[test]
fn the_helper_makes_good_packages() {
    let bytes = signed(&gzip(b"#tag\n!2 a/b\nhi!0 c\n"));
    let (unpacked, files) = unpack_bytes(&bytes, &store(), &UnpackOptions::default()).unwrap();
    assert_eq!(files["a/b"], b"hi");
    assert_eq!(files["c"], b"");
    assert_eq!(unpacked.contents.tag.as_deref(), Some("tag"));
}

#[test]
fn bad_heads() {
    let good = signed(&gzip(b"!2 a\nhi"));
    refused(b"", Stage::Signature, "ends inside its magic");
    refused(b"WPK", Stage::Signature, "ends inside its magic");
    refused(b"WPK2560garbage", Stage::Signature, "no WPK file");
    refused(b"WPK256\0", Stage::Signature, "ends inside its certificate");
    refused(
        b"WPK256\0-----BEGIN",
        Stage::Signature,
        "ends inside its certificate",
    );
    let end = good.iter().skip(7).position(|b| *b == 0).unwrap() + 7;
    refused(&good[..=end], Stage::Signature, "ends inside its signature");
    refused(
        &good[..end + 256],
        Stage::Signature,
        "ends inside its signature",
    );
    refused(
        &good[..end + 257],
        Stage::Signature,
        "does not belong to this content",
    );
    refused(
        &good[..good.len() - 1],
        Stage::Signature,
        "does not belong to this content",
    );

    let long = assemble(&"x".repeat(64 * 1024 + 1), &[0; 256], b"");
    refused(&long, Stage::Signature, "longer than 65536 bytes");
    let endless = [b"WPK256\0".to_vec(), vec![b'x'; 200_000]].concat();
    refused(&endless, Stage::Signature, "longer than 65536 bytes");
    refused(
        &assemble("", &[0; 256], b""),
        Stage::Signature,
        "no PEM certificate",
    );
    refused(
        &assemble("hello", &[0; 256], b""),
        Stage::Signature,
        "no PEM certificate",
    );
    let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    refused(
        &assemble(bad, &[0; 256], b""),
        Stage::Signature,
        "no X.509 certificate",
    );
    let pem = root()
        .signing_certificate("S", always(), &KEYS.leaf)
        .unwrap();
    refused(
        &assemble(&pem.repeat(11), &[0; 256], b""),
        Stage::Signature,
        "more than 10",
    );
}

#[test]
fn every_changed_byte_of_signature_and_payload_is_noticed() {
    let good = signed(&gzip(b"!2 a\nhi"));
    let end = good.iter().skip(7).position(|b| *b == 0).unwrap() + 7;
    let certificate = 7 + 60..end - 60;
    let positions = (0..7).chain(certificate.step_by(97)).chain(end..good.len());
    // White space between the lines of a PEM text means nothing.
    for position in positions.filter(|position| good[*position] != b'\n') {
        for flip in [1, 0x80] {
            let mut bytes = good.clone();
            bytes[position] ^= flip;
            let error = unpack_bytes(&bytes, &store(), &UnpackOptions::default())
                .map(drop)
                .expect_err(&format!("byte {position} was changed"));
            assert_eq!(error.stage(), Stage::Signature, "byte {position}: {error}");
        }
    }
    let added = [&good[..], b"x"].concat();
    refused(&added, Stage::Signature, "does not belong to this content");
}

#[test]
fn signed_payloads_that_are_no_gzip() {
    let gz = gzip(b"!2 a\nhi");
    refused(&signed(b""), Stage::Uncompress, "cut off");
    refused(
        &signed(b"!17 a\nnot compressed ..."),
        Stage::Uncompress,
        "no intact gzip stream",
    );
    refused(&signed(&gz[..gz.len() - 1]), Stage::Uncompress, "cut off");
    refused(&signed(&gz[..12]), Stage::Uncompress, "cut off");
    refused(
        &signed(&[&gz[..], b"garbage after it"].concat()),
        Stage::Uncompress,
        "no intact",
    );
    refused(
        &signed(&[&gz[..], &[0; 512]].concat()),
        Stage::Uncompress,
        "no intact",
    );
    for from_end in [1, 5] {
        // First the length, then the check sum.
        let mut bad = gz.clone();
        let at = bad.len() - from_end;
        bad[at] ^= 1;
        refused(&signed(&bad), Stage::Uncompress, "no intact gzip stream");
    }
    let mut bad = gz.clone();
    bad[15] ^= 0xff;
    assert_eq!(
        unpack_bytes(&signed(&bad), &store(), &UnpackOptions::default())
            .unwrap_err()
            .stage(),
        Stage::Uncompress
    );
}

#[test]
fn names_that_leave_the_folder() {
    merged_refused(b"!2 ./upgrade_result\n0\n", "leave it out");
    merged_refused(b"!1 ../a\nx", "leaves its folder");
    merged_refused(b"!1 ok\nx!1 a/../../b\nx", "leaves its folder");
    merged_refused(b"!1 a/..\nx", "leaves its folder");
    merged_refused(b"!1 ..\nx", "leaves its folder");
    merged_refused(b"!1 /etc/passwd\nx", "is absolute");
    merged_refused(b"!1 //a\nx", "is absolute");
    merged_refused(b"!1 a//b\nx", "empty component");
    merged_refused(b"!1 a/\nx", "empty component");
    merged_refused(b"!1 \nx", "is empty");
    merged_refused(b"!1 .\nx", "is empty");
    merged_refused(b"!1 a\0b\nx", "NUL");
    merged_refused(b"!1 \0\nx", "NUL");
    merged_refused(
        &[b"!1 ", &[b'n'; 1_025][..], b"\nx"].concat(),
        "longer than 1024 bytes",
    );
    merged_refused(
        &[b"!1 ", &[b'n'; 256][..], b"\nx"].concat(),
        "longer than 255 bytes",
    );
}

#[test]
fn names_that_clash() {
    merged_refused(b"!1 a\nx!1 a\ny", "occurs twice");
    merged_refused(b"!1 a\nx!1 ./a\ny", "occurs twice");
    merged_refused(b"!1 a\nx!1 a/b\ny", "both a file and a folder");
    merged_refused(b"!1 a/b\nx!1 a\ny", "both a file and a folder");
    merged_refused(b"!1 a/b/c\nx!1 a/b\ny", "both a file and a folder");
}

#[test]
fn malformed_entries() {
    merged_refused(b"!5 a\nhi", "3 of 5 bytes are missing");
    merged_refused(b"!5 a\n", "5 of 5 bytes are missing");
    merged_refused(b"!5 a", "no end");
    merged_refused(b"!", "no end");
    merged_refused(b"!-5 a\nhello", "size is no number");
    merged_refused(b"!+5 a\nhello", "size is no number");
    merged_refused(b"!abc a\nhello", "size is no number");
    merged_refused(b"!0x5 a\nhello", "size is no number");
    merged_refused(b"! a\nhello", "size is no number");
    merged_refused(b"!5\nhello", "no name");
    merged_refused(b"!5a\nhello", "no name");
    merged_refused(b"!99999999999999999999999 a\nx", "beyond all limits");
    merged_refused(b"!18446744073709551615 a\nx", "beyond 2147483648 bytes");
    merged_refused(
        b"!1 a\nx!18446744073709551615 b\nx",
        "beyond 2147483648 bytes",
    );
    merged_refused(b"!2 a\nhi\n", "was expected");
    merged_refused(b"!2 a\nhi#x\n!1 b\nx", "was expected");
    merged_refused(b"#t\nhello\n!1 b\nx", "was expected");
    merged_refused(b"hello\n!1 b\nx", "was expected");
    merged_refused(
        &[&[b'#'][..], &[b't'; 5_000], b"\n!1 a\nx"].concat(),
        "tag is too long",
    );
    merged_refused(b"#tag", "no end");
}

#[test]
fn limits_hold() {
    let with = |limits: Limits| UnpackOptions {
        limits,
        ..UnpackOptions::default()
    };
    let three = signed(&gzip(b"!1 a\nx!1 b\nx!1 c\nx"));
    let limits = |entries, unpacked| Limits {
        entries,
        unpacked,
        ..Limits::default()
    };
    assert!(unpack_bytes(&three, &store(), &with(limits(3, 18))).is_ok());
    refused_with(
        &three,
        &with(limits(2, 18)),
        Stage::Unmerge,
        "more than 2 entries",
    );
    refused_with(
        &three,
        &with(limits(3, 17)),
        Stage::Uncompress,
        "more than 17 bytes",
    );
    let deep = signed(&gzip(b"!1 a/b/c/d/e\nx"));
    refused_with(
        &deep,
        &with(limits(3, 99)),
        Stage::Unmerge,
        "more than 3 folders",
    );
    let name = |name| {
        with(Limits {
            name,
            ..Limits::default()
        })
    };
    assert!(unpack_bytes(&deep, &store(), &name(9)).is_ok());
    refused_with(&deep, &name(8), Stage::Unmerge, "longer than 8 bytes");
    // A bomb: a megabyte from a kilobyte, refused while it unzips.
    let bomb = signed(&gzip(&vec![b'#'; 1_000_000]));
    assert!(bomb.len() < 5_000);
    refused_with(
        &bomb,
        &with(limits(3, 10_000)),
        Stage::Uncompress,
        "more than 10000 bytes",
    );

    let place = tempfile::tempdir().unwrap();
    let options = with(Limits {
        packed: 10,
        ..Limits::default()
    });
    let store = store();
    let trust = Trust::Store(&store);
    let target = place.path().join("t");
    let error = unpack_from(&three[..], "stream", &target, trust, now(), &options).unwrap_err();
    assert_eq!(
        error.to_string(),
        "stream: the compressed part is longer than 10 bytes"
    );
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn links_in_the_target_are_neither_followed_nor_replaced() {
    let (target, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    symlink(outside.path(), target.path().join("dir")).unwrap();
    symlink(outside.path().join("new"), target.path().join("file")).unwrap();
    let options = UnpackOptions::default();
    for content in [&b"!1 dir/x\ny"[..], b"!1 file\ny", b"!1 good\ny!1 dir\ny"] {
        let mut merged = std::io::Cursor::new(content);
        let result = unmerge(&mut merged, "merged", target.path(), &options);
        assert!(
            matches!(result, Err(UnmergeError::Exists { .. })),
            "{result:?}"
        );
    }
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    assert_eq!(fs::read_dir(target.path()).unwrap().count(), 2);
}

#[test]
fn packages_that_are_no_plain_files() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("real.wpk");
    fs::write(&file, signed(&gzip(b"!2 a\nhi"))).unwrap();
    let link = place.path().join("link.wpk");
    symlink(&file, &link).unwrap();
    let limits = Limits::default();
    assert!(Package::open(&file, &limits).is_ok());
    for path in [
        &link,
        &place.path().to_owned(),
        &place.path().join("missing.wpk"),
    ] {
        let error = Package::open(path, &limits).map(drop).unwrap_err();
        assert_eq!(error.stage(), Stage::Signature);
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
    }
}

#[test]
fn places_that_cannot_be_written_are_named() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("p.wpk");
    fs::write(&file, signed(&gzip(b"!2 a\nhi"))).unwrap();
    let store = store();
    let options = UnpackOptions::default();
    for target in ["/nonexistent/below/target", "/dev/null"] {
        let result = unpack(
            &file,
            target.as_ref(),
            Trust::Store(&store),
            now(),
            &options,
        );
        let error = result.unwrap_err();
        assert_eq!(error.stage(), Stage::Unmerge);
        assert!(
            error
                .to_string()
                .contains(target.rsplit_once('/').unwrap().0),
            "{error}"
        );
    }
    let mut package = Package::open(&file, &options.limits).unwrap();
    let verified = package.verify(Trust::Store(&store), now()).unwrap();
    // A disk that is full.
    let mut full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let error = package
        .gunzip(&verified, &mut full, "/dev/full")
        .unwrap_err();
    assert_eq!(error.stage(), Stage::Uncompress);
    assert!(
        error.to_string().contains("cannot write /dev/full"),
        "{error}"
    );
}

#[test]
fn any_signer_still_needs_a_good_signature() {
    let payload = gzip(b"!2 a\nhi");
    let pem = root()
        .signing_certificate("S", always(), &KEYS.leaf)
        .unwrap();
    let check = |bytes: Vec<u8>| {
        Package::read(&bytes[..], "p", &Limits::default())
            .and_then(|package| package.verify_stream(Trust::AnySigner, now()))
    };
    let good = assemble(&pem, &sign(&KEYS.leaf, &payload), &payload);
    assert_eq!(check(good).unwrap().signer().subject, "CN=S");
    let wrong = assemble(&pem, &sign(&KEYS.middle, &payload), &payload);
    assert_eq!(check(wrong).unwrap_err().stage(), Stage::Signature);
}
