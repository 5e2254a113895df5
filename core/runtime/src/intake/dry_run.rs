//! `"dry_run": true` in an `upgrade` or `upgrade_custom`: the same rules and
//! the same providers, but nothing is created and nothing downloaded. Ours; a
//! 4.x manager does not know it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::future::join_all;
use tracing::error;
use wpk_api::{AgentId, OfferSource, Order, ProviderError, Target, Wanted};
use wpk_wire::own::Forecast;
use wpk_wire::{AskedId, Item, Response, UpgradeCode};

use crate::failure::Failure;
use crate::workshop::Workshop as Shared;

/// How long a client waits for a repository.
const RESOLVE_WITHIN: Duration = Duration::from_secs(30);
/// Repositories asked at the same time.
const ASKED_AT_ONCE: usize = 8;

/// What would become of each id, in the order asked.
pub(super) async fn answer(
    shared: &Shared,
    ids: &[AskedId],
    verdicts: Vec<Result<Order, UpgradeCode>>,
) -> Response {
    let live = live_agents(shared, &verdicts).await;
    let answers = resolve(shared, &verdicts).await;
    let mut seen = HashSet::new();
    let item = |(id, verdict): (&AskedId, &Result<Order, UpgradeCode>)| match verdict {
        Err(code) => Item::upgrade(*code, *id),
        Ok(order) if live.contains(&order.agent.id) || !seen.insert(order.agent.id) => {
            Item::upgrade(UpgradeCode::AlreadyUpgrading, *id)
        }
        Ok(order) => match answers.get(&order.wanted) {
            Some(Ok(forecast)) => forecast.to_item(UpgradeCode::Success, *id),
            Some(Err(failure)) => Forecast {
                reason: Some(failure.cause.clone()),
                ..wish(&order.wanted)
            }
            .to_item(failure.code, *id),
            None => Item::upgrade(UpgradeCode::Unknown, *id),
        },
    };
    Response::success(ids.iter().zip(&verdicts).map(item).collect())
}

/// Those among the agents that passed who have a live task.
async fn live_agents(shared: &Shared, verdicts: &[Result<Order, UpgradeCode>]) -> HashSet<AgentId> {
    let agents: Vec<AgentId> = verdicts
        .iter()
        .flatten()
        .map(|order| order.agent.id)
        .collect();
    match shared.parts.store.latest(&agents).await {
        Ok(tasks) => {
            // A task that waits for another node would give way to a new one.
            let node = &shared.settings.node.name;
            let blocks = |task: &wpk_api::Task| {
                task.status == wpk_api::Status::InProgress
                    || (task.status == wpk_api::Status::Pending && task.node == *node)
            };
            tasks
                .into_iter()
                .flatten()
                .filter(blocks)
                .map(|task| task.agent)
                .collect()
        }
        Err(error) => {
            error!(%error, "tasks cannot be read");
            HashSet::new()
        }
    }
}

/// Asks the providers once for each distinct wish.
async fn resolve(
    shared: &Shared,
    verdicts: &[Result<Order, UpgradeCode>],
) -> HashMap<Wanted, Result<Forecast, Failure>> {
    let wishes: HashSet<&Wanted> = verdicts
        .iter()
        .flatten()
        .map(|order| &order.wanted)
        .collect();
    let wishes: Vec<&Wanted> = wishes.into_iter().collect();
    let mut answers = HashMap::new();
    for group in wishes.chunks(ASKED_AT_ONCE) {
        answers.extend(join_all(group.iter().map(|wanted| ask(shared, wanted))).await);
    }
    answers
}

async fn ask(shared: &Shared, wanted: &Wanted) -> (Wanted, Result<Forecast, Failure>) {
    let resolved = tokio::time::timeout(RESOLVE_WITHIN, shared.resolver.resolve(wanted)).await;
    let answer = match resolved {
        Err(_) => Err(ProviderError::NotReachable("no answer within 30 s".into()).into()),
        Ok(Err(error)) => Err(error.into()),
        Ok(Ok(resolved)) => {
            let offer = resolved.offer;
            let wish = wish(wanted);
            Ok(Forecast {
                target: offer.version.map_or(wish.target, Target::Exactly),
                file: Some(offer.file_name),
                location: Some(match offer.source {
                    OfferSource::Download(location) => location,
                    OfferSource::Local(path) => path.display().to_string(),
                }),
                reason: None,
            })
        }
    };
    (wanted.clone(), answer)
}

/// What is known without a provider.
fn wish(wanted: &Wanted) -> Forecast {
    match wanted {
        Wanted::Release(release) => Forecast {
            target: release.target.clone(),
            ..Forecast::default()
        },
        Wanted::File(_) => Forecast::default(),
    }
}
