//! The home: is there room, and what did earlier upgrades leave?

use std::fs;
use std::path::Path;

use wpk_api::examine::Check;
use wpk_api::paths;
use wpk_api::settings::ByteSize;

use crate::home::STAGING;
use crate::platform::files;

/// Bytes below which an upgrade may fail, and below which it does.
const LITTLE: u64 = 512 << 20;
const TOO_LITTLE: u64 = 16 << 20;

/// Looks at it.
pub(super) fn look(home: &Path) -> Vec<Check> {
    let mut checks = vec![room(home), leftovers(home)];
    checks.extend(unfinished(home));
    checks
}

fn room(home: &Path) -> Check {
    const NAME: &str = "disk";
    let shown = home.display();
    let free = match files::room(home) {
        Ok(free) => free,
        Err(error) => return Check::failure(NAME, format!("{shown}: {error}"), ""),
    };
    let detail = format!("{} MiB free in {shown}", free >> 20);
    let advice = "a package is there three times while it is unpacked: make room";
    if free < TOO_LITTLE {
        Check::failure(NAME, detail, advice)
    } else if free < LITTLE {
        Check::warning(NAME, detail, advice)
    } else {
        Check::ok(NAME, detail)
    }
}

/// What failed deliveries left.
fn leftovers(home: &Path) -> Check {
    const NAME: &str = "leftovers";
    let entries = |folder: &str| {
        fs::read_dir(home.join(folder))
            .into_iter()
            .flatten()
            .flatten()
    };
    let (mut files, mut bytes) = (0_usize, 0_u64);
    for entry in entries(paths::INCOMING_FOLDER) {
        files += 1;
        bytes = bytes.saturating_add(entry.metadata().map_or(0, |about| about.len()));
    }
    let staging = entries(paths::UPGRADE_FOLDER)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(STAGING))
        .count();
    match (files, staging) {
        (0, 0) => Check::ok(NAME, "none"),
        _ => Check::ok(
            NAME,
            format!(
                "{files} files of deliveries ({}) and {staging} half unpacked packages; the \
                 agent removes them at its start, or when it needs their room",
                ByteSize(bytes)
            ),
        ),
    }
}

/// An upgrade whose installer was killed.
fn unfinished(home: &Path) -> Option<Check> {
    let folder = home.join("var/installer");
    let journal = ["journal", "previous"]
        .iter()
        .any(|name| folder.join(name).exists());
    if !journal || files::holder(&folder.join("lock")).is_some() {
        return None;
    }
    Some(Check::warning(
        "unfinished",
        "an upgrade was cut short",
        "the next start of the agent ends it: start it, or run var/installer/finish in its home",
    ))
}
