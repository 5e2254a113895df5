//! Keys made once for all tests, and packages put together from raw bytes.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use rsa::Pkcs1v15Sign;
use rsa::pkcs8::DecodePrivateKey;
use sha2::{Digest, Sha256};
use wpk_package::authority::{Authority, SigningKey, Validity};
use wpk_package::{CaStore, PackageError, Signer, Stage, Trust, UnpackOptions, Unpacked, unpack};

pub(crate) struct Keys {
    pub(crate) root: SigningKey,
    pub(crate) other_root: SigningKey,
    pub(crate) middle: SigningKey,
    pub(crate) leaf: SigningKey,
}

/// Key generation is slow; certificates are made anew where a test needs them.
pub(crate) static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let make = || std::thread::spawn(|| SigningKey::generate().unwrap());
    let (a, b, c, d) = (make(), make(), make(), make());
    Keys {
        root: a.join().unwrap(),
        other_root: b.join().unwrap(),
        middle: c.join().unwrap(),
        leaf: d.join().unwrap(),
    }
});

/// The time at which tests verify: 2027-01-15.
pub(crate) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// Days relative to [`now`].
pub(crate) fn valid(from: i64, until: i64) -> Validity {
    let at = |days: i64| {
        let seconds = Duration::from_secs(days.unsigned_abs() * 86_400);
        if days < 0 {
            now() - seconds
        } else {
            now() + seconds
        }
    };
    Validity {
        not_before: at(from),
        not_after: at(until),
    }
}

pub(crate) fn always() -> Validity {
    valid(-10, 10)
}

pub(crate) fn root() -> Authority {
    Authority::root("Test root", always(), &KEYS.root).unwrap()
}

pub(crate) fn signer() -> Signer {
    root().signer("Test signer", always(), &KEYS.leaf).unwrap()
}

pub(crate) fn store() -> CaStore {
    CaStore::from_pem(root().certificate_pem().as_bytes()).unwrap()
}

pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(content).unwrap();
    gzip.finish().unwrap()
}

pub(crate) fn sign(key: &SigningKey, payload: &[u8]) -> Vec<u8> {
    let der = pem::parse(key.to_pem().unwrap()).unwrap();
    let key = rsa::PrivateKey::from_pkcs8_der(der.contents()).unwrap();
    key.sign(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(payload))
        .unwrap()
}

/// Section 8, byte by byte.
pub(crate) fn assemble(certificates: &str, signature: &[u8], payload: &[u8]) -> Vec<u8> {
    [
        b"WPK256\0",
        certificates.as_bytes(),
        b"\0",
        signature,
        payload,
    ]
    .concat()
}

/// A well-signed package around any payload.
pub(crate) fn signed(payload: &[u8]) -> Vec<u8> {
    let pem = root()
        .signing_certificate("Test signer", always(), &KEYS.leaf)
        .unwrap();
    assemble(&pem, &sign(&KEYS.leaf, payload), payload)
}

/// Unpacks bytes into a fresh folder. After a failure the folder must be as
/// it was, and nothing may have appeared beside it.
pub(crate) fn unpack_bytes(
    bytes: &[u8],
    store: &CaStore,
    options: &UnpackOptions,
) -> Result<(Unpacked, BTreeMap<String, Vec<u8>>), PackageError> {
    let place = tempfile::tempdir().unwrap();
    let (package, target) = (place.path().join("t.wpk"), place.path().join("target"));
    fs::write(&package, bytes).unwrap();
    fs::create_dir(&target).unwrap();
    let result = unpack(&package, &target, Trust::Store(store), now(), options);
    assert_eq!(
        fs::read_dir(place.path()).unwrap().count(),
        2,
        "nothing beside the target"
    );
    match result {
        Ok(unpacked) => Ok((unpacked, tree(&target))),
        Err(error) => {
            assert_eq!(
                fs::read_dir(&target).unwrap().count(),
                0,
                "no trace of a bad package"
            );
            Err(error)
        }
    }
}

/// Name and content of every file below a folder.
pub(crate) fn tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        for item in fs::read_dir(path).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path
                    .strip_prefix(folder)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    files
}

#[track_caller]
pub(crate) fn refused(bytes: &[u8], stage: Stage, says: &str) {
    refused_with(bytes, &UnpackOptions::default(), stage, says);
}

#[track_caller]
pub(crate) fn refused_with(bytes: &[u8], options: &UnpackOptions, stage: Stage, says: &str) {
    let error = unpack_bytes(bytes, &store(), options).expect_err("must be refused");
    assert_eq!(error.stage(), stage, "{error}");
    assert!(
        error.to_string().contains(says),
        "{error} does not say {says:?}"
    );
}
