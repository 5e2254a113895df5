//! Crashes: what ends the process from inside, such as a plugin that follows a wild
//! pointer. `handler` writes down which signal it was and whose code was running,
//! into a file of the home that was opened before, and to standard error; the next
//! start reads it (`report`), so that a delivery that meets a crash again and again
//! comes to an end. A daemon that is killed from outside leaves no report.

mod handler;
mod report;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::IntoRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use tracing::{error, warn};
use wpk_api::paths::{CRASH_REPORT, LAST_CRASH_REPORT};

pub(crate) use handler::watch;
pub(crate) use report::Report;

/// The longest report that is read, in bytes.
const LONGEST: u64 = 4096;

/// What the last run left, if it crashed; reports go into the home from now on. The
/// last one is kept there.
pub(crate) fn begin(home: &Path) -> Option<Report> {
    let (now, last) = (home.join(CRASH_REPORT), home.join(LAST_CRASH_REPORT));
    let left = read(&now);
    if let Some(report) = &left {
        error!(report = %last.display(), "the last run of wpkd crashed: {report}");
        if let Err(error) = std::fs::rename(&now, &last) {
            warn!(path = %now.display(), %error, "the report of the crash cannot be kept");
        }
    }
    match open(&now) {
        Ok(file) => handler::report_to(file.into_raw_fd()),
        Err(error) => {
            warn!(path = %now.display(), %error, "a crash could not be written down");
        }
    }
    left
}

/// The report in a file; `None` if there is none.
pub(crate) fn read(path: &Path) -> Option<Report> {
    let mut text = Vec::new();
    let file = File::open(path).ok()?;
    file.take(LONGEST).read_to_end(&mut text).ok()?;
    Report::parse(&String::from_utf8_lossy(&text))
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o750).create(folder)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o640);
    options.open(path)
}
