//! The file that an order asks for.

use wpk_api::repository::ReleaseName;
use wpk_api::{Offer, OfferSource, Order, Target, Version, Wanted};
use wpk_wire::UpgradeCode;

use super::outcome::Ended;
use crate::cache::WpkFile;
use crate::failure::Failure;
use crate::rules::{self, Wish};
use crate::workshop::Workshop;

/// What an agent is going to get.
pub(super) struct Found {
    pub(super) file: WpkFile,
    /// Its URL, or its path on this machine.
    pub(super) from: String,
    /// The version inside, if it is known.
    pub(super) version: Option<Version>,
    /// The version that the agent is to tell after it ran the installer, if that is
    /// known.
    pub(super) target: Option<Version>,
}

/// Asks the providers and has the file fetched.
pub(super) async fn find(workshop: &Workshop, order: &Order) -> Result<Found, Ended> {
    let resolved = workshop.resolver.resolve(&order.wanted).await;
    let resolved = resolved.map_err(|error| match Failure::from(error) {
        failure if failure.code == UpgradeCode::RepositoryUnreachable => Ended::from(failure),
        failure => Ended::for_good(failure),
    })?;
    let version = match &order.wanted {
        Wanted::File(_) => None,
        Wanted::Release(release) => match &release.target {
            Target::Latest => {
                check_latest(workshop, order, resolved.offer.version).map_err(Ended::for_good)?;
                resolved.offer.version
            }
            target => rules::comparable(target),
        },
    };
    let file = workshop.cache.get(&resolved).await?;
    Ok(Found {
        file,
        from: match &resolved.offer.source {
            OfferSource::Download(location) => location.clone(),
            OfferSource::Local(path) => path.display().to_string(),
        },
        version,
        target: target(order, &resolved.offer),
    })
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

/// The version checks that could not be made when the request came, because
/// the repository gave no answer then.
fn check_latest(
    workshop: &Workshop,
    order: &Order,
    latest: Option<Version>,
) -> Result<(), Failure> {
    let wish = Wish {
        target: latest,
        force: order.force,
        manager: workshop.settings.node.version,
    };
    rules::check_version(&order.agent, &wish)
        .map(drop)
        .map_err(|code| Failure::new(code, format!("the latest version is {latest:?}")))
}
