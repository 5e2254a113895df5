//! `"dry_run": true` in an `upgrade` or `upgrade_custom`: the same rules and
//! the same providers, but nothing is created and nothing downloaded. Ours; a
//! 4.x manager does not know it.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::error;
use wpk_api::{AgentId, OfferSource, Order, ProviderError, Status, Target, Task, Wanted};
use wpk_wire::own::Forecast;
use wpk_wire::{AskedId, Item, Response, UpgradeCode};

use crate::failure::Failure;
use crate::workshop::Workshop;

/// How long a client waits for a repository.
const RESOLVE_WITHIN: Duration = Duration::from_secs(30);
/// How long it waits for all of them: it gives up after 120 s, and would know nothing then.
const ALL_WITHIN: Duration = Duration::from_secs(100);
/// Wishes that the providers are asked at the same time.
const ASKED_AT_ONCE: usize = 8;
/// How long a wish keeps others waiting.
const TURN: Duration = Duration::from_secs(1);
/// Wishes that are without an answer at the same time.
const OPEN_AT_ONCE: usize = 64;

/// What is said of a wish for which no time was left.
const NO_TIME: &str = "no time was left for it: others got no answer for 100 s";

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

/// Asks the providers once for each distinct wish. One that gets no answer takes nothing
/// from the others.
async fn resolve(
    workshop: &Workshop,
    orders: &[Checked],
) -> HashMap<Wanted, Result<Forecast, Failure>> {
    let wishes: HashSet<Wanted> = passed(orders).map(|order| order.wanted.clone()).collect();
    let end = Instant::now() + ALL_WITHIN;
    let turns = Semaphore::new(ASKED_AT_ONCE);
    let asked = stream::iter(wishes).map(|wanted| ask(workshop, wanted, &turns, end));
    asked.buffer_unordered(OPEN_AT_ONCE).collect().await
}

async fn ask(
    workshop: &Workshop,
    wanted: Wanted,
    turns: &Semaphore,
    end: Instant,
) -> (Wanted, Result<Forecast, Failure>) {
    let resolve = async {
        let turn = turns.acquire().await;
        let mut resolve = pin!(timeout(RESOLVE_WITHIN, workshop.resolver.resolve(&wanted)));
        if let Ok(resolved) = timeout(TURN, &mut resolve).await {
            return resolved;
        }
        drop(turn);
        resolve.await
    };
    let late = |text: &str| Err(ProviderError::NotReachable(text.into()).into());
    let resolved = match timeout_at(end, resolve).await {
        Ok(resolved) => resolved,
        Err(_) => return (wanted, late(NO_TIME)),
    };
    let answer = match resolved {
        Err(_) => late("no answer within 30 s"),
        Ok(Err(error)) => Err(error.into()),
        Ok(Ok(resolved)) => {
            let offer = resolved.offer;
            let wish = wish(&wanted);
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
    (wanted, answer)
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
