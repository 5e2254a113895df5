//! How much may be sent to a site at once: each site has one limit, which all deliveries
//! to its agents share. Where several nodes share a store, each has its part of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::debug;
use wpk_api::{AgentDirectory, AgentId, AgentInfo, Labels};
use wpk_rollout::{Member, Rate, Sites, WINDOW};

use super::book::Book;
use crate::bandwidth::Bandwidth;

/// The largest piece that is sent at a time, by which a limit is lowered so that no time
/// of [`WINDOW`] holds more than it may.
const PIECE: u64 = 64 << 10;

/// All limits.
#[derive(Default)]
pub(crate) struct Links(Mutex<Option<Arc<Limits>>>);

struct Limits {
    sites: Arc<Sites>,
    labels: Arc<BTreeMap<AgentId, Labels>>,
    nodes: u64,
    of_site: Vec<Option<Arc<Bandwidth>>>,
    whole: Option<Arc<Bandwidth>>,
}

/// The limits of one agent.
#[derive(Clone, Default)]
pub(crate) struct Link(Vec<Arc<Bandwidth>>);

impl Link {
    /// How much may be sent at a time, where it would be so much otherwise.
    pub(crate) fn piece(&self, bytes: usize) -> usize {
        match self.0.is_empty() {
            true => bytes,
            false => bytes.min(PIECE as usize),
        }
    }

    /// Waits until so many bytes may be sent.
    pub(crate) async fn take(&self, bytes: usize) {
        for limit in &self.0 {
            limit.take(bytes).await;
        }
    }
}

impl Links {
    /// The documents were read, of which so many nodes have a part.
    pub(super) fn of(&self, nodes: u64, book: &Book) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(sites) = book.sites.clone().filter(|sites| limits(sites)) else {
            *kept = None;
            return;
        };
        if let Some(known) = &*kept
            && *known.sites == *sites
            && known.nodes == nodes
        {
            // Who waits keeps its place.
            let (of_site, whole) = (known.of_site.clone(), known.whole.clone());
            let labels = book.labels.clone();
            *kept = Some(Arc::new(Limits {
                sites,
                labels,
                nodes,
                of_site,
                whole,
            }));
            return;
        }
        let limit =
            |rate: Option<Rate>| rate.map(|rate| Arc::new(Bandwidth::new(Some(part(rate, nodes)))));
        *kept = Some(Arc::new(Limits {
            of_site: sites
                .sites
                .iter()
                .map(|site| limit(site.bandwidth))
                .collect(),
            whole: limit(sites.bandwidth),
            labels: book.labels.clone(),
            nodes,
            sites,
        }));
    }

    /// The limits of an agent, as its directory describes it.
    pub(crate) async fn to(&self, directory: &dyn AgentDirectory, agent: &AgentInfo) -> Link {
        let kept = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let Some(limits) = kept else {
            return Link::default();
        };
        let details = directory.details(&[agent.id]).await;
        let details = details.unwrap_or_else(|error| {
            debug!(%error, "the labels of an agent cannot be read");
            Vec::new()
        });
        let mut labels = details
            .into_iter()
            .next()
            .map(|one| one.labels)
            .unwrap_or_default();
        labels.extend(limits.labels.get(&agent.id).cloned().unwrap_or_default());
        let at = limits.sites.find(&Member::of(agent, &labels));
        let site = limits.of_site.get(at).cloned().flatten();
        Link(site.into_iter().chain(limits.whole.clone()).collect())
    }
}

fn limits(sites: &Sites) -> bool {
    sites.bandwidth.is_some() || sites.sites.iter().any(|site| site.bandwidth.is_some())
}

/// Bytes per second of one of so many nodes.
fn part(rate: Rate, nodes: u64) -> u64 {
    let part = rate.0 / nodes.max(1);
    part.saturating_sub(PIECE.div_ceil(WINDOW.as_secs())).max(1)
}
