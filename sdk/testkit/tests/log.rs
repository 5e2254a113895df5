//! A log is kept whoever else runs beside the test: a process of its own, since the first
//! thread to log a line decides.
#![allow(clippy::unwrap_used, missing_docs)]

use std::thread;

use wpk_testkit::log::Log;

fn speak() {
    tracing::info!("spoken");
}

#[test]
fn a_line_that_another_thread_logged_first_is_kept() {
    let log = Log::of("log");
    let _kept = log.keep();
    thread::spawn(speak).join().unwrap();
    assert_eq!(log.events(), [], "another thread's is not ours");
    speak();
    assert_eq!(log.find("spoken").len(), 1);
}
