//! Rights of folders and files, and room for downloads.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use wpk_config::Settings;

use super::report::Check;

const MIB: u64 = 1 << 20;
/// Below this no WPK fits.
const LEAST: u64 = 100 * MIB;
/// The fewest free files.
const LEAST_FILES: u64 = 100;

/// Whether a stranger could put other files, sockets or settings in place, and
/// whether the daemon may write where it must.
pub(super) fn rights(
    upgrade: Option<&Path>,
    config: Option<&Path>,
    settings: &Settings,
) -> Vec<Check> {
    const NAME: &str = "rights";
    let cache = settings.path(&settings.cache.dir);
    let sockets = upgrade.and_then(Path::parent).map(Path::to_owned);
    let mut paths = vec![settings.home.clone()];
    paths.extend(sockets);
    paths.push(cache.clone());
    paths.extend(config.map(Path::to_owned));
    paths.sort();
    paths.dedup();
    let mut checks: Vec<Check> = paths
        .iter()
        .filter_map(|path| strangers(NAME, path))
        .collect();
    // The socket belongs to whom the daemon runs as.
    let daemon = upgrade.and_then(|path| path.metadata().ok());
    if let (Some(daemon), Ok(folder)) = (daemon, cache.metadata())
        && !may_write(&folder, &daemon)
    {
        checks.push(Check::failure(
            NAME,
            format!(
                "{} belongs to user {}, and wpkd runs as user {}",
                cache.display(),
                folder.uid(),
                daemon.uid()
            ),
            format!("chown -R {} {}", daemon.uid(), cache.display()),
        ));
    }
    if checks.is_empty() {
        paths.retain(|path| path.exists());
        let shown: Vec<String> = paths
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        checks.push(match shown.is_empty() {
            false => {
                let detail = format!("no stranger may write to {}", shown.join(", "));
                Check::ok(NAME, detail)
            }
            true => {
                let detail = format!("{} is not there yet", settings.home.display());
                Check::warning(NAME, detail, "wpkd makes it when it first starts")
            }
        });
    }
    checks
}

/// A complaint about one path, if there is any. A folder that is not there yet
/// is made by the daemon.
fn strangers(name: &'static str, path: &Path) -> Option<Check> {
    let shown = path.display();
    match path.metadata() {
        Ok(meta) if meta.mode() & 0o002 != 0 => Some(Check::failure(
            name,
            format!(
                "every user may write to {shown} (mode {:04o})",
                meta.mode() & 0o7777
            ),
            format!("chmod o-w {shown}"),
        )),
        Ok(_) => None,
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => Some(Check::warning(
            name,
            format!("{shown} cannot be looked at: {error}"),
            "ask as root or as the user of wpkd",
        )),
    }
}

fn may_write(folder: &Metadata, daemon: &Metadata) -> bool {
    let owner = folder.uid() == daemon.uid() && folder.mode() & 0o300 == 0o300;
    let group = folder.gid() == daemon.gid() && folder.mode() & 0o030 == 0o030;
    daemon.uid() == 0 || owner || group || folder.mode() & 0o003 == 0o003
}

/// Room for downloads where the cache is or will be.
pub(super) fn space(settings: &Settings) -> Check {
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
