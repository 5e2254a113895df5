//! The header is C11 and C++17 without a warning, and a C compiler lays every
//! table out as Rust does and gives every number the same value.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fmt::Write as _;
use std::mem::{offset_of, size_of};
use std::path::Path;
use std::process::Command;

use wpk_abi::Operation;
use wpk_abi::codes::{feature, level, status};
use wpk_abi::tables::{Buffer, Header, Host, Plugin, Slice};

const INCLUDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/include");
const WARNINGS: [&str; 6] = [
    "-Wall",
    "-Wextra",
    "-Werror",
    "-pedantic",
    "-Wconversion",
    "-Wshadow",
];

/// Whether there is a C++ compiler. A machine with gcc alone has none; CI must.
fn has_cpp() -> bool {
    let found = Command::new("c++").arg("--version").output().is_ok();
    if !found {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI needs c++ (Debian: g++)"
        );
        println!("skipped: the header as C++17, because c++ is not here");
    }
    found
}

/// Compiles `text` with the header, and links it if `run`; then runs it.
fn compile(compiler: &str, standard: &str, extension: &str, text: &str, run: bool) -> String {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join(format!("check.{extension}"));
    let program = folder.path().join("check");
    std::fs::write(&source, text).unwrap();
    let mut command = Command::new(compiler);
    command
        .arg(format!("-std={standard}"))
        .args(WARNINGS)
        .args(["-I", INCLUDE]);
    if !run {
        command.arg("-c");
    }
    let output = command.arg(&source).arg("-o").arg(&program).output();
    let output = output.unwrap_or_else(|error| panic!("{compiler}: {error}"));
    assert!(
        output.status.success(),
        "{compiler} -std={standard}:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    if run {
        printed(&program)
    } else {
        String::new()
    }
}

fn printed(program: &Path) -> String {
    let output = Command::new(program).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// What a C program has to print, and the C expressions it prints.
#[derive(Default)]
struct Expected {
    values: String,
    expressions: Vec<String>,
}

impl Expected {
    fn add(&mut self, expression: impl Into<String>, value: i64) {
        let expression = expression.into();
        writeln!(self.values, "{expression} {value}").unwrap();
        self.expressions.push(expression);
    }
}

macro_rules! layout {
    ($expected:ident, $rust:ty, $c:literal, $($field:ident),*) => {
        $expected.add(concat!("sizeof(", $c, ")"), size_of::<$rust>() as i64);
        $($expected.add(
            concat!("offsetof(", $c, ", ", stringify!($field), ")"),
            offset_of!($rust, $field) as i64,
        );)*
    };
}

macro_rules! numbers {
    ($expected:ident, $module:ident, $prefix:literal, $($name:ident),*) => {
        $($expected.add(concat!($prefix, stringify!($name)), $module::$name as i64);)*
    };
}

fn expected() -> Expected {
    let mut all = Expected::default();
    layout!(all, Header, "wpk_header", size, major, minor, features);
    layout!(all, Slice, "wpk_slice", data, length);
    layout!(all, Buffer, "wpk_buffer", data, length, owner, release);
    layout!(
        all,
        Host,
        "wpk_host",
        header,
        complete,
        request,
        log,
        log_enabled
    );
    layout!(
        all,
        Plugin,
        "wpk_plugin",
        header,
        description,
        call,
        next,
        cancel,
        close_stream,
        close,
        answer
    );
    numbers!(
        all,
        status,
        "WPK_",
        OK,
        END,
        CANCELLED,
        FAILED,
        PANICKED,
        MALFORMED,
        UNSUPPORTED,
        SETTINGS,
        UNAVAILABLE,
        DAMAGED,
        FULL,
        REFUSED,
        NOT_CONNECTED,
        TIMED_OUT,
        CLOSED,
        NOT_SUPPORTED,
        UNCERTAIN,
        FENCED,
        NO_PACKAGE,
        NOT_REACHABLE,
        NOT_LISTED,
        NO_FILE
    );
    for operation in Operation::ALL {
        let name = format!("WPK_OP_{}", operation.word().to_uppercase());
        all.add(name, operation.code().into());
    }
    numbers!(all, level, "WPK_LOG_", ERROR, WARN, INFO, DEBUG, TRACE);
    numbers!(all, feature, "WPK_FEATURE_", SOURCES, STREAMS);
    all.add("WPK_MAJOR", wpk_abi::MAJOR.into());
    all.add("WPK_MINOR", wpk_abi::MINOR.into());
    all
}

fn program() -> (String, String) {
    let expected = expected();
    let mut text =
        String::from("#include \"wpk_plugin.h\"\n#include <stdio.h>\nint main(void) {\n");
    for expression in &expected.expressions {
        writeln!(
            text,
            "    printf(\"%s %lld\\n\", \"{expression}\", (long long)({expression}));"
        )
        .unwrap();
    }
    text.push_str("    return 0;\n}\n");
    (text, expected.values)
}

#[test]
fn c11_agrees_with_rust() {
    let (text, values) = program();
    assert_eq!(compile("cc", "c11", "c", &text, true), values);
}

#[test]
fn cpp17_agrees_with_rust() {
    let (text, values) = program();
    if has_cpp() {
        assert_eq!(compile("c++", "c++17", "cpp", &text, true), values);
    }
}

#[test]
fn every_number_of_the_header_is_checked() {
    let header = std::fs::read_to_string(Path::new(INCLUDE).join("wpk_plugin.h")).unwrap();
    let checked = expected().expressions;
    let assigned = header.lines().filter_map(|line| {
        let (name, value) = line.trim().split_once(" = ")?;
        (name.starts_with("WPK_") && value.starts_with(|c: char| c.is_ascii_digit()))
            .then_some(name)
    });
    let mut count = 0;
    for name in assigned {
        assert!(
            checked.iter().any(|one| one == name),
            "{name} is not compared with Rust"
        );
        count += 1;
    }
    assert!(count > 40, "only {count} numbers were found");
}

#[test]
fn a_plugin_that_implements_every_function_compiles_in_both_languages() {
    let text = r#"
#include "wpk_plugin.h"
static const wpk_host *host;
static void call(const wpk_plugin *p, uint64_t i, uint32_t o, wpk_slice j, wpk_slice b, uint64_t t) {
    wpk_buffer none = {NULL, 0, NULL, NULL};
    (void)p; (void)i; (void)o; (void)j; (void)b;
    host->complete(host, t, WPK_UNSUPPORTED, 0, none, none);
}
static void next(const wpk_plugin *p, uint64_t s, uint64_t m, uint64_t t) {
    (void)p; (void)s; (void)m; (void)t;
}
static void number(const wpk_plugin *p, uint64_t n) { (void)p; (void)n; }
static void answer(const wpk_plugin *p, uint64_t t, int32_t s, wpk_slice b) {
    (void)p; (void)t; (void)s; (void)b;
}
static const wpk_plugin plugin = {
    {sizeof(wpk_plugin), WPK_MAJOR, WPK_MINOR, WPK_FEATURE_STREAMS},
    {NULL, 0}, call, next, number, number, number, answer};
const wpk_plugin *wpk_plugin_entry_v1(const wpk_host *h) { host = h; return &plugin; }
"#;
    compile("cc", "c11", "c", text, false);
    if has_cpp() {
        compile("c++", "c++17", "cpp", text, false);
    }
}
