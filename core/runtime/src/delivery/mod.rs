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
    CancellationToken, Claimed, Order, Selector, Status, StoreError, Target, Task, Transition,
    TransitionResult, Version, Wanted,
};
use wpk_wire::UpgradeCode;

pub(crate) use queue::run as run_queue;

use crate::engine::Shared;
use crate::failure::Failure;
use crate::rules::{self, Wish};
use session::Session;

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
    /// The task ended elsewhere meanwhile (time-out, another node).
    NotOurs,
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Carries out one claimed task to its end, whatever happens on the way.
pub(crate) async fn carry_out(shared: Arc<Shared>, claimed: Claimed, stop: CancellationToken) {
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
    let attempts = shared.settings.delivery.attempts.max(1);
    for attempt in 1..=attempts {
        let delivery = Attempt {
            shared: &shared,
            task: &task,
            order: &order,
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
        .touch(&[task.id], crate::clock::now())
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
        at: crate::clock::now(),
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
    stop: &'a CancellationToken,
}

impl Attempt<'_> {
    /// Runs all steps. `Ok(true)`: the agent will never report.
    async fn run(&self) -> Result<bool, Ended> {
        let agent = self.task.agent;
        let mut entry = self.shared.board.enter(agent, self.task.id);
        let (file, target) = tokio::select! {
            found = self.file() => found?,
            () = self.stop.cancelled() => return Err(Ended::Stopped),
        };
        entry.bytes(0, file.len);
        self.wait_for_agent().await?;
        let mut session = Session::new(self.shared, self.order, &file, &mut entry)?;
        tokio::select! {
            sent = session.send() => sent?,
            () = self.stop.cancelled() => return Err(Ended::Stopped),
        }
        // From here on nothing may be cut short: the agent is told to run the
        // installer at most once, and that is written down first.
        let store = &self.shared.parts.store;
        let begin = || store.begin_installer(self.task.id, crate::clock::now());
        match persist(self.stop, begin).await {
            None => return Err(Ended::Stopped),
            Some(false) => return Err(Ended::NotOurs),
            Some(true) => {}
        }
        session
            .run_installer()
            .await
            .map_err(Ended::FailedForGood)?;
        Ok(target.is_some_and(|target| target < rules::FIRST_REPORTING))
    }

    /// A daemon that was restarted finds its queue at once, but agents that
    /// dial in themselves need a moment to notice.
    async fn wait_for_agent(&self) -> Result<(), Ended> {
        let left = RECONNECT_WITHIN.saturating_sub(self.shared.started.elapsed());
        if left.is_zero() {
            return Ok(());
        }
        let connected = self.shared.parts.transport.connected(self.task.agent);
        tokio::select! {
            back = tokio::time::timeout(left, connected) => {
                if back.is_err() {
                    debug!(agent = %self.task.agent, "the agent did not come back in time");
                }
                Ok(())
            }
            () = self.stop.cancelled() => Err(Ended::Stopped),
        }
    }

    /// The file to send and the version inside, if it is known.
    async fn file(&self) -> Result<(crate::cache::WpkFile, Option<Version>), Ended> {
        let resolved =
            (self.shared.resolver.resolve(&self.order.wanted).await).map_err(|error| {
                match Failure::from(error) {
                    failure if failure.code == UpgradeCode::RepositoryUnreachable => {
                        Ended::Failed(failure)
                    }
                    failure => Ended::FailedForGood(failure),
                }
            })?;
        let target = match &self.order.wanted {
            Wanted::File(_) => None,
            Wanted::Release(release) => match &release.target {
                Target::Latest => {
                    self.check_latest(resolved.offer.version)
                        .map_err(Ended::FailedForGood)?;
                    resolved.offer.version
                }
                target => rules::comparable(target),
            },
        };
        Ok((self.shared.cache.get(&resolved).await?, target))
    }

    /// The version checks that could not be made when the request came,
    /// because the repository gave no answer then.
    fn check_latest(&self, latest: Option<Version>) -> Result<(), Failure> {
        let wish = Wish {
            target: latest,
            force: self.order.force,
            manager: self.shared.settings.node.version,
        };
        rules::check_version(&self.order.agent, &wish)
            .map(|_| ())
            .map_err(|code| Failure::new(code, format!("the latest version is {latest:?}")))
    }
}
