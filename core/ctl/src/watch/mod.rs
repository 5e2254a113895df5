//! Watching tasks until they end: `board` holds what is known of each agent
//! (`entry`), `feed` follows what changes of them, `poll` asks again and again where a
//! manager does not tell, this file does so until the end, `view` shows it (`picture` on a
//! `screen`, which `paint` makes into lines), `report` tells the end and `counts` how many
//! ended how.
//!
//! A task that ended as Updated may still wait for the manager to see the new
//! version: it is watched on until the manager has decided, which is within its
//! `tasks.confirm_within`, or for [`Pace::confirm_for`].

pub(crate) mod args;
pub(crate) mod board;
mod counts;
pub(crate) mod entry;
mod feed;
pub(crate) mod paint;
mod picture;
mod poll;
pub(crate) mod report;
pub(crate) mod screen;
pub(crate) mod view;

use std::collections::HashMap;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use wpk_api::AgentId;
use wpk_wire::own::AskChanges;

use crate::error::CtlError;
use crate::manager::client::{Client, passing};
use crate::manager::fleet::{self, Agent};
use crate::manager::results::{self, CHUNK};
use crate::output::Output;
use args::{LEAST_PAUSE, Pace};
use board::Board;
use feed::Feed;
use poll::Poll;
use report::{Asked, Closing};
use view::View;

/// The longest pause between two attempts to reach a manager that went away.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long to wait for agents to report the version they were upgraded to.
const SETTLE: Duration = Duration::from_secs(5);

/// Shows the board and watches until every task has ended, every new version was seen as far
/// as the manager looks for it, or the time is over. What is known by then is in the board.
pub(crate) async fn to_the_end(
    client: &mut Client,
    board: &mut Board,
    asked: &Asked,
    pace: &Pace,
    out: &Output,
) -> Closing {
    let mut view = View::new(board, *out);
    let ended = timeout(pace.timeout, until_ended(client, board, &mut view, pace)).await;
    view.finish();
    let closing = match ended {
        Ok(Ok(())) => Closing::Ended,
        Err(_) => Closing::TimedOut(pace.timeout),
        // What is known is told before the error is.
        Ok(Err(error)) => return Closing::Lost(error),
    };
    settle(client, board, asked, pace.interval).await;
    closing
}

/// Does `work`, unless somebody ends it from outside: `None` then.
///
/// # Errors
/// Those of `work`, and of signals that cannot be heard.
pub(crate) async fn unless_interrupted<T>(
    work: impl Future<Output = Result<T, CtlError>>,
) -> Result<Option<T>, CtlError> {
    let mut end = signal(SignalKind::terminate()).map_err(CtlError::Runtime)?;
    tokio::select! {
        done = work => done.map(Some),
        signal = tokio::signal::ctrl_c() => {
            signal.map_err(CtlError::Runtime)?;
            Ok(None)
        }
        // Whoever is ended so leaves the terminal as it was as well.
        _ = end.recv() => Ok(None),
    }
}

/// How the manager is asked.
enum Way {
    Feed(Feed),
    Poll(Poll),
}

impl Way {
    /// Enters what is new into the board. After how long to ask again at the earliest.
    async fn look(
        &mut self,
        client: &mut Client,
        board: &mut Board,
        view: &mut View,
        (pace, wait): (&Pace, Duration),
    ) -> Result<Duration, CtlError> {
        if let Self::Feed(feed) = self {
            match feed.look(client, board, view, wait).await? {
                Some(true) => return Ok(Duration::ZERO),
                Some(false) => return Ok(pace.interval.min(LEAST_PAUSE)),
                None => *self = Self::Poll(Poll::default()),
            }
        }
        if let Self::Poll(poll) = self {
            poll.round(client, board).await?;
        }
        Ok(pace.interval)
    }
}

async fn until_ended(
    client: &mut Client,
    board: &mut Board,
    view: &mut View,
    pace: &Pace,
) -> Result<(), CtlError> {
    let mut way = Way::Feed(Feed::default());
    let mut outage: Option<(Instant, Duration)> = None;
    let mut ended: Option<Instant> = None;
    view.show(board)?;
    loop {
        let began = Instant::now();
        let wait = wait(board, pace, ended);
        match way.look(client, board, view, (pace, wait)).await {
            Ok(pause) => {
                if outage.take().is_some() {
                    view.note("back", "the manager is back")?;
                }
                view.show(board)?;
                if board.live().is_empty() {
                    return Ok(());
                }
                if let (Some(limit), true) = (pace.confirm_for, board.running().is_empty())
                    && ended.get_or_insert_with(Instant::now).elapsed() >= limit
                {
                    return Ok(());
                }
                view.during(board, sleep_until(began + pause)).await?;
            }
            Err(error) if passing(&error) => {
                if outage.is_none() {
                    view.note("lost", &format!("{error}; trying again"))?;
                }
                // Another daemon may answer next, and another feed.
                way = Way::Feed(Feed::default());
                let (since, pause) = outage.unwrap_or((Instant::now(), pace.interval));
                let left = pace.reconnect_for.saturating_sub(since.elapsed());
                if left.is_zero() {
                    return Err(error);
                }
                view.during(board, sleep(pause.min(left))).await?;
                outage = Some((since, (pause * 2).min(LONGEST_PAUSE)));
            }
            Err(error) => return Err(error),
        }
    }
}

/// For how long to wait for a change: only for a moment where bytes are counted, which are
/// no changes.
fn wait(board: &Board, pace: &Pace, ended: Option<Instant>) -> Duration {
    if board.is_delivered_to() {
        return pace.interval;
    }
    let longest = Duration::from_millis(AskChanges::LONGEST_WAIT);
    match (pace.confirm_for, ended) {
        (Some(limit), Some(ended)) => limit.saturating_sub(ended.elapsed()).min(longest),
        (Some(limit), None) => limit.min(longest),
        (None, _) => longest,
    }
}

/// The newest task of each of the agents, as one that is watched from now on. Agents without
/// a task have none in the board.
///
/// # Errors
/// Those of [`Client::ask`].
pub(crate) async fn attach(client: &mut Client, agents: &[AgentId]) -> Result<Board, CtlError> {
    let mut board = Board::new(agents);
    let told = feed::present(client, agents, |items| board.attach(items)).await?;
    if told.is_none() {
        for chunk in agents.chunks(CHUNK) {
            board.attach(&results::of(client, chunk).await?);
        }
    }
    Ok(board)
}

/// Enters who the agents are, and their versions before; nothing from a manager that cannot
/// list agents.
///
/// # Errors
/// If the manager cannot be reached.
pub(crate) async fn introduce(client: &mut Client, board: &mut Board) -> Result<(), CtlError> {
    match fleet::find(client, board.agents()).await {
        Err(error @ CtlError::Unreachable { .. }) => Err(error),
        Err(_) => Ok(()),
        Ok(agents) => {
            let known = |of: fn(&Agent) -> Option<String>| -> HashMap<AgentId, String> {
                let agents = agents.values();
                agents
                    .filter_map(|agent| Some((agent.id(), of(agent)?)))
                    .collect()
            };
            board.are_called(known(Agent::name));
            board.came_from(known(Agent::version));
            Ok(())
        }
    }
}

/// Asks which versions the agents report now. An agent's word about its task
/// may overtake its new version, so those that ended as Updated get a few
/// seconds. Failures are no failures of the upgrade: the report marks what is
/// not confirmed.
async fn settle(client: &mut Client, board: &mut Board, asked: &Asked, pause: Duration) {
    let _ = timeout(SETTLE, async {
        loop {
            let Ok(versions) = fleet::versions(client, board.with_task()).await else {
                return;
            };
            let supported = !versions.is_empty();
            board.report(versions);
            if !supported || !report::unsettled(board, asked) {
                return;
            }
            sleep(pause).await;
        }
    })
    .await;
}
