//! Rights of folders and files: whether a stranger could put other files,
//! sockets or settings in place, and whether the daemon may write where it must.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use wpk_api::examine::Check;
use wpk_config::Settings;

const NAME: &str = "rights";

/// Looks at the home, the cache, the file with the settings, and the folders of
/// `sockets`: what the daemon serves.
pub(super) fn look(settings: &Settings, config: Option<&Path>, sockets: &[PathBuf]) -> Vec<Check> {
    let cache = settings.path(&settings.cache.dir);
    let mut paths = vec![settings.home.clone(), cache.clone()];
    paths.extend(
        sockets
            .iter()
            .filter_map(|path| path.parent().map(Path::to_owned)),
    );
    paths.extend(config.map(Path::to_owned));
    paths.sort();
    paths.dedup();
    let mut checks: Vec<Check> = paths.iter().filter_map(|path| strangers(path)).collect();
    // A socket belongs to whom the daemon runs as.
    let daemon = sockets.iter().find_map(|path| path.metadata().ok());
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
        checks.push(good(settings, &paths));
    }
    checks
}

fn good(settings: &Settings, paths: &[PathBuf]) -> Check {
    let there = paths.iter().filter(|path| path.exists());
    let shown: Vec<String> = there.map(|path| path.display().to_string()).collect();
    if shown.is_empty() {
        let detail = format!("{} is not there yet", settings.home.display());
        return Check::warning(NAME, detail, "wpkd makes it when it first starts");
    }
    Check::ok(
        NAME,
        format!("no stranger may write to {}", shown.join(", ")),
    )
}

/// A complaint about one path, if there is any. A folder that is not there yet
/// is made by the daemon.
fn strangers(path: &Path) -> Option<Check> {
    let shown = path.display();
    match path.metadata() {
        Ok(meta) if meta.mode() & 0o002 != 0 => {
            let mode = meta.mode() & 0o7777;
            let detail = format!("every user may write to {shown} (mode {mode:04o})");
            Some(Check::failure(NAME, detail, format!("chmod o-w {shown}")))
        }
        Ok(_) => None,
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => Some(Check::warning(
            NAME,
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
