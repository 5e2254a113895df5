//! Carrying out one task: find the file, send it step by step, run the
//! installer, write down how it ended (protocol.md, section 5). The queue
//! enters here with a claimed task; bytes leave to the agent through the
//! [`Transport`](wpk_api::Transport) in `session.rs`.

mod queue;
mod session;

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, error, info, warn};
use wpk_api::{
    AgentId, CancellationToken, Claimed, Order, Selector, Status, StoreError, Target, Task,
    Transition, TransitionResult, Version, Wanted,
};
use wpk_wire::UpgradeCode;

pub(crate) use queue::run as run_queue;

use crate::cache::WpkFile;
use crate::engine::Shared;
use crate::failure::Failure;
use crate::rules::{self, Wish};
use queue::{Job, Slot};
use session::{NotBegun, Session};

/// Pauses between attempts to write something down that must not be lost.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Pause between two whole deliveries of one task.
const BETWEEN_ATTEMPTS: Duration = Duration::from_secs(2);

/// How long after the start agents may take to dial in again. Later an agent
/// that is not connected fails its delivery at once.
const RECONNECT_WITHIN: Duration = Duration::from_secs(60);

/// How an attempt ended without success.
enum Ended {
    /// The step failed; another attempt may help if the installer was not begun.
    Failed(Failure),
    /// Failed for good: the installer was begun, or the answer would be the same.
    FailedForGood(Failure),
    /// The daemon is stopping; the task is found again at the next start.
    Stopped,
    /// The daemon is stopping, and whether the agent runs the installer is not
    /// known; its word tells, after the next start.
    StoppedUnanswered,
    /// The task ended elsewhere meanwhile (time-out, another node).
    NotOurs,
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Carries out one claimed task to its end, whatever happens on the way.
async fn carry_out(shared: Arc<Shared>, job: Job, mut slot: Slot, stop: CancellationToken) {
    // Held to the very end: as long as this runs the task is not timed out.
    let Job {
        claimed,
        held: _held,
        attempts,
    } = job;
    let Claimed { task, order } = claimed;
    let order = match order {
        Ok(order) => order,
        Err(cause) => {
            let failure = Failure::local(format!(
                "what was stored with the task cannot be read: {cause}"
            ));
            return fail(&shared, &task, &failure, &stop).await;
        }
    };
    for attempt in 1..=attempts {
        let delivery = Attempt {
            shared: &shared,
            task: &task,
            order: &order,
            slot: &mut slot,
            stop: &stop,
        };
        match delivery.run().await {
            Ok(legacy) => return delivered(&shared, &task, legacy, &stop).await,
            Err(Ended::Failed(failure)) if attempt < attempts => {
                warn!(task = %task.id, agent = %task.agent, attempt, %failure, "delivery failed, will be tried again");
                tokio::select! {
                    () = tokio::time::sleep(BETWEEN_ATTEMPTS) => {}
                    () = stop.cancelled() => return,
                }
            }
            Err(Ended::Failed(failure) | Ended::FailedForGood(failure)) => {
                return fail(&shared, &task, &failure, &stop).await;
            }
            Err(Ended::Stopped) => {
                debug!(task = %task.id, agent = %task.agent, "delivery interrupted, it goes on at the next start");
                return;
            }
            Err(Ended::StoppedUnanswered) => {
                info!(task = %task.id, agent = %task.agent, "stopping before the agent answered; its word is awaited after the next start");
                return;
            }
            Err(Ended::NotOurs) => {
                warn!(task = %task.id, agent = %task.agent, "the task ended meanwhile; the installer was not run");
                return;
            }
        }
    }
}

/// The agent accepted the upgrade: from now on its word is awaited, or, where
/// it will never come, the task ends as Legacy.
async fn delivered(shared: &Shared, task: &Task, legacy: bool, stop: &CancellationToken) {
    info!(task = %task.id, agent = %task.agent, legacy, "the agent runs the installer");
    if legacy {
        finish(shared, task, Status::Legacy, None, stop).await;
    } else if let Err(error) = shared
        .parts
        .store
        .touch(&[task.id], shared.clock.now())
        .await
    {
        // The time-out then counts from the moment the installer was begun.
        warn!(task = %task.id, %error, "the time of the task could not be updated");
    }
}

async fn fail(shared: &Shared, task: &Task, failure: &Failure, stop: &CancellationToken) {
    warn!(task = %task.id, agent = %task.agent, code = failure.code.code(), %failure, "upgrade failed");
    finish(
        shared,
        task,
        Status::Failed,
        Some(failure.error_msg()),
        stop,
    )
    .await;
}

async fn finish(
    shared: &Shared,
    task: &Task,
    to: Status,
    error_msg: Option<String>,
    stop: &CancellationToken,
) {
    let moves = || Transition {
        select: Selector::Task(task.id),
        to: to.clone(),
        node: shared.settings.node.name.clone(),
        error_msg: error_msg.clone(),
        at: shared.clock.now(),
    };
    let store = &shared.parts.store;
    let ended = persist(stop, || async { store.transition(vec![moves()]).await }).await;
    match ended.as_deref() {
        Some([TransitionResult::Moved(_)]) => {}
        Some([TransitionResult::Refused(now)]) => {
            let now = now.as_ref().map_or("gone", |task| task.status.as_str());
            info!(task = %task.id, agent = %task.agent, to = %to, now, "the task had ended already");
        }
        Some(_) => error!(task = %task.id, "the task store answered nothing for a move"),
        None => {
            error!(task = %task.id, to = %to, "stopped before the end of the task could be stored")
        }
    }
}

/// Writes something down, again and again until the store takes it: a full disk
/// must not make the table lie. `None` if the daemon stops first.
async fn persist<T, F>(stop: &CancellationToken, mut write: impl FnMut() -> F) -> Option<T>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut pause = FIRST_PAUSE;
    loop {
        match write().await {
            Ok(value) => return Some(value),
            Err(error) => error!(%error, retry_in = ?pause, "the task store refused a write"),
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            () = stop.cancelled() => return None,
        }
    }
}

/// One attempt at a delivery.
struct Attempt<'a> {
    shared: &'a Shared,
    task: &'a Task,
    order: &'a Order,
    slot: &'a mut Slot,
    stop: &'a CancellationToken,
}

impl Attempt<'_> {
    /// Runs all steps. `Ok(true)`: the agent will never report.
    async fn run(self) -> Result<bool, Ended> {
        let Self {
            shared,
            task,
            order,
            slot,
            stop,
        } = self;
        let agent = task.agent;
        let mut entry = shared.board.enter(agent, task.id);
        // A stop wins over what fails because of it, here and below: the agents'
        // connections end at the same moment.
        let (file, target) = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(Ended::Stopped),
            found = slot.aside(file(shared, order)) => found?,
        };
        entry.bytes(0, file.len);
        tokio::select! {
            biased;
            () = stop.cancelled() => return Err(Ended::Stopped),
            () = wait_for_agent(shared, agent, slot) => {}
        }
        let mut session = Session::new(shared, order, &file, &mut entry)?;
        tokio::select! {
            biased;
            () = stop.cancelled() => return Err(Ended::Stopped),
            sent = session.send() => match sent {
                Err(_) if stop.is_cancelled() => return Err(Ended::Stopped),
                sent => sent?,
            },
        }
        // From here on nothing may be cut short: the agent is told to run the
        // installer at most once, and that is written down first.
        let store = &shared.parts.store;
        let begin = || store.begin_installer(task.id, shared.clock.now());
        match persist(stop, begin).await {
            None => return Err(Ended::Stopped),
            Some(false) => return Err(Ended::NotOurs),
            Some(true) => {}
        }
        match session.run_installer().await {
            Ok(()) => Ok(target.is_some_and(|target| target < rules::FIRST_REPORTING)),
            // We hung up, not the agent: nothing is known of it that would make
            // the upgrade a failure.
            Err(NotBegun::Unanswered(_)) if stop.is_cancelled() => Err(Ended::StoppedUnanswered),
            Err(NotBegun::Unanswered(failure) | NotBegun::Refused(failure)) => {
                Err(Ended::FailedForGood(failure))
            }
        }
    }
}

/// A daemon that was restarted finds its queue at once, but agents that dial in
/// themselves need a moment to notice.
async fn wait_for_agent(shared: &Shared, agent: AgentId, slot: &mut Slot) {
    let left = RECONNECT_WITHIN.saturating_sub(shared.started.elapsed());
    if left.is_zero() {
        return;
    }
    let connected = tokio::time::timeout(left, shared.parts.transport.connected(agent));
    if slot.aside(connected).await.is_err() {
        debug!(%agent, "the agent did not come back in time");
    }
}

/// The file to send and the version inside, if it is known.
async fn file(shared: &Shared, order: &Order) -> Result<(WpkFile, Option<Version>), Ended> {
    let resolved = (shared.resolver.resolve(&order.wanted).await).map_err(|error| {
        match Failure::from(error) {
            failure if failure.code == UpgradeCode::RepositoryUnreachable => Ended::Failed(failure),
            failure => Ended::FailedForGood(failure),
        }
    })?;
    let target = match &order.wanted {
        Wanted::File(_) => None,
        Wanted::Release(release) => match &release.target {
            Target::Latest => {
                check_latest(shared, order, resolved.offer.version)
                    .map_err(Ended::FailedForGood)?;
                resolved.offer.version
            }
            target => rules::comparable(target),
        },
    };
    Ok((shared.cache.get(&resolved).await?, target))
}

/// The version checks that could not be made when the request came, because
/// the repository gave no answer then.
fn check_latest(shared: &Shared, order: &Order, latest: Option<Version>) -> Result<(), Failure> {
    let wish = Wish {
        target: latest,
        force: order.force,
        manager: shared.settings.node.version,
    };
    rules::check_version(&order.agent, &wish)
        .map(|_| ())
        .map_err(|code| Failure::new(code, format!("the latest version is {latest:?}")))
}
