//! What the suite shows: a row for each fault, with what was expected and what
//! was seen. A row whose two do not agree fails the suite.

use std::fmt::Write as _;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Checks that run at the same time; most of their time they wait.
const AT_ONCE: usize = 4;

/// One fault, and how to bring it about.
pub struct Check {
    /// The test's name, to run it alone.
    pub name: &'static str,
    /// Where something goes wrong.
    pub place: &'static str,
    /// What.
    pub fault: &'static str,
    /// What is to be seen then.
    pub expected: &'static str,
    /// Brings it about; what was seen, or `None` where this user or this machine
    /// cannot bring it about.
    pub run: fn() -> Option<String>,
}

/// A row of the table; the function is the test.
macro_rules! check {
    ($test:ident, $place:literal, $fault:literal, $expected:literal) => {
        crate::table::Check {
            name: stringify!($test),
            place: $place,
            fault: $fault,
            expected: $expected,
            run: || crate::table::seen($test()),
        }
    };
}
pub(crate) use check;

/// What a test may say it saw.
pub trait Seen {
    fn seen(self) -> Option<String>;
}

impl Seen for String {
    fn seen(self) -> Option<String> {
        Some(self)
    }
}

impl Seen for Option<String> {
    fn seen(self) -> Option<String> {
        self
    }
}

/// Runs a test in a runtime of its own.
pub fn seen<S: Seen>(test: impl Future<Output = S>) -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(test).seen()
}

/// No test of the usual kind lies beside the rows.
fn only_rows(suite: &str) {
    let folder = format!("{}/{suite}", env!("CARGO_MANIFEST_DIR"));
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let mut lines = text.lines().map(str::trim);
        let usual = lines.any(|line| line == "#[test]" || line.starts_with("#[tokio::test"));
        assert!(!usual, "{}: make a row of its test", path.display());
    }
}

/// A row with its verdict.
struct Row {
    check: &'static Check,
    seen: String,
    wrong: bool,
}

/// The suite as a program: its checks by the words on the command line.
pub fn main(suite: &str, checks: &[&'static Check]) -> ExitCode {
    only_rows(suite);
    let mut wanted = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--list" => {
                checks
                    .iter()
                    .for_each(|check| println!("{}: test", check.name));
                return ExitCode::SUCCESS;
            }
            "--test-threads" | "--skip" => drop(arguments.next()),
            // Those of the usual harness, which mean nothing here.
            flag if flag.starts_with('-') => {}
            word => wanted.push(word.to_owned()),
        }
    }
    match run(checks, &wanted) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Runs the checks that `wanted` names (all, if it names none) and prints the
/// table; whether all rows are as expected.
fn run(checks: &[&'static Check], wanted: &[String]) -> bool {
    let named = |check: &&&Check| {
        let name = format!("{} {} {}", check.name, check.place, check.fault);
        wanted.is_empty() || wanted.iter().any(|word| name.contains(word.as_str()))
    };
    let checks: Vec<&'static Check> = checks.iter().filter(named).copied().collect();
    let (next, rows) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(check) = checks.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let row = one(check);
                    say(&format!(
                        "{}: {}\n",
                        check.name,
                        if row.wrong { "FAILED" } else { "ok" }
                    ));
                    rows.lock().unwrap().push(row);
                }
            });
        }
    });
    let mut rows = rows.into_inner().unwrap();
    let place = |row: &Row| checks.iter().position(|check| check.name == row.check.name);
    rows.sort_by_key(place);
    say(&text(&rows));
    rows.iter().all(|row| !row.wrong)
}

fn one(check: &'static Check) -> Row {
    let seen = catch_unwind(AssertUnwindSafe(check.run));
    let (seen, wrong) = match seen {
        Ok(Some(seen)) => {
            let wrong = seen != check.expected;
            (seen, wrong)
        }
        Ok(None) => ("(cannot be brought about here)".to_owned(), false),
        Err(panic) => {
            let words = panic.downcast_ref::<String>().map(String::as_str);
            let words = words.or_else(|| panic.downcast_ref::<&str>().copied());
            let words = words.unwrap_or_default().lines().next().unwrap_or_default();
            (format!("the test broke: {words}"), true)
        }
    };
    Row { check, seen, wrong }
}

fn text(rows: &[Row]) -> String {
    let width = |of: fn(&Row) -> &str| rows.iter().map(|row| of(row).chars().count()).max();
    let place = width(|row| row.check.place).unwrap_or(0).max(5);
    let fault = width(|row| row.check.fault).unwrap_or(0).max(5);
    let expected = width(|row| row.check.expected).unwrap_or(0).max(8);
    let mut out = format!(
        "\n  {:place$}  {:fault$}  {:expected$}  seen\n",
        "place", "fault", "expected"
    );
    for Row { check, seen, wrong } in rows {
        let mark = if *wrong { '!' } else { ' ' };
        let _ = writeln!(
            out,
            "{mark} {:place$}  {:fault$}  {:expected$}  {seen}",
            check.place, check.fault, check.expected
        );
    }
    let wrong = rows.iter().filter(|row| row.wrong).count();
    let _ = writeln!(out, "\n{} faults, {wrong} not as expected", rows.len());
    out
}

/// For people, whatever becomes of standard output.
fn say(text: &str) {
    std::io::stderr().write_all(text.as_bytes()).unwrap();
}
