//! How everything stands, for the planner and for whoever asks.

use std::collections::BTreeMap;
use std::sync::Arc;

use wpk_api::{AgentId, Labels, StoreResult};
use wpk_config::{OssecConf, ReleaseSettings};
use wpk_rollout::{Release, Releases, Sites};

use super::book::{self, Book, Stamp};
use super::eyes::View;
use super::seat;
use super::sources::Sources;
use crate::workshop::Workshop;

/// How everything stands now.
///
/// # Errors
/// The store's.
pub(crate) async fn view(workshop: &Workshop) -> StoreResult<(View, Book)> {
    let mut eyes = workshop.rollouts.eyes.lock().await;
    let planner = eyes.book.planner.as_ref();
    let ours = planner.is_some_and(|planner| seat::is_ours(workshop, planner));
    // What another planner writes shows by no stamp.
    let stamp = match ours || !workshop.membership.is_shared() {
        true => Some(stamp(workshop).await?),
        false => None,
    };
    eyes.read_book(workshop.store(), stamp).await?;
    let view = eyes.look(&sources(workshop)).await?;
    Ok((view, eyes.book.clone()))
}

/// The labels that the store keeps, as they are now. Nobody waits for a look at the agents.
pub(crate) async fn labels(workshop: &Workshop) -> StoreResult<Arc<BTreeMap<AgentId, Labels>>> {
    let mut known = workshop.rollouts.labels.lock().await;
    book::labels(workshop.store(), &mut known).await
}

/// The sites as they are now; one for all agents where none were ever applied.
pub(crate) async fn sites(workshop: &Workshop) -> StoreResult<Arc<Sites>> {
    let mut known = workshop.rollouts.sites.lock().await;
    book::sites(workshop.store(), &mut known).await
}

/// How documents stand.
pub(super) async fn stamp(workshop: &Workshop) -> StoreResult<Stamp> {
    let own = workshop.rollouts.writings();
    Stamp::take(workshop.store(), own, workshop.membership.is_shared()).await
}

/// Whom this daemon asks.
pub(super) fn sources(workshop: &Workshop) -> Sources<'_> {
    let cluster = workshop.settings.ossec.as_ref();
    Sources {
        store: workshop.store(),
        shared: workshop.membership.is_shared(),
        directory: &*workshop.parts.directory,
        cluster_node: cluster.and_then(OssecConf::cluster_node),
        releases: releases(workshop),
        now: workshop.now(),
    }
}

/// What the settings say of releases; what is shipped where they say nothing.
pub(crate) fn releases(workshop: &Workshop) -> Releases {
    let settings = &workshop.settings.releases;
    if settings.is_empty() {
        return Releases::default();
    }
    let release = |one: &ReleaseSettings| Release {
        version: one.version,
        floors: one.floors.clone(),
        denied: false,
        sha256: one.sha256.clone(),
    };
    Releases(settings.iter().map(release).collect())
}
