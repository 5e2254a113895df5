//! Room for downloads where the cache is or will be.

use std::path::{Path, PathBuf};

use wpk_api::examine::Check;
use wpk_config::Settings;

const MIB: u64 = 1 << 20;
/// Below this no WPK fits, in bytes.
const LEAST: u64 = 100 * MIB;
/// The fewest free files.
const LEAST_FILES: u64 = 100;

/// Looks at the file system of the cache.
pub(super) fn look(settings: &Settings) -> Check {
    const NAME: &str = "disk space";
    let cache = settings.path(&settings.cache.dir);
    let place = existing(&cache);
    let shown = cache.display();
    let advice = "make room, or move the cache with cache.dir";
    let stat = match rustix::fs::statvfs(&place) {
        Ok(stat) => stat,
        Err(error) => {
            let detail = format!("{} cannot be asked: {error}", place.display());
            return Check::failure(NAME, detail, "ask as root or as the user of wpkd");
        }
    };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let detail = format!("{} MiB free for {shown}", free / MIB);
    let wanted = settings.cache.max_size.0;
    if free < LEAST {
        Check::failure(NAME, detail, advice)
    } else if stat.f_files > 0 && stat.f_favail < LEAST_FILES {
        let detail = format!("{} files can be made in {shown}", stat.f_favail);
        Check::failure(NAME, detail, advice)
    } else if free < wanted {
        let detail = format!("{detail}, the largest download is {} MiB", wanted / MIB);
        Check::warning(NAME, detail, format!("{advice}, or lower cache.max_size"))
    } else {
        Check::ok(NAME, detail)
    }
}

/// The folder, or the nearest above it that exists.
fn existing(folder: &Path) -> PathBuf {
    let there = folder.ancestors().find(|folder| folder.exists());
    there.unwrap_or(Path::new("/")).to_owned()
}
