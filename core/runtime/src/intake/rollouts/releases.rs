//! `release_list`, `release_deny`, `release_allow`.

use wpk_api::Version;
use wpk_rollout::Desired;
use wpk_wire::own::rollout::{ChangeRelease, ListedRelease};
use wpk_wire::{Refusal, Response};

use super::refusals::{of_store, refused};
use crate::rollout::{Book, Denial, KeptReleases, Who, view};
use crate::workshop::Workshop;

/// Answers `release_list`, by version.
pub(super) async fn list(workshop: &Workshop) -> Result<Response, Refusal> {
    let (view, book) = view(workshop).await.map_err(of_store)?;
    let mut versions: Vec<Version> = view
        .desired
        .releases
        .0
        .iter()
        .map(|one| one.version)
        .collect();
    versions.sort_unstable();
    versions.dedup();
    let listed = versions
        .into_iter()
        .map(|version| item(&view.desired, &book, version).to_item());
    Ok(Response::success(listed.collect()))
}

fn item(desired: &Desired, book: &Book, version: Version) -> ListedRelease {
    let known = desired.releases.0.iter().find(|one| one.version == version);
    let denial = book.releases.denied.get(&version);
    ListedRelease {
        version: version.to_string(),
        floors: known
            .iter()
            .flat_map(|one| &one.floors)
            .map(ToString::to_string)
            .collect(),
        denied: known.is_some_and(|one| one.denied),
        reason: denial.map(|one| (&one.reason).into()),
        at: denial.map(|one| one.at),
        who: denial.map(|one| (&one.who).into()),
        sha256: known.map(|one| one.sha256.clone()).unwrap_or_default(),
    }
}

/// Answers `release_deny` and `release_allow`.
pub(super) async fn change(
    workshop: &Workshop,
    who: &Who,
    asked: ChangeRelease,
) -> Result<Response, Refusal> {
    let (version, reason) = match asked {
        ChangeRelease::Deny { version, reason } => (version, Some(reason)),
        ChangeRelease::Allow { version } => (version, None),
    };
    let changed = crate::rollout::change(workshop, who, |asked| {
        let mut kept = KeptReleases::clone(&asked.book.releases);
        match &reason {
            Some(reason) => {
                if kept.denied.contains_key(&version) {
                    return Err(format!("release {version} is denied already"));
                }
                let denial = Denial {
                    reason: reason.clone(),
                    who: asked.who.to_owned(),
                    at: asked.now,
                };
                kept.denied.insert(version, denial);
                // A target or a hop: every rollout is told, in this transaction.
                asked
                    .desired
                    .rollouts
                    .iter_mut()
                    .for_each(|one| one.deny(version));
                asked.tell(None, "denied", &format!("release {version}: {reason}"));
            }
            None => {
                let mut defined = false;
                for release in kept.defined.iter_mut().flat_map(|all| &mut all.0) {
                    if release.version == version && release.denied {
                        (release.denied, defined) = (false, true);
                    }
                }
                if kept.denied.remove(&version).is_none() && !defined {
                    return Err(format!("release {version} is not denied"));
                }
                asked.tell(None, "allowed", &format!("release {version}"));
            }
        }
        asked.write(asked.book.of_releases(&kept))?;
        Ok(())
    });
    changed.await.map_err(refused)?;
    let (view, book) = view(workshop).await.map_err(of_store)?;
    Ok(Response::success(vec![
        item(&view.desired, &book, version).to_item(),
    ]))
}
