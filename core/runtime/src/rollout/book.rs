//! What the store keeps of rollouts, read and written: documents, each parsed once for as
//! long as it stays as it is.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wpk_api::{
    AgentId, Digests, Document as Kept, DocumentWrite, Guard, Incarnation, Labels, NewDocument,
    StoreError, StoreResult, TaskStore, UnixTime, Version,
};
use wpk_rollout::{Desired, Document, Release, Releases, RolloutKey, Sites};

/// With what the keys of rollouts begin; `NAME#GENERATION` follows.
pub(crate) const ROLLOUTS: &str = "rollout/";
/// With what the keys of all else begin.
const FLEET: &str = "fleet/";
const SITES: &str = "fleet/sites";
pub(super) const RELEASES: &str = "fleet/releases";
const HOLDS: &str = "fleet/holds";
const LABELS: &str = "fleet/labels";
const PLANNER: &str = "fleet/planner";
/// Written by every wish of an operator, so that of two at a time one begins anew.
const TURN: &str = "fleet/turn";
/// Documents read at a time.
const PAGE: usize = 64;

/// Why an agent is held, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hold {
    pub(crate) reason: String,
    pub(crate) who: String,
    pub(crate) at: UnixTime,
}

/// Why a release was denied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Denial {
    pub(crate) reason: String,
    pub(crate) who: String,
    pub(crate) at: UnixTime,
}

/// What is stored of releases.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptReleases {
    /// Of the file that was applied last and had any; `None`: those of the settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) defined: Option<Releases>,
    /// By an operator.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) denied: BTreeMap<Version, Denial>,
}

/// Which daemon carries plans out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Planner {
    pub(crate) node: String,
    pub(crate) incarnation: Incarnation,
    pub(crate) since: UnixTime,
}

/// All of it at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Book {
    pub(crate) sites: Option<Arc<Sites>>,
    pub(crate) rollouts: BTreeMap<String, Arc<Document>>,
    pub(crate) releases: Arc<KeptReleases>,
    pub(crate) holds: Arc<BTreeMap<AgentId, Hold>>,
    pub(crate) labels: Arc<BTreeMap<AgentId, Labels>>,
    pub(crate) planner: Option<Planner>,
    versions: HashMap<String, u64>,
}

/// The labels that the store keeps, as they were read last, and in which version.
pub(crate) type KnownLabels = Option<(u64, Arc<BTreeMap<AgentId, Labels>>)>;

/// The same of the sites.
pub(crate) type KnownSites = Option<(u64, Arc<Sites>)>;

/// What shows that nobody wrote documents: how often this daemon did, and where others may,
/// the two of which one is written whenever another daemon writes any while this one plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    own: u64,
    others: [Option<u64>; 2],
}

impl Stamp {
    /// Taken before documents are read.
    pub(super) async fn take(store: &dyn TaskStore, own: u64, shared: bool) -> StoreResult<Self> {
        let mut others = [None, None];
        if shared {
            for (key, version) in [TURN, PLANNER].into_iter().zip(&mut others) {
                let found = store.documents(key, "", 1).await?;
                *version = found.first().map(|kept| kept.version);
            }
        }
        Ok(Self { own, others })
    }
}

/// What was read before, by key and version.
#[derive(Default)]
pub(crate) struct Known {
    rollouts: HashMap<String, (u64, Arc<Document>)>,
    sites: KnownSites,
    releases: Option<(u64, Arc<KeptReleases>)>,
    holds: Option<(u64, Arc<BTreeMap<AgentId, Hold>>)>,
    labels: KnownLabels,
}

/// The key of a rollout's document.
pub(crate) fn key_of(rollout: &RolloutKey) -> String {
    format!("{ROLLOUTS}{rollout}")
}

/// The name of the rollout that has this key; the key itself where it is no rollout's.
pub(crate) fn name_of(key: &str) -> &str {
    let rollout = key.strip_prefix(ROLLOUTS).unwrap_or(key);
    rollout.rsplit_once('#').map_or(rollout, |(name, _)| name)
}

impl Book {
    /// Reads it. Rollouts come first: whoever changes sites or releases raises their epochs
    /// with it, so that what is planned from older ones is refused.
    pub(crate) async fn read(store: &dyn TaskStore, known: &mut Known) -> StoreResult<Self> {
        let mut book = Self::default();
        let mut rollouts = HashMap::new();
        for kept in all(store, ROLLOUTS).await? {
            let document = match known.rollouts.remove(&kept.key) {
                Some((version, document)) if version == kept.version => document,
                _ => Arc::new(parse::<Document>(&kept)?),
            };
            book.versions.insert(kept.key.clone(), kept.version);
            rollouts.insert(kept.key.clone(), (kept.version, document.clone()));
            book.rollouts.insert(kept.key, document);
        }
        known.rollouts = rollouts;
        for kept in all(store, FLEET).await? {
            match kept.key.as_str() {
                SITES => book.sites = Some(once(&mut known.sites, &kept)?),
                RELEASES => book.releases = once(&mut known.releases, &kept)?,
                HOLDS => book.holds = once(&mut known.holds, &kept)?,
                LABELS => book.labels = once(&mut known.labels, &kept)?,
                PLANNER => book.planner = Some(parse(&kept)?),
                _ => {}
            }
            book.versions.insert(kept.key, kept.version);
        }
        Ok(book)
    }

    /// Whether nothing was written between the two.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.versions == other.versions
    }

    /// What the planner is given, where the settings say this of releases.
    pub(crate) fn desired(&self, settings: &Releases) -> Desired {
        let mut releases = self
            .releases
            .defined
            .clone()
            .unwrap_or_else(|| settings.clone());
        for version in self.releases.denied.keys() {
            match releases.0.iter_mut().find(|one| one.version == *version) {
                Some(known) => known.denied = true,
                None => releases.0.push(Release {
                    version: *version,
                    floors: Vec::new(),
                    denied: true,
                    sha256: Digests::default(),
                }),
            }
        }
        let rollouts = self.rollouts.values();
        Desired {
            sites: self.sites.as_deref().cloned().unwrap_or_default(),
            releases,
            rollouts: rollouts.map(|one| Document::clone(one)).collect(),
        }
    }

    /// Whether any rollout is neither cancelled nor superseded.
    pub(crate) fn is_busy(&self) -> bool {
        self.rollouts.values().any(|one| one.is_live())
    }

    /// What makes `after` of the rollouts that are here.
    pub(crate) fn of_rollouts(&self, after: &[Document]) -> StoreResult<Vec<DocumentWrite>> {
        let mut writes = Vec::new();
        for document in after {
            let key = key_of(&document.key);
            let before = self.rollouts.get(&key);
            if before.is_none_or(|before| **before != *document) {
                let (epoch, live) = (document.facts.epoch, document.is_live());
                writes.push(self.write(&key, epoch, live, document)?);
            }
        }
        Ok(writes)
    }

    pub(crate) fn of_sites(&self, sites: &Sites) -> StoreResult<DocumentWrite> {
        self.write(SITES, 0, false, sites)
    }

    pub(crate) fn of_releases(&self, releases: &KeptReleases) -> StoreResult<DocumentWrite> {
        self.write(RELEASES, 0, false, releases)
    }

    pub(crate) fn of_holds(&self, holds: &BTreeMap<AgentId, Hold>) -> StoreResult<DocumentWrite> {
        self.write(HOLDS, 0, false, holds)
    }

    pub(crate) fn of_labels(
        &self,
        labels: &BTreeMap<AgentId, Labels>,
    ) -> StoreResult<DocumentWrite> {
        self.write(LABELS, 0, false, labels)
    }

    pub(crate) fn of_planner(&self, planner: &Planner) -> StoreResult<DocumentWrite> {
        self.write(PLANNER, 0, false, planner)
    }

    /// Forgets a rollout that is over.
    pub(crate) fn without(&self, rollout: &RolloutKey) -> DocumentWrite {
        let key = key_of(rollout);
        DocumentWrite {
            expected: self.versions.get(&key).copied(),
            key,
            becomes: None,
        }
    }

    /// Goes with every wish of an operator.
    pub(crate) fn of_turn(&self) -> StoreResult<DocumentWrite> {
        self.write(TURN, 0, false, &())
    }

    /// What is true as long as the same daemon carries plans out.
    pub(crate) fn guard(&self) -> Option<Guard> {
        let version = self.versions.get(PLANNER)?;
        Some(Guard {
            key: PLANNER.to_owned(),
            version: *version,
        })
    }

    fn write<T: Serialize>(
        &self,
        key: &str,
        epoch: u64,
        keeps_tasks: bool,
        what: &T,
    ) -> StoreResult<DocumentWrite> {
        let text = serde_json::to_string(what).map_err(|error| {
            StoreError::Unavailable(format!("{key} cannot be written as JSON: {error}"))
        })?;
        Ok(DocumentWrite {
            key: key.to_owned(),
            expected: self.versions.get(key).copied(),
            becomes: Some(NewDocument {
                epoch,
                keeps_tasks,
                text,
            }),
        })
    }
}

/// The labels that the store keeps, with what was read of them before.
pub(super) async fn labels(
    store: &dyn TaskStore,
    known: &mut KnownLabels,
) -> StoreResult<Arc<BTreeMap<AgentId, Labels>>> {
    let found = store.documents(LABELS, "", 1).await?;
    match found.iter().find(|kept| kept.key == LABELS) {
        Some(kept) => once(known, kept),
        None => Ok(Arc::default()),
    }
}

/// The sites, with what was read of them before.
pub(super) async fn sites(
    store: &dyn TaskStore,
    known: &mut KnownSites,
) -> StoreResult<Arc<Sites>> {
    let found = store.documents(SITES, "", 1).await?;
    match found.iter().find(|kept| kept.key == SITES) {
        Some(kept) => once(known, kept),
        None => Ok(Arc::default()),
    }
}

async fn all(store: &dyn TaskStore, prefix: &str) -> StoreResult<Vec<Kept>> {
    let mut found: Vec<Kept> = Vec::new();
    loop {
        let after = found.last().map_or("", |last| &last.key).to_owned();
        let page = store.documents(prefix, &after, PAGE).await?;
        if page.is_empty() {
            return Ok(found);
        }
        found.extend(page);
    }
}

fn once<T: DeserializeOwned>(
    known: &mut Option<(u64, Arc<T>)>,
    kept: &Kept,
) -> StoreResult<Arc<T>> {
    match known {
        Some((version, what)) if *version == kept.version => Ok(what.clone()),
        _ => {
            let what: Arc<T> = Arc::new(parse(kept)?);
            *known = Some((kept.version, what.clone()));
            Ok(what)
        }
    }
}

pub(super) fn parse<T: DeserializeOwned>(kept: &Kept) -> StoreResult<T> {
    serde_json::from_str(&kept.text).map_err(|error| {
        let key = &kept.key;
        StoreError::Unavailable(format!(
            "document {key} of the store cannot be read: {error}; it may be a newer wpkd's"
        ))
    })
}
