//! Which versions there are: what the folders of many wishes list. `serve` enters here.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};
use wpk_api::repository::{Base, Layout, Place};
use wpk_api::{Listed, Platform, ProviderError, Version, WantedRelease};

use crate::list::NoList;
use crate::provider::{Folder, NoFolder, Repository};

/// The most lists that are asked for; thousands of agents share a few.
const MOST_LISTS: usize = 64;
/// Lists that are asked for at the same time.
const AT_ONCE: usize = 8;
/// How long a list keeps others waiting. All have been asked for after 2 s, whatever hangs.
const TURN: Duration = Duration::from_millis(250);
/// How long all lists take at most: the engine waits for 5 s.
const WITHIN: Duration = Duration::from_secs(4);

/// A folder that may list versions.
struct Shelf {
    wish: WantedRelease,
    base: Base,
    place: Place,
}

/// Where to look.
#[derive(Default)]
struct Shelves {
    /// Each place once, at most [`MOST_LISTS`].
    shelves: Vec<Shelf>,
    /// Places beyond these.
    left_out: usize,
    /// Why a wish has no place, for the first that has none.
    unnamed: Option<ProviderError>,
}

/// Each version once that can be had for one of the wishes. Every list is asked for once:
/// somebody waits. One that is missing lists nothing; of one that cannot be had in time the
/// others are told nevertheless, and why it is not.
///
/// # Errors
/// [`ProviderError`] where no wish has a place.
pub(crate) async fn versions(
    repository: &Repository,
    wishes: &[WantedRelease],
) -> Result<Listed, ProviderError> {
    let Shelves {
        shelves,
        left_out,
        unnamed,
    } = shelves(repository, wishes);
    // What has no place matters only where nothing else has one.
    if let Some(error) = unnamed.filter(|_| shelves.is_empty()) {
        return Err(error);
    }
    let deadline = Instant::now() + WITHIN;
    let turns = Semaphore::new(AT_ONCE);
    let looks = shelves.into_iter().map(|shelf| {
        let url = shelf.url();
        let looked = timeout_at(deadline, in_turn(&turns, look(repository, shelf)));
        async move {
            let too_slow = |_| Err(NoList::Slow(WITHIN).at(&url));
            looked.await.unwrap_or_else(too_slow)
        }
    });
    let mut found = BTreeSet::new();
    let mut incomplete = Vec::new();
    for looked in join_all(looks).await {
        match looked {
            Ok(versions) => found.extend(versions),
            Err(error) => incomplete.push(error.to_string()),
        }
    }
    if left_out > 0 {
        let all = MOST_LISTS + left_out;
        let why = format!("only {MOST_LISTS} of {all} lists of versions were asked for");
        incomplete.insert(0, why);
    }
    Ok(Listed {
        versions: found.into_iter().collect(),
        incomplete,
    })
}

/// What comes of some work, which begins when it has its turn and goes on when that is over.
async fn in_turn<T>(turns: &Semaphore, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    // Nobody closes it.
    let turn = turns.acquire().await;
    if let Ok(done) = timeout(TURN, &mut work).await {
        return done;
    }
    drop(turn);
    work.await
}

/// Where to look: the newest layouts of all platforms before older ones.
fn shelves(repository: &Repository, wishes: &[WantedRelease]) -> Shelves {
    let (mut all, mut known) = (Shelves::default(), HashSet::new());
    let oldest = wishes
        .iter()
        .map(|wish| layouts(&wish.platform).len())
        .max();
    for age in 0..oldest.unwrap_or_default() {
        for wish in wishes {
            let Some(layout) = layouts(&wish.platform).get(age) else {
                continue;
            };
            match shelf(repository, wish, *layout) {
                Ok(shelf) if !known.insert(shelf.url()) => {}
                Ok(shelf) if all.shelves.len() < MOST_LISTS => all.shelves.push(shelf),
                Ok(_) => all.left_out += 1,
                Err(error) => {
                    all.unnamed.get_or_insert(error);
                }
            }
        }
    }
    all
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

impl Shelf {
    /// Where its list is.
    fn url(&self) -> String {
        self.base.join(&self.place.versions())
    }
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
