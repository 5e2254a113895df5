//! What became of every case: passed, different on purpose, or wrong.
//!
//! A case that agrees although a difference is listed for it is wrong too: the
//! list must not be longer than what it describes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::differences::Difference;

/// One thing of a case that is not as recorded.
#[derive(Debug, Clone)]
pub struct Mismatch {
    pub what: &'static str,
    pub expected: String,
    pub got: String,
}

/// Compares one thing; nothing where both agree.
pub fn differs(
    what: &'static str,
    expected: impl Into<String>,
    got: impl Into<String>,
) -> Option<Mismatch> {
    let (expected, got) = (expected.into(), got.into());
    (expected != got).then_some(Mismatch {
        what,
        expected,
        got,
    })
}

/// The verdicts on the cases of one file.
#[derive(Debug)]
pub struct Tally {
    pub file: &'static str,
    differences: &'static [Difference],
    strict: bool,
    pub ran: usize,
    passed: usize,
    /// Reason and how many differ for it.
    pub deliberate: BTreeMap<&'static str, usize>,
    wrong: Vec<String>,
    used: BTreeSet<&'static str>,
}

impl Tally {
    pub fn new(file: &'static str, differences: &'static [Difference]) -> Self {
        Self {
            file,
            differences,
            strict: false,
            ran: 0,
            passed: 0,
            deliberate: BTreeMap::new(),
            wrong: Vec::new(),
            used: BTreeSet::new(),
        }
    }

    /// Demands that a listed difference explains everything that is not as
    /// recorded, not only a part of which the rest may be a consequence.
    pub fn strict(self) -> Self {
        Self {
            strict: true,
            ..self
        }
    }

    /// Judges one case by what is not as recorded.
    pub fn judge(&mut self, name: &str, mismatches: impl IntoIterator<Item = Mismatch>) {
        self.judge_by_rule(name, mismatches, None);
    }

    /// As [`judge`](Self::judge), for a case in which a difference that has no
    /// names of cases, but a row of the table, was seen and found to be right.
    pub fn judge_by_rule(
        &mut self,
        name: &str,
        mismatches: impl IntoIterator<Item = Mismatch>,
        rule: Option<&'static str>,
    ) {
        self.ran += 1;
        let mismatches: Vec<Mismatch> = mismatches.into_iter().collect();
        let listed = self.differences.iter().find(|known| known.covers(name));
        match (mismatches.as_slice(), listed) {
            ([], None) => match rule {
                None => self.passed += 1,
                Some(reason) => *self.deliberate.entry(reason).or_default() += 1,
            },
            ([], Some(known)) => self.wrong.push(format!(
                "{name}: expected a difference ({}), got the recorded behaviour",
                known.reason
            )),
            (_, Some(known)) => {
                self.used.insert(known.cases);
                let got = |mismatch: &Mismatch| {
                    (known.ours.split(" | ")).any(|ours| mismatch.got.contains(ours))
                };
                let explained = match self.strict {
                    true => mismatches.iter().all(got),
                    false => mismatches.iter().any(got),
                };
                if explained {
                    *self.deliberate.entry(known.reason).or_default() += 1;
                } else {
                    let got = mismatches.iter().map(|mismatch| clip(&mismatch.got));
                    let got: Vec<String> = got.collect();
                    self.wrong.push(format!(
                        "{name}: expected {:?} ({}), got {}",
                        known.ours,
                        known.reason,
                        got.join(" | ")
                    ));
                }
            }
            (mismatches, None) => {
                let line = mismatches.iter().map(|mismatch| {
                    let (expected, got) = (clip(&mismatch.expected), clip(&mismatch.got));
                    format!("{}: expected {expected}, got {got}", mismatch.what)
                });
                let line: Vec<String> = line.collect();
                self.wrong.push(format!("{name}: {}", line.join(" | ")));
            }
        }
    }

    /// Takes over what another thread judged of the same file.
    pub fn add(&mut self, other: Self) {
        self.ran += other.ran;
        self.passed += other.passed;
        for (reason, count) in other.deliberate {
            *self.deliberate.entry(reason).or_default() += count;
        }
        self.wrong.extend(other.wrong);
        self.used.extend(other.used);
    }

    /// A line for each case that is wrong, and for each listed difference that
    /// no case showed.
    pub fn faults(&self) -> Vec<String> {
        let used = |known: &&Difference| self.used.contains(known.cases);
        let unused = self.differences.iter().filter(|known| !used(known));
        let unused = unused.map(|known| {
            format!(
                "{}: the difference {:?} ({}) is listed, but no case shows it",
                self.file, known.cases, known.reason
            )
        });
        self.wrong.iter().cloned().chain(unused).collect()
    }

    /// How many cases have a verdict.
    pub fn accounted(&self) -> usize {
        self.passed + self.deliberate.values().sum::<usize>() + self.wrong.len()
    }

    /// One line for people.
    pub fn line(&self) -> String {
        let deliberate: usize = self.deliberate.values().sum();
        format!(
            "{:22} {:5} ran {:5} passed {:4} differ deliberately {:3} wrong",
            self.file,
            self.ran,
            self.passed,
            deliberate,
            self.wrong.len()
        )
    }
}

/// Lines stay readable; the start and the end of long texts are kept.
fn clip(text: &str) -> String {
    const KEPT: usize = 300;
    let characters = text.chars().count();
    if characters <= 2 * KEPT {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(KEPT).collect();
    let _ = write!(out, " ...({characters} characters)... ");
    out.extend(text.chars().skip(characters - KEPT));
    out
}
