//! The file that an order asks for.

use tracing::warn;
use wpk_api::repository::ReleaseName;
use wpk_api::{
    Offer, OfferSource, Order, Target, TaskId, TimelineEntry, TimelineStep, Version, Wanted,
};
use wpk_wire::UpgradeCode;

use super::outcome::Ended;
use super::pinned;
use crate::cache::WpkFile;
use crate::failure::Failure;
use crate::resolver::Resolved;
use crate::rules::{self, Wish};
use crate::workshop::Workshop;

/// What an agent is going to get.
pub(super) struct Found {
    pub(super) file: WpkFile,
    /// Its URL, or its path on this machine.
    pub(super) from: String,
    /// What was asked for it, and answered.
    pub(super) resolve: Box<TimelineEntry>,
    /// The version inside, if it is known.
    pub(super) version: Option<Version>,
    /// The version that the agent is to tell after it ran the installer, if that is
    /// known.
    pub(super) target: Option<Version>,
}

/// Asks the providers and has the file fetched: of the next one where a provider's
/// file is not there, or not the one that it lists, or not one that its release is pinned
/// to.
pub(super) async fn find(workshop: &Workshop, order: &Order, task: TaskId) -> Result<Found, Ended> {
    let resolved = workshop.resolver.resolve(&order.wanted).await;
    let resolved = resolved.map_err(|error| match of_this_node(workshop, order, error.into()) {
        failure if failure.code == UpgradeCode::RepositoryUnreachable => Ended::from(failure),
        failure => Ended::for_good(failure),
    })?;
    if is_open(order) {
        let checked = Box::pin(check_latest(workshop, order, &resolved.offer)).await;
        checked.map_err(Ended::for_good)?;
    }
    let at = workshop.now();
    let (file, offer) = match have(workshop, order, task, &resolved).await {
        Ok(file) => (file, resolved.offer),
        // Rarely gone, and in a box: a task that waits for its file is to stay small.
        Err(failure) => {
            let other = Box::pin(elsewhere(workshop, order, task, resolved, failure)).await;
            other.map_err(|failure| match failure.is_not_listed() {
                true => Ended::for_good(failure),
                false => Ended::from(failure),
            })?
        }
    };
    let version = match &order.wanted {
        Wanted::File(_) => None,
        Wanted::Release(release) => match &release.target {
            Target::Latest => offer.version,
            target => rules::comparable(target),
        },
    };
    let from = match &offer.source {
        OfferSource::Download(location) => location.clone(),
        OfferSource::Local(path) => path.display().to_string(),
    };
    let resolve = TimelineEntry::new(at, TimelineStep::Resolve);
    let resolve = resolve.asked(&from).detail(&match offer.version {
        Some(version) => format!("{}, {version}", offer.file_name),
        None => offer.file_name.clone(),
    });
    Ok(Found {
        file,
        resolve: Box::new(resolve),
        from,
        version,
        target: target(order, &offer),
    })
}

/// The file of an offer, if it may be sent.
async fn have(
    workshop: &Workshop,
    order: &Order,
    task: TaskId,
    resolved: &Resolved,
) -> Result<WpkFile, Failure> {
    let file = workshop.cache.get(resolved).await?;
    let version = target(order, &resolved.offer);
    Box::pin(pinned::check(workshop, &order.wanted, task, version, &file)).await?;
    Ok(file)
}

/// A file of a machine is this node's: whoever asked another for it is told so.
fn of_this_node(workshop: &Workshop, order: &Order, failure: Failure) -> Failure {
    let of_a_machine = matches!(order.wanted, Wanted::File(_));
    if !of_a_machine || !workshop.membership.is_shared() {
        return failure;
    }
    let node = workshop.node();
    let cause = format!("on node {node}, which has the agent: {}", failure.cause);
    Failure::new(failure.code, cause)
}

/// The file from another provider than the one of `resolved`, which failed.
///
/// # Errors
/// The last failure.
async fn elsewhere(
    workshop: &Workshop,
    order: &Order,
    task: TaskId,
    mut resolved: Resolved,
    mut failure: Failure,
) -> Result<(WpkFile, Offer), Failure> {
    let of_provider = [
        UpgradeCode::RepositoryUnreachable,
        UpgradeCode::FileNotFound,
        UpgradeCode::Sha1Mismatch,
    ];
    while of_provider.contains(&failure.code) || failure.is_not_listed() {
        let next = workshop.resolver.next(&order.wanted, &resolved).await;
        let Some(next) = next else { break };
        if check_latest(workshop, order, &next.offer).await.is_err() {
            break;
        }
        warn!(%failure, "the file cannot be had from there; it is fetched from the next provider");
        resolved = next;
        match have(workshop, order, task, &resolved).await {
            Ok(file) => return Ok((file, resolved.offer)),
            Err(again) => failure = again,
        }
    }
    Err(failure)
}

/// What the agent can be compared with afterwards: its directory tells versions, or
/// it would not have been accepted. A custom WPK names its version only where its
/// name is one of a repository.
fn target(order: &Order, offer: &Offer) -> Option<Version> {
    match &order.wanted {
        Wanted::File(_) => {
            let name = ReleaseName::read(&offer.file_name);
            offer.version.or(name.map(|name| name.version))
        }
        Wanted::Release(release) => match release.target {
            Target::Exactly(version) => Some(version),
            Target::Latest | Target::Invalid(_) => offer.version,
        },
    }
}

/// Whether the order does not say which version it is about.
fn is_open(order: &Order) -> bool {
    matches!(&order.wanted, Wanted::Release(release) if release.target == Target::Latest)
}

/// The version checks that could not be made when the request came, because
/// the repository gave no answer then.
async fn check_latest(workshop: &Workshop, order: &Order, offer: &Offer) -> Result<(), Failure> {
    if !is_open(order) {
        return Ok(());
    }
    let latest = offer.version;
    let wish = Wish {
        target: latest,
        force: order.force,
        manager: workshop.manager.get(&*workshop.parts.directory).await,
    };
    rules::check_version(&order.agent, &wish)
        .map(drop)
        .map_err(|code| Failure::new(code, format!("the latest version is {latest:?}")))
}
