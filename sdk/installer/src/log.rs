//! What an installer says goes to standard error, which in the background is
//! its log file. It must never fail, not even on a full disk.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::OFlags;

use crate::error::InstallError;

/// Beyond this the file is emptied before the next run, in bytes.
const LIMIT: u64 = 8 << 20;
/// Where the agent logs what installers print, too.
pub(crate) const FILE: &str = "logs/wpk-installer.log";

/// One line.
pub(crate) fn say(text: impl std::fmt::Display) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    // There is nobody else to tell.
    let _ = writeln!(io::stderr(), "wpk-installer {now}: {text}");
}

/// Opens the log for a background process; without a folder `logs` there is none.
pub(crate) fn open(home: &Path) -> Result<File, InstallError> {
    let path = home.join(FILE);
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .custom_flags(flags.bits().cast_signed())
        .open(&path);
    let fail = |error| InstallError::path(&path, "log into it", error);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let null = Path::new("/dev/null");
            return OpenOptions::new()
                .write(true)
                .open(null)
                .map_err(|error| InstallError::path(null, "open", error));
        }
        Err(error) => return Err(fail(error)),
    };
    let meta = file.metadata().map_err(fail)?;
    if !meta.is_file() {
        return Err(fail(io::Error::other("it is no plain file")));
    }
    if meta.len() > LIMIT {
        file.set_len(0).map_err(fail)?;
    }
    Ok(file)
}
