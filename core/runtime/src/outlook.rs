//! What would keep an engine from being put together, found without doing it: what
//! `wpkd check` and `wpkctl doctor` are told. Whoever looks ahead enters here.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use wpk_api::settings::Problem;
use wpk_config::Settings;

use crate::clock::WallClock;
use crate::trust;

/// Looks at the folders and files of the engine's own settings; each problem has its
/// full key. Nothing is made.
pub fn outlook(settings: &Settings) -> Vec<Problem> {
    let mut problems = Vec::new();
    let cache = settings.path(&settings.cache.dir);
    if let Some(what) = blocked(&settings.home) {
        problems.push(Problem::new("home", what));
    } else if let Some(what) = blocked(&cache) {
        problems.push(Problem::new("cache.dir", what));
    }
    if let Err(error) = trust::load(settings, &(Arc::new(WallClock) as _)) {
        problems.push(Problem::new("cache.ca_store", error.to_string()));
    }
    problems
}

/// What lies where a folder is or will be made.
fn blocked(folder: &Path) -> Option<String> {
    let words = |at: &Path| {
        let at = at.display();
        Some(format!(
            "{at} is no folder; move it away, or name another place"
        ))
    };
    for at in folder.ancestors() {
        match at.metadata() {
            Ok(meta) if meta.is_dir() => return None,
            Ok(_) => return words(at),
            // A link that leads nowhere.
            Err(error) if error.kind() == ErrorKind::NotFound && at.is_symlink() => {
                return words(at);
            }
            // What is above it tells more, or nobody may look.
            Err(_) => {}
        }
    }
    None
}
