//! Which versions there are: what the folders of many wishes list. `serve` enters here.

use std::collections::{BTreeSet, HashSet};

use futures_util::{StreamExt, stream};
use wpk_api::repository::{Base, Layout, Place};
use wpk_api::{Platform, ProviderError, Version, WantedRelease};

use crate::provider::{Folder, NoFolder, Repository};

/// The most lists that are asked for; thousands of agents share a few.
const MOST_LISTS: usize = 64;
/// Lists that are asked for at the same time.
const AT_ONCE: usize = 8;

/// A folder that may list versions.
struct Shelf {
    wish: WantedRelease,
    base: Base,
    place: Place,
}

/// Each version once that can be had for one of the wishes. Every list is asked for once:
/// somebody waits. One that is missing lists nothing; of one that cannot be had the others
/// are told nevertheless.
///
/// # Errors
/// [`ProviderError`] of the first list that cannot be had, where no version was found.
pub(crate) async fn versions(
    repository: &Repository,
    wishes: &[WantedRelease],
) -> Result<Vec<Version>, ProviderError> {
    let (shelves, unnamed) = shelves(repository, wishes);
    // What has no place matters only where nothing else has one.
    let mut failed = unnamed.filter(|_| shelves.is_empty());
    let looked = stream::iter(shelves).map(|shelf| look(repository, shelf));
    let looked: Vec<_> = looked.buffered(AT_ONCE).collect().await;
    let mut found = BTreeSet::new();
    for versions in looked {
        match versions {
            Ok(versions) => found.extend(versions),
            Err(error) => {
                failed.get_or_insert(error);
            }
        }
    }
    match failed {
        Some(error) if found.is_empty() => return Err(error),
        Some(error) => {
            tracing::debug!(%error, "versions of a list that cannot be had are left out")
        }
        None => {}
    }
    Ok(found.into_iter().collect())
}

/// Where to look, each place once: the newest layouts of all platforms before older ones;
/// and why a wish has no place, for the first that has none.
fn shelves(
    repository: &Repository,
    wishes: &[WantedRelease],
) -> (Vec<Shelf>, Option<ProviderError>) {
    let (mut shelves, mut known, mut unnamed) = (Vec::new(), HashSet::new(), None);
    let oldest = wishes
        .iter()
        .map(|wish| layouts(&wish.platform).len())
        .max();
    for age in 0..oldest.unwrap_or_default() {
        for wish in wishes {
            let Some(layout) = layouts(&wish.platform).get(age) else {
                continue;
            };
            let shelf = shelf(repository, wish, *layout);
            match shelf {
                Ok(shelf) => {
                    let url = shelf.base.join(&shelf.place.versions());
                    if known.insert(url) && shelves.len() < MOST_LISTS {
                        shelves.push(shelf);
                    }
                }
                Err(error) => {
                    unnamed.get_or_insert(error);
                }
            }
        }
    }
    (shelves, unnamed)
}

fn layouts(platform: &Platform) -> &'static [Layout] {
    Layout::of_platform(platform)
}

fn shelf(
    repository: &Repository,
    wish: &WantedRelease,
    layout: Layout,
) -> Result<Shelf, ProviderError> {
    Ok(Shelf {
        wish: wish.clone(),
        base: repository.base(wish, repository.typical_version(layout))?,
        place: layout.place(&wish.platform, wish.package_type)?,
    })
}

/// What lies on a shelf; what is listed there and lies elsewhere is looked for there.
async fn look(repository: &Repository, shelf: Shelf) -> Result<Vec<Version>, ProviderError> {
    let Shelf { wish, base, place } = shelf;
    let requested = wish.repository.is_some();
    let folder = repository.folder_at(base, place, requested, 1).await;
    let Folder { place, list, .. } = match folder {
        Ok(folder) => folder,
        Err(NoFolder::NoList(_, error)) if error.not_found() => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let here = |version: &Version| {
        let of = Place::of(&wish.platform, wish.package_type, *version);
        of.is_ok_and(|of| of == place)
    };
    let listed = list.versions.files().map(|(version, _)| version);
    Ok(listed.filter(here).collect())
}
