//! Memory does not grow with the package. A process of its own, because the
//! peak is measured for the whole process.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fs::{self, File};
use std::io::Read;
use std::time::SystemTime;

use wpk_package::authority::{Authority, SigningKey, Validity};
use wpk_package::{
    BuildOptions, CaStore, Limits, Source, Trust, UnpackOptions, build, inspect, unpack_from,
};

const SIZE: u64 = 80 * 1024 * 1024;
/// Far above the fixed buffers, far below the content.
const ALLOWED: u64 = 16 * 1024 * 1024;
/// No step may ask for more at once.
const CHUNK: usize = 1024 * 1024;

/// Peak resident memory of this process in bytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        * 1024
}

/// Passes a file on and sees how much is asked for at once.
struct Watched {
    file: File,
    total: u64,
    largest: usize,
}

impl Read for &mut Watched {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.largest = self.largest.max(buffer.len());
        let n = self.file.read(buffer)?;
        self.total += n as u64;
        Ok(n)
    }
}

#[test]
fn a_large_entry_streams_through_fixed_buffers() {
    let (root_key, key) = (
        SigningKey::generate().unwrap(),
        SigningKey::generate().unwrap(),
    );
    let root = Authority::root("Root", Validity::days(1), &root_key).unwrap();
    let signer = root.signer("Signer", Validity::days(1), &key).unwrap();
    let store = CaStore::from_pem(root.certificate_pem().as_bytes()).unwrap();
    let place = tempfile::tempdir().unwrap();
    let (big, out) = (place.path().join("big"), place.path().join("big.wpk"));
    File::create(&big).unwrap().set_len(SIZE).unwrap();

    let before = peak();
    // Stored, not compressed: the package is as large as its content.
    let options = BuildOptions {
        level: 0,
        ..BuildOptions::default()
    };
    let source = Source {
        name: "dir/big".into(),
        path: big,
    };
    let built = build(&[source], &signer, &out, &options).unwrap();
    assert!(built.size > SIZE);

    let now = SystemTime::now();
    let mut watched = Watched {
        file: File::open(&out).unwrap(),
        total: 0,
        largest: 0,
    };
    let (target, trust) = (place.path().join("target"), Trust::Store(&store));
    unpack_from(
        &mut watched,
        "big",
        &target,
        trust,
        now,
        &UnpackOptions::default(),
    )
    .unwrap();
    assert_eq!(fs::metadata(target.join("dir/big")).unwrap().len(), SIZE);
    assert_eq!(
        watched.total, built.size,
        "the stream is read once, to its end"
    );
    assert!(
        watched.largest <= CHUNK,
        "{} bytes were asked for at once",
        watched.largest
    );
    let summary = inspect(&out, Some(trust), now, &Limits::default()).unwrap();
    assert_eq!(summary.unpacked, SIZE);

    let grown = peak() - before;
    assert!(
        grown < ALLOWED,
        "memory grew by {grown} bytes for {SIZE} bytes of content"
    );
}
