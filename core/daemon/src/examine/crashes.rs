//! Whether the daemon crashed, and whose code was running then.

use std::path::Path;
use std::time::SystemTime;

use wpk_api::examine::Check;
use wpk_api::paths::{CRASH_REPORT, LAST_CRASH_REPORT};

use crate::crash;

/// Looks for the report of the last crash; `None`: there is none.
pub(super) fn look(home: &Path) -> Option<Check> {
    // The first is there between a crash and the next start.
    let files = [CRASH_REPORT, LAST_CRASH_REPORT].map(|file| home.join(file));
    let mut found = files
        .iter()
        .filter_map(|file| Some((file, crash::read(file)?)));
    let (file, report) = found.next()?;
    let ago = ago(file).map_or(String::new(), |ago| format!(" {ago}"));
    Some(Check::warning(
        "crashes",
        format!("wpkd crashed{ago}: {report}"),
        format!(
            "correct or remove the plugin that is named, then delete {}",
            file.display()
        ),
    ))
}

/// How long ago a file was written.
fn ago(file: &Path) -> Option<String> {
    let written = file.metadata().ok()?.modified().ok()?;
    let hours = SystemTime::now().duration_since(written).ok()?.as_secs() / 3_600;
    Some(match hours {
        0 => "within the last hour".to_owned(),
        hours @ 1..48 => format!("{hours} h ago"),
        hours => format!("{} days ago", hours / 24),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_crashed_is_told_until_somebody_deletes_it() {
        let home = tempfile::tempdir().unwrap();
        assert!(look(home.path()).is_none());
        std::fs::create_dir_all(home.path().join("var/wpkd")).unwrap();
        // What a daemon that runs keeps open.
        std::fs::write(home.path().join(CRASH_REPORT), "").unwrap();
        assert!(look(home.path()).is_none());
        let report = "signal SIGSEGV\nplugin odd\nfile /opt/odd.so\n";
        std::fs::write(home.path().join(LAST_CRASH_REPORT), report).unwrap();
        let told = look(home.path()).unwrap().to_string();
        assert!(told.contains("odd (/opt/odd.so)"), "{told}");
        assert!(told.contains("within the last hour"), "{told}");
    }
}
