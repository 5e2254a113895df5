//! Accepts agents until it is told to stop: one session per connection, places
//! bounded, and beside them the chores that need the clock (writing the registry
//! behind, renewing the manager's certificate). [`RequestSource::serve`] enters.
//!
//! [`RequestSource::serve`]: wpk_api::RequestSource::serve

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::task::TaskTracker;
use wpk_api::{CancellationToken, RequestService};

use crate::certificate::end;
use crate::clock::now;
use crate::core::{Core, Serving};
use crate::database::DatabaseError;
use crate::ends;
use crate::goodbye::Goodbye;
use crate::limits::{Admission, GRACE, Quiet, Renewals, Tries};
use crate::registry::RegistryError;
use crate::session;
use crate::sharing;

/// Enrolments over the network at a time: each makes the disk work; others wait.
const ENROLLING: usize = 4;

/// How often the manager's certificate is looked at.
const RENEWAL: Duration = Duration::from_secs(3_600);

/// How often the log says which certificates end soon.
const LOOKING: Duration = Duration::from_secs(86_400);

/// Changes of this long go to disk together.
const GATHER: Duration = Duration::from_millis(500);

/// After a failed write of the registry.
const RETRY: Duration = Duration::from_secs(10);

/// When no connection can be accepted.
const PAUSE: Duration = Duration::from_secs(1);

/// Serves until `stop`, then says goodbye to all and lets them finish shortly.
pub(crate) async fn serve(
    core: &Arc<Core>,
    listener: TcpListener,
    service: Arc<dyn RequestService>,
    stop: CancellationToken,
) {
    // Also when this future is dropped: no session outlives it.
    let stop = stop.child_token();
    let _stop_when_dropped = stop.clone().drop_guard();
    let kill = CancellationToken::new();
    let _kill_when_dropped = kill.clone().drop_guard();
    let serving = Arc::new(Serving {
        core: Arc::clone(core),
        service,
        tasks: TaskTracker::new(),
        stop: stop.clone(),
        renewals: Renewals::default(),
        quiet: Quiet::new(),
        tries: Tries::default(),
        enrolling: Semaphore::new(ENROLLING),
    });
    let chores = tokio::spawn({
        let (core, stop) = (Arc::clone(core), stop.clone());
        let work = async move { tokio::join!(chores(&core), sharing::keep_up(&core)) };
        async move { stop.run_until_cancelled(work).await }
    });
    stop.run_until_cancelled(accept(&serving, &listener, &kill))
        .await;
    drop(listener);
    core.links.end_all(&Goodbye::stopping());
    serving.tasks.close();
    if tokio::time::timeout(2 * GRACE, serving.tasks.wait())
        .await
        .is_err()
    {
        tracing::debug!("some connections did not end in time and were cut");
    }
    kill.cancel();
    if let Err(error) = chores.await {
        tracing::warn!(%error, "the chores of the agent channel ended early");
    }
    flush(core).await;
}

async fn accept(serving: &Arc<Serving>, listener: &TcpListener, kill: &CancellationToken) {
    let admission = Admission::new(serving.core.settings.max_connections);
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(
                    %error,
                    "no connection of an agent can be accepted; if it is the number of open \
                     files, raise its limit (LimitNOFILE)"
                );
                sleep(PAUSE).await;
                continue;
            }
        };
        let Some(place) = admission.admit(peer.ip()) else {
            if let Some(left_out) = serving.quiet.may_speak() {
                tracing::warn!(
                    %peer,
                    left_out,
                    "a connection was sent away: too many of them, see `max_connections`"
                );
            }
            continue;
        };
        let (serving_it, kill) = (Arc::clone(serving), kill.clone());
        serving.tasks.spawn(async move {
            kill.run_until_cancelled(session::run(serving_it, stream, peer, place))
                .await;
        });
    }
}

async fn chores(core: &Arc<Core>) {
    // A life of seconds is one of a test.
    let life = core.authority.lives().renewed.clamp(20, 20 * 3_600);
    let life = Duration::from_secs(life.unsigned_abs());
    let mut renewal = interval(RENEWAL.min(life / 20));
    renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looking = interval(LOOKING);
    looking.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = core.registry.changed() => {
                sleep(GATHER).await;
                while !flush(core).await {
                    sleep(RETRY).await;
                }
            }
            _ = renewal.tick() => renew(core).await,
            _ = looking.tick() => tell_ends(core),
        }
    }
}

/// Writes what agents said; false if that failed.
async fn flush(core: &Arc<Core>) -> bool {
    let core = Arc::clone(core);
    match tokio::task::spawn_blocking(move || core.registry.flush()).await {
        Ok(Ok(())) => true,
        // The log has been told already, once.
        Ok(Err(RegistryError::File(DatabaseError::Moved(_)))) => false,
        Ok(Err(error)) => {
            tracing::warn!(%error, "the registry of agents cannot be written, it is tried again");
            false
        }
        Err(error) => {
            tracing::warn!(%error, "the registry of agents was not written");
            true
        }
    }
}

async fn renew(core: &Arc<Core>) {
    if !core.identity.is_near_its_end() {
        return;
    }
    let again = Arc::clone(core);
    match tokio::task::spawn_blocking(move || again.authority.manager_certificate()).await {
        Ok(Ok(certificate)) => core.identity.replace(certificate),
        Ok(Err(error)) => tracing::warn!(%error, "the manager's certificate was not renewed"),
        Err(error) => tracing::warn!(%error, "the manager's certificate was not renewed"),
    }
}

/// Says in the log what ends soon.
fn tell_ends(core: &Arc<Core>) {
    let now = now();
    let ca = end(&core.authority.ca()).and_then(|end| ends::ca(end, now));
    let life = core.authority.lives().renewed;
    let manager = ends::manager(core.identity.end(), life, now);
    let ending = core.registry.ending(now, ends::SOON, ends::overdue(life));
    let agents = ends::agents(&ending, now);
    for ending in [ca, manager, agents].into_iter().flatten() {
        tracing::warn!(
            detail = ending.detail,
            advice = ending.advice,
            "{}",
            ending.what
        );
    }
}
