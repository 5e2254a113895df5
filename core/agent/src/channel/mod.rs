//! The agent's end of the embedded manager's channel: dials, and dials again.
//!
//! The protocol is described with the manager's end (plugin `channel`) and in
//! `wpk_wire::channel`. A [`session`] lives as long as one connection; here is
//! decided when the next one begins.

mod backoff;
mod ended;
mod keeper;
mod line;
mod session;
mod tls;

use tokio::time::{Duration, sleep};
use tokio_util::sync::CancellationToken;

use crate::credentials::{Age, Pair, Store};
use crate::engine::Commands;
use crate::facts::Facts;
use crate::identity::Identity;
use crate::outbox::Pending;
use crate::reload::Live;

use backoff::Backoff;
use ended::{Again, Ended, Refusal};
use keeper::Keeper;
use session::Session;
pub(crate) use tls::connector;

/// So often it is dialled again at once without a welcome in between.
const MOST_HURRIED: u32 = 3;

/// Keeps a connection to the manager until `stop`.
pub(crate) async fn run(
    live: &Live,
    mut identity: Identity,
    commands: &Commands,
    mut pending: Pending,
    facts: &Facts,
    stop: &CancellationToken,
) {
    let mut backoff = Backoff::default();
    // Dials since the last welcome, or since there is another identity; and how often
    // there was no pause.
    let (mut attempt, mut hurried) = (0, 0);
    // The manager does not know the identity in use.
    let mut unknown = false;
    while !stop.is_cancelled() {
        let now = live.now();
        let Some(settings) = &now.channel else {
            // They do not come without it (`reload`).
            return stop.cancelled().await;
        };
        backoff.set_bounds(settings.reconnect_min.0, settings.reconnect_max.0);
        identity.renew(&now.agent);
        let address = &settings.address;
        let one = async {
            let store = Store {
                ca: settings.ca.clone(),
                certificate: settings.certificate.clone(),
                key: settings.key.clone(),
            };
            let (pair, others) = match choose(&store, attempt, unknown) {
                Ok(chosen) => chosen,
                Err(error) => return (Ended::lost(error), false),
            };
            let session = Session {
                settings,
                identity: &identity,
                commands,
                facts,
                stop,
                store: &store,
                pair: &pair,
            };
            let ended = session.run(&mut pending).await;
            let keeper = Keeper {
                settings,
                store: &store,
                pair: &pair,
            };
            follow(ended, &keeper, others, stop).await
        };
        let ended;
        (ended, unknown) = one.await;
        if !ended.lasted.is_zero() {
            (attempt, hurried) = (0, 0);
        }
        let reason = &ended.reason;
        if stop.is_cancelled() {
            return facts.disconnected(address, reason, None);
        }
        // A manager that lets us in and ends at once is no better than one that does not.
        backoff.lasted(ended.lasted);
        let pause = match ended.again {
            Again::AtOnce if hurried < MOST_HURRIED => {
                (attempt, hurried) = (0, hurried + 1);
                facts.disconnected(address, reason, None);
                continue;
            }
            Again::Soon | Again::AtOnce => backoff.next(rand::random()),
            Again::Late => backoff.longest(rand::random()),
        };
        attempt += usize::from(ended.lasted.is_zero());
        facts.disconnected(address, reason, Some(pause));
        say(address, &ended, pause);
        tokio::select! {
            () = sleep(pause) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// What follows from the end of a session beside dialling again, and whether the manager
/// does not know the identity in use. `others`: there are others on the disk.
async fn follow(
    ended: Ended,
    keeper: &Keeper<'_>,
    others: bool,
    stop: &CancellationToken,
) -> (Ended, bool) {
    let ended = match (ended.refusal, keeper.pair.age) {
        (Some(Refusal::Unknown | Refusal::Revoked), Age::Next) if others => {
            fall_back(keeper.store, ended)
        }
        // It may have been put back from a backup, and know the one before.
        (Some(Refusal::Unknown), Age::Current) if others => {
            return (Ended::new(Again::AtOnce, ended.reason), true);
        }
        (Some(Refusal::Expired), _) => renew(keeper, stop).await,
        _ => ended,
    };
    (ended, false)
}

fn say(address: &str, ended: &Ended, pause: Duration) {
    let reason = &ended.reason;
    if matches!(ended.again, Again::Late) {
        tracing::error!("no connection to {address}: {reason}; dialling again in {pause:?}");
    } else {
        tracing::warn!("no connection to {address}: {reason}; dialling again in {pause:?}");
    }
}

/// What to show: the newest, and after a dial that came to nothing the one before, in
/// turns; one that was in use earlier only where the manager does not know a newer one. And
/// whether there are others.
fn choose(store: &Store, attempt: usize, unknown: bool) -> Result<(Pair, bool), String> {
    store
        .settle()
        .map_err(|error| format!("{}: {error}", store.ca.display()))?;
    let mut pairs = store.pairs().map_err(|error| error.to_string())?;
    let count = pairs.len();
    if unknown && let Some(old) = pairs.pop_if(|pair| pair.age == Age::Old) {
        tracing::warn!("the manager does not know the certificate; the one before is shown");
        return Ok((old, count > 1));
    }
    let known = pairs.iter().filter(|pair| pair.age != Age::Old).count();
    let chosen = pairs.swap_remove(attempt % known.max(1));
    Ok((chosen, count > 1))
}

/// The manager does not take the new certificate; the one before is there still.
fn fall_back(store: &Store, ended: Ended) -> Ended {
    tracing::error!(
        "the new certificate is not taken: {}; the one before is used again",
        ended.reason
    );
    match store.drop_next() {
        Ok(()) => Ended::new(Again::AtOnce, ended.reason),
        Err(error) => Ended::lost(format_args!("{}: {error}", store.certificate.display())),
    }
}

/// The certificate has ended, with which nothing can be done but renew it.
async fn renew(keeper: &Keeper<'_>, stop: &CancellationToken) -> Ended {
    tracing::warn!("the certificate has expired; the manager is asked for another");
    match stop.run_until_cancelled(keeper.renew()).await {
        Some(Ok(())) => Ended::new(Again::AtOnce, "the agent has a new certificate"),
        Some(Err(ended)) => ended,
        None => Ended::lost("stopping"),
    }
}
