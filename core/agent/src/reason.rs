//! Why an upgrade failed, in the installer's words: `var/upgrade/upgrade_reason`, a line
//! beside the result, there before it (PROTOCOL.md, section 7). Installers may leave it out.

use std::io;
use std::path::{Path, PathBuf};

use wpk_api::words::clean;

use crate::home;
use crate::result::read_small;

const NAME: &str = "upgrade_reason";
/// What is told of it, in bytes.
const LONGEST: usize = 512;

/// The words beside this result; `None` where there are none.
pub(crate) fn read(result: &Path) -> Option<String> {
    let mut bytes = read_small(&file(result), LONGEST as u64).ok()?;
    bytes.truncate(LONGEST);
    let text = String::from_utf8_lossy(&bytes);
    let words = clean(text.lines().next()?.trim(), LONGEST);
    (!words.is_empty()).then_some(words)
}

/// They were told, or are of no result that counts.
pub(crate) fn forget(result: &Path) {
    let file = file(result);
    match home::remove(&file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!("{}: cannot be removed: {error}", file.display());
        }
        _ => {}
    }
}

fn file(result: &Path) -> PathBuf {
    result.with_file_name(NAME)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_line_is_read_and_nothing_that_steers_or_leads_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let result = dir.path().join("upgrade_result");
        let reason = dir.path().join(NAME);
        assert_eq!(read(&result), None);
        for (text, told) in [
            ("", None),
            ("\n\n", None),
            ("no room\nmore\n", Some("no room".to_owned())),
            (&"x".repeat(10_000), Some("x".repeat(LONGEST))),
        ] {
            fs::write(&reason, text).unwrap();
            assert_eq!(read(&result), told);
        }
        fs::write(&reason, b"\x1b[2J\xff\xfe evil").unwrap();
        assert!(!read(&result).unwrap().contains(wpk_api::words::steers));
        forget(&result);
        assert!(!reason.exists());
        fs::write(dir.path().join("secret"), "secret").unwrap();
        std::os::unix::fs::symlink("secret", &reason).unwrap();
        assert_eq!(read(&result), None);
    }
}
