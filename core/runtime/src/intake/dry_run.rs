//! `"dry_run": true` in an `upgrade` or `upgrade_custom`: the same rules and
//! the same providers, but nothing is created and nothing downloaded. Ours; a
//! 4.x manager does not know it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::future::join_all;
use tracing::error;
use wpk_api::{AgentId, OfferSource, Order, ProviderError, Status, Target, Task, Wanted};
use wpk_wire::own::Forecast;
use wpk_wire::{AskedId, Item, Response, UpgradeCode};

use crate::failure::Failure;
use crate::workshop::Workshop;

/// How long a client waits for a repository.
const RESOLVE_WITHIN: Duration = Duration::from_secs(30);
/// Repositories asked at the same time.
const ASKED_AT_ONCE: usize = 8;

/// An id and what the rules said: an order, or why it is refused.
type Checked = super::asked::Checked<Order>;

/// What would become of each id, in the order asked; `unfit` is why the file that they
/// all want cannot be sent.
pub(super) async fn answer(
    workshop: &Workshop,
    orders: Vec<Checked>,
    unfit: Option<Failure>,
) -> Response {
    let live = live_agents(workshop, &orders).await;
    let answers = match unfit {
        None => resolve(workshop, &orders).await,
        Some(failure) => passed(&orders)
            .map(|order| (order.wanted.clone(), Err(failure.clone())))
            .collect(),
    };
    let mut seen = HashSet::new();
    let mut fate = |id: AskedId, order: &Order| {
        let agent = order.agent.id;
        if live.contains(&agent) || !seen.insert(agent) {
            return Item::upgrade(UpgradeCode::AlreadyUpgrading, id);
        }
        match answers.get(&order.wanted) {
            Some(Ok(forecast)) => forecast.to_item(UpgradeCode::Success, id),
            Some(Err(failure)) => Forecast {
                reason: Some(failure.cause.clone()),
                ..wish(&order.wanted)
            }
            .to_item(failure.code, id),
            None => Item::upgrade(UpgradeCode::Unknown, id),
        }
    };
    let item = |asked: &Checked| match &asked.found {
        Err(code) => Item::upgrade(*code, asked.id),
        Ok(order) => fate(asked.id, order),
    };
    Response::success(orders.iter().map(item).collect())
}

/// The orders of those that passed.
fn passed(orders: &[Checked]) -> impl Iterator<Item = &Order> {
    orders.iter().flat_map(|asked| &asked.found)
}

/// Those among the agents that passed who have a live task.
async fn live_agents(workshop: &Workshop, orders: &[Checked]) -> HashSet<AgentId> {
    let agents: Vec<AgentId> = passed(orders).map(|order| order.agent.id).collect();
    // A task that waits for another node and that nobody holds an order of would give way
    // to a new one: there are none where several daemons share a store.
    let shared = workshop.membership.is_shared();
    let blocks = |task: &Task| {
        task.status == Status::InProgress
            || (task.status == Status::Pending && (shared || task.node == workshop.node()))
    };
    match workshop.store().latest(&agents).await {
        Ok(tasks) => (tasks.into_iter().flatten())
            .filter(blocks)
            .map(|task| task.agent)
            .collect(),
        Err(error) => {
            error!(%error, "tasks cannot be read");
            HashSet::new()
        }
    }
}

/// Asks the providers once for each distinct wish.
async fn resolve(
    workshop: &Workshop,
    orders: &[Checked],
) -> HashMap<Wanted, Result<Forecast, Failure>> {
    let wishes: HashSet<&Wanted> = passed(orders).map(|order| &order.wanted).collect();
    let wishes: Vec<&Wanted> = wishes.into_iter().collect();
    let mut answers = HashMap::new();
    for group in wishes.chunks(ASKED_AT_ONCE) {
        answers.extend(join_all(group.iter().map(|wanted| ask(workshop, wanted))).await);
    }
    answers
}

async fn ask(workshop: &Workshop, wanted: &Wanted) -> (Wanted, Result<Forecast, Failure>) {
    let resolved = tokio::time::timeout(RESOLVE_WITHIN, workshop.resolver.resolve(wanted)).await;
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
