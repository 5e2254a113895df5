//! What only the system can do stands behind `core/agent/src/platform`, so that the agent
//! can follow to another system without a second agent.

use std::fs;
use std::path::{Path, PathBuf};

use crate::text::{bare, without_tests};
use crate::tree::{root, rust_files, shown};

/// Ways to the system that Rust's library does not have for all of them.
const WAYS: [&str; 7] = [
    "std::os::unix",
    "std::os::fd",
    "std::os::linux",
    "rustix::",
    "libc::",
    "nix::",
    "tokio::signal::unix",
];

/// Lines of `files` with one of these.
fn complaints(files: &[PathBuf]) -> Vec<String> {
    let mut wrong = Vec::new();
    for file in files {
        let text = fs::read_to_string(file).unwrap();
        for (line, text) in text.lines().enumerate() {
            if text.contains("\"/proc/") {
                wrong.push(told(file, line, "/proc"));
            }
        }
        let source = without_tests(&bare(&text));
        for (line, text) in source.lines().enumerate() {
            if let Some(way) = WAYS.iter().find(|way| has(text, way)) {
                wrong.push(told(file, line, way));
            }
        }
    }
    wrong
}

fn told(file: &Path, line: usize, way: &str) -> String {
    let (file, line) = (shown(file), line + 1);
    format!("{file}:{line}: {way}: do it in core/agent/src/platform")
}

/// Whether `way` stands there as a word of its own: `posix::` is not `nix::`.
fn has(text: &str, way: &str) -> bool {
    text.match_indices(way).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        before.is_none_or(|c| !crate::text::is_word(c))
    })
}

fn outside(folder: &Path) -> Vec<PathBuf> {
    let platform = folder.join("platform");
    let files = rust_files(folder).into_iter();
    files.filter(|file| !file.starts_with(&platform)).collect()
}

#[test]
fn the_agent_calls_the_system_in_one_place() {
    let folder = root().join("core/agent/src");
    let files = outside(&folder);
    assert!(files.len() > 20, "only {files:?} were found");
    let wrong = complaints(&files);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    for concern in ["files", "processes", "service"] {
        let file = folder.join("platform").join(concern);
        assert!(
            file.with_extension("rs").is_file() || file.join("mod.rs").is_file(),
            "{concern}"
        );
    }
}

#[test]
fn a_call_elsewhere_is_told() {
    let home = crate::tree::made(&[
        ("platform/files.rs", "use rustix::fs::open;\n"),
        (
            "a.rs",
            "//! Not rustix::fs.\nuse std::os::unix::fs::chown;\n",
        ),
        ("b.rs", "fn f() { let _ = posix::f(\"libc::x\"); }\n"),
        (
            "c.rs",
            "#[cfg(test)]\nmod tests {\n    use rustix::fs::open;\n}\n",
        ),
        ("d.rs", "fn f() { libc::getpid(); }\n"),
        ("e.rs", "const SELF: &str = \"/proc/self/exe\";\n"),
    ]);
    let wrong = complaints(&outside(home.path()));
    assert_eq!(wrong.len(), 3, "{wrong:?}");
    assert!(wrong[2].contains("e.rs:1: /proc"), "{wrong:?}");
    assert!(wrong[0].contains("a.rs:2: std::os::unix"), "{wrong:?}");
    assert!(wrong[1].contains("d.rs:1: libc::"), "{wrong:?}");
}
