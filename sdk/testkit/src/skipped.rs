//! Tests that are left out where what they need is not installed: a person sees it, and CI
//! does not let it pass.

use std::io::Write as _;

/// Says on the terminal that a test leaves itself out, also where its output is captured.
///
/// # Panics
/// Where everything that tests need must be there (`WPK_REQUIRE_TOOLS`, `CI`).
pub fn leave_out(why: &str) {
    let required = ["WPK_REQUIRE_TOOLS", "CI"];
    if required
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
    {
        panic!("{why}");
    }
    say_skipped(why);
}

/// Says the same of a test that may be left out anywhere, or of a part of one.
pub fn say_skipped(why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // `eprintln!` would be captured.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
}
