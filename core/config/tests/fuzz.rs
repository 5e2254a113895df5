//! Mutations of the files in `ossec-conf/`: whatever lies in an `ossec.conf`, it is read
//! or refused, and told in words that fit a terminal. The same target is in `tests/fuzz`
//! for libFuzzer.
//!
//! ```sh
//! WPKD_FUZZ_SECONDS=600 cargo test -p wpk-config --test fuzz -- --ignored --nocapture
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::Path;
use std::time::{Duration, Instant};

use wpk_api::words::steers;
use wpk_config::OssecConf;

/// Pieces that mean something to the reader.
const WORDS: [&[u8]; 36] = [
    b"<",
    b">",
    b"</",
    b"/>",
    b"<!",
    b"<!--",
    b"-->",
    b"!>",
    b"\\<",
    b"\\",
    b"\"",
    b"'",
    b"=",
    b"&lt;",
    b"\0",
    b"\xff",
    b"\r\n",
    b"<?xml ?>",
    b"<ossec_config>",
    b"</ossec_config>",
    b"<task-manager>",
    b"</task-manager>",
    b"<agent-upgrade>",
    b"<cluster>",
    b"<task_timeout>0x7fffffff</task_timeout>",
    b"<cleanup_time>017d</cleanup_time>",
    b"<chunk_size>0000064</chunk_size>",
    b"<node_type>client</node_type>",
    b"<a b=\"c\" d='e'/>",
    b"2147483647",
    b"-1",
    b"w",
    b"\xef\xbb\xbf",
    b"\x1b[2J",
    b"\xe2\x80\xae",
    b"<wpk_repository>https://u:p@h/</wpk_repository>",
];

/// SplitMix64: the same numbers from the same seed, everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to `end` - 1; 0 where there is nothing.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % (end.max(1) as u64)) as usize
    }

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let longest = match self.below(4) {
            0 => length - start,
            _ => 16.min(length - start),
        };
        start..start + self.below(longest + 1)
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ossec-conf");
    let mut paths: Vec<_> = (std::fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "conf")
        })
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

fn mutate(bytes: &mut Vec<u8>, others: &[Vec<u8>], dice: &mut Dice) {
    for _ in 0..=dice.below(6) {
        let at = dice.below(bytes.len() + 1);
        match dice.below(8) {
            0 => drop(bytes.drain(dice.range(bytes.len()))),
            1 => {
                let piece = bytes[dice.range(bytes.len())].to_vec();
                bytes.splice(at..at, piece);
            }
            2 => {
                let other = &others[dice.below(others.len())];
                let piece = other[dice.range(other.len())].to_vec();
                bytes.splice(at..at, piece);
            }
            3 => bytes.truncate(at),
            4 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << dice.below(8);
                }
            }
            5 => {
                let many = [b' ', b'<', b'a', b'\\'][dice.below(4)];
                let count = [20_479, 20_480, 20_481, 3][dice.below(4)];
                bytes.splice(at..at, std::iter::repeat_n(many, count));
            }
            _ => {
                let word = WORDS[dice.below(WORDS.len())];
                bytes.splice(at..at, word.iter().copied());
            }
        }
    }
    bytes.truncate(200_000);
}

/// Reads it; whether it is good.
fn read(bytes: &[u8]) -> bool {
    let told = match OssecConf::parse(Path::new("ossec.conf"), bytes) {
        Ok(conf) => {
            let _settings = conf.to_settings();
            conf.warnings
        }
        Err(mistakes) => {
            assert!(!mistakes.0.is_empty());
            mistakes.0
        }
    };
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
    for finding in &told {
        let line = finding.origin.as_ref().unwrap().rsplit(':').next().unwrap();
        assert!((1..=lines).contains(&line.parse().unwrap()), "line {line}");
        let told = finding.to_string();
        assert!(!told.contains(steers), "{told:.300?}");
        assert!(told.len() < 2_000, "{} bytes: {told:.300}", told.len());
    }
    told.is_empty()
}

/// Runs until told to stop; how many were read and how many of them were good.
fn run(seed: u64, mut go_on: impl FnMut(u64) -> bool) -> (u64, u64) {
    let seeds = seeds();
    let mut dice = Dice(seed);
    let (mut runs, mut good) = (0, 0);
    while go_on(runs) {
        let mut bytes = seeds[dice.below(seeds.len())].clone();
        mutate(&mut bytes, &seeds, &mut dice);
        let read = std::panic::catch_unwind(|| read(&bytes));
        let read =
            read.unwrap_or_else(|_| panic!("run {runs} of seed {seed}: {}", bytes.escape_ascii()));
        good += u64::from(read);
        runs += 1;
    }
    (runs, good)
}

#[test]
fn mutations_are_read_or_refused() {
    let (runs, good) = run(1, |runs| runs < 10_000);
    // Not all are senseless.
    assert!(good > runs / 100, "{good} of {runs}");
}

#[test]
#[ignore = "takes WPKD_FUZZ_SECONDS, by default 60"]
fn mutations_are_read_or_refused_for_long() {
    let seconds = std::env::var("WPKD_FUZZ_SECONDS").map_or(60, |text| text.parse().unwrap());
    let seed = std::env::var("WPKD_FUZZ_SEED").map_or(2, |text| text.parse().unwrap());
    let end = Instant::now() + Duration::from_secs(seconds);
    let (runs, good) = run(seed, |_| Instant::now() < end);
    println!("{runs} runs from seed {seed}, {good} of them without a word of complaint");
}
