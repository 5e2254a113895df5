//! What is defined: two sites, two releases, and a rollout for each.

use crate::agents::NEW;

/// Agents of each site.
pub(crate) const EACH: usize = 20;
/// The wave that goes first.
pub(crate) const CANARY: &str = "canary";
/// Its agents, of which none may fail.
const FIRST: usize = 4;

/// A site of the demo.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Site {
    /// Its name, which is a label of its agents.
    pub(crate) name: &'static str,
    zone: &'static str,
    /// The most of its agents in flight at once.
    pub(crate) most: usize,
}

/// The sites, in the order of their agents.
pub(crate) const SITES: [Site; 2] = [
    Site {
        name: "lyon",
        zone: "Europe/Paris",
        most: 6,
    },
    Site {
        name: "osaka",
        zone: "Asia/Tokyo",
        most: 8,
    },
];

/// A release, and its rollout.
#[derive(Debug)]
pub(crate) struct Release {
    /// The rollout's name.
    pub(crate) name: &'static str,
    /// Its version.
    pub(crate) version: &'static str,
    /// Whether its program runs.
    pub(crate) works: bool,
    /// The same in words.
    pub(crate) is: &'static str,
}

/// It must reach all.
pub(crate) const GOOD: Release = Release {
    name: "good",
    version: NEW,
    works: true,
    is: "is good",
};

/// It must reach nobody but the first of its canary.
pub(crate) const BAD: Release = Release {
    name: "bad",
    version: "v4.14.1",
    works: false,
    is: "has a program that does not run",
};

/// The rollout of a release as an administrator writes it. The sites are defined with the
/// first one and stay.
pub(crate) fn definition(release: &Release) -> String {
    let mut text = String::new();
    if release.works {
        for Site { name, zone, most } in &SITES {
            text += &format!(
                "[[site]]\n\
                 name = \"{name}\"\n\
                 select = \"label.site = {name}\"\n\
                 time_zone = \"{zone}\"\n\
                 max_concurrent = {most}\n\n"
            );
        }
    }
    let Release { name, version, .. } = release;
    let [here, there] = SITES.each_ref().map(|site| site.name);
    text += &format!(
        "[[rollout]]\n\
         name = \"{name}\"\n\
         select = \"site in ({here}, {there}) and version < {version}\"\n\
         target = \"{version}\"\n\
         retries = 0\n\
         \n\
         \x20 [[rollout.wave]]\n\
         \x20 name = \"{CANARY}\"\n\
         \x20 size = {FIRST}\n\
         \x20 min_sample = {FIRST}\n\
         \x20 max_failures = 0\n\
         \x20 soak = \"3s\"\n\
         \x20 strict = true\n\
         \n\
         \x20 [[rollout.wave]]\n\
         \x20 name = \"rest\"\n\
         \x20 size = \"100%\"\n\
         \x20 max_failures = \"5%\"\n\
         \x20 soak = \"2s\"\n"
    );
    text
}
