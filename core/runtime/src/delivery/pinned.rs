//! Whether a file is one that its release is pinned to (`sha256` of `[[release]]`). What is
//! compared is the open file that is going to be sent.

use wpk_api::{TaskId, Version, Wanted};

use crate::cache::WpkFile;
use crate::failure::Failure;
use crate::rollout::target_of;
use crate::workshop::Workshop;

/// Compares a file of `version`, if that is known, and of the version that a rollout sends
/// with a file of a machine.
///
/// # Errors
/// It is another file, or nobody can tell.
pub(super) async fn check(
    workshop: &Workshop,
    wanted: &Wanted,
    task: TaskId,
    version: Option<Version>,
    file: &WpkFile,
) -> Result<(), Failure> {
    let unread = |error| {
        Failure::local(format!(
            "which digests releases are pinned to cannot be read: {error}"
        ))
    };
    let of_rollout = match wanted {
        Wanted::Release(_) => None,
        Wanted::File(_) => target_of(workshop.store(), task).await.map_err(unread)?,
    };
    let versions = version.into_iter();
    let versions = versions.chain(of_rollout.filter(|target| Some(*target) != version));
    for version in versions {
        let pins =
            workshop
                .rollouts
                .pins
                .of(workshop.store(), &workshop.settings.releases, version);
        for pinned in pins.await.map_err(unread)? {
            let found = workshop.cache.sha256(file).await?;
            if !pinned.digests.0.contains(&found) {
                return Err(Failure::not_listed(
                    &file.name,
                    version,
                    found,
                    pinned.whose,
                ));
            }
        }
    }
    Ok(())
}
