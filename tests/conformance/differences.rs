//! Where ours differs on purpose. Every entry names a row of the table in
//! `tests/conformance/README.md` and says what ours does instead, so that a
//! difference cannot hide another one behind it.

/// A deliberate difference of some cases.
#[derive(Debug)]
pub struct Difference {
    /// The name of a case; `*` stands for any text.
    pub cases: &'static str,
    /// The row of the table.
    pub reason: &'static str,
    /// What must be found in what ours does.
    pub ours: &'static str,
}

impl Difference {
    pub fn covers(&self, name: &str) -> bool {
        matches(self.cases, name)
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|tail| {
            let ends = tail.char_indices().map(|(at, _)| at).chain([tail.len()]);
            ends.into_iter().any(|at| matches(rest, &tail[at..]))
        }),
    }
}

const fn row(cases: &'static str, reason: &'static str, ours: &'static str) -> Difference {
    Difference {
        cases,
        reason,
        ours,
    }
}

/// `requests.jsonl`
pub const REQUESTS: &[Difference] = &[];

/// `deliveries.jsonl`
pub const DELIVERIES: &[Difference] = &[];

/// `channel_frames.jsonl`
pub const FRAMES: &[Difference] = &[];

/// `repository_urls.jsonl`
pub const URLS: &[Difference] = &[];
