//! Programs that a test writes and then runs.
//!
//! The kernel runs no file that somebody holds open for writing (`ETXTBSY`, "Text file
//! busy"). A test that writes one itself cannot know that: a process that another test is
//! just starting has a copy of the descriptor until it runs its own program. So a process
//! that starts no others writes it, and has ended before anybody runs it.

use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};

const WRITE: &str = r#"umask 077 && cat > "$1" && chmod "$2" "$1""#;

/// Writes a program to be run, with these rights (`0o750`).
///
/// # Errors
/// Those of writing the file, or that there is no shell.
pub fn write_executable(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut writer = Command::new("sh")
        .args(["-c", WRITE, "sh"])
        .arg(path)
        .arg(format!("{mode:o}"))
        .stdin(Stdio::piped())
        .spawn()?;
    let written = writer.stdin.take().map(|mut pipe| pipe.write_all(content));
    let ended = writer.wait()?;
    written.transpose()?;
    match ended.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("{}: {ended}", path.display()))),
    }
}
