//! `upgrade_versions`: which versions the repositories have for the agents there are, the
//! newest first: what a command line proposes. Where some could not be looked at, the last
//! item is an [`Incomplete`].

use serde::{Deserialize, Serialize};
use wpk_api::Version;

use super::rollout::Words;
use crate::upgrade::response::Item;

/// Asks for the versions; no parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AskVersions {}

impl AskVersions {
    /// The most versions of an answer; of more the newest are told.
    pub const MOST: usize = 1_000;
}

/// A version that some agent can be upgraded to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedVersion {
    /// The version.
    pub version: Version,
}

impl ListedVersion {
    /// The item of the answer.
    pub fn to_item(self) -> Item {
        Item::default().with(&self)
    }

    /// Reads an item of the answer; `None` if it is no version.
    pub fn from_item(item: &Item) -> Option<Self> {
        item.read().ok()
    }
}

/// That there may be others, and why they are not told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incomplete {
    /// A reason each, at most [`Incomplete::MOST`].
    pub incomplete: Vec<Words>,
}

impl Incomplete {
    /// The most reasons of an answer.
    pub const MOST: usize = 10;

    /// The item of the answer.
    pub fn to_item(&self) -> Item {
        Item::default().with(self)
    }

    /// Reads an item of the answer; `None` if it is a version.
    pub fn from_item(item: &Item) -> Option<Self> {
        item.read().ok()
    }
}
