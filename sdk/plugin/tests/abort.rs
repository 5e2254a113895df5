//! `panic = "abort"` would end the daemon with the first panic of a plugin, so
//! the SDK does not compile with it.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::process::Command;

/// What the compiler says about the SDK's root. It finds no other crate, and
/// complains about that in both cases.
fn compile(panic: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args([
            "--edition",
            "2024",
            "--crate-type",
            "lib",
            "--emit",
            "metadata",
        ])
        .args(["-C", &format!("panic={panic}")])
        .arg("--out-dir")
        .arg(folder.path())
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs"))
        .output()
        .unwrap();
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn it_is_refused_at_compile_time() {
    let refusal = "a plugin must not be built with `panic = \"abort\"`";
    let said = compile("abort");
    assert!(
        said.contains(&refusal.replace('"', "\\\"")) || said.contains(refusal),
        "{said}"
    );
    assert!(!compile("unwind").contains("a plugin must not be built"));
}
