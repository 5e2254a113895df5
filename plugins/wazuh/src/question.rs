//! A question about many agents: the database daemon answers about one at a time, so it is
//! spread over the kept connections in small batches, and a question about one agent waits
//! for a batch of another at most.
//!
//! Of a batch, several are asked for at once and answered one after the other, where the daemon
//! reads on before it has answered (`rows`): that the two wake each other for every answer
//! takes longer than all the rest of it, above all on a virtual machine. Whatever is not as it
//! should be in such a row is asked for alone, as if there had been none.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::stream::FuturesUnordered;
use wpk_api::{AgentId, AgentInfo};

use crate::pool::{AskError, Broken, Place, Pool};
use crate::row::{self, Said};
use crate::rows::LONGEST;

/// Agents asked for before a connection is given back.
const BATCH: usize = LONGEST;
/// Fewer are always asked for one by one: a row would gain nothing.
const MANY: usize = 8;

/// What is known of these agents; those that cannot be read are left out.
///
/// # Errors
/// The daemon is not there, breaks off or does not answer.
pub(crate) async fn ask(pool: &Pool, ids: &[AgentId]) -> Result<Vec<AgentInfo>, AskError> {
    let question = Question {
        pool,
        ids,
        next: AtomicUsize::new(0),
        left_out: LeftOut::default(),
    };
    let askers = ids.len().div_ceil(BATCH).min(pool.connections());
    let mut askers: FuturesUnordered<_> = (0..askers).map(|_| question.work_off()).collect();
    let mut found = Vec::with_capacity(ids.len());
    while let Some(some) = askers.try_next().await? {
        found.extend(some);
    }
    drop(askers);
    question.left_out.log();
    Ok(found)
}

/// Which several askers work off.
#[derive(Debug)]
struct Question<'a> {
    pool: &'a Pool,
    ids: &'a [AgentId],
    /// The first one that nobody has taken.
    next: AtomicUsize,
    left_out: LeftOut,
}

impl Question<'_> {
    /// Takes batches until none is left.
    async fn work_off(&self) -> Result<Vec<AgentInfo>, AskError> {
        let mut found = Vec::new();
        loop {
            let start = self.next.fetch_add(BATCH, Ordering::Relaxed);
            let Some(rest) = self.ids.get(start..).filter(|rest| !rest.is_empty()) else {
                return Ok(found);
            };
            let batch = rest.get(..BATCH).unwrap_or(rest);
            let mut place = self.pool.place().await?;
            self.ask_for(batch, &mut place, &mut found).await?;
        }
    }

    async fn ask_for(
        &self,
        batch: &[AgentId],
        place: &mut Place<'_>,
        found: &mut Vec<AgentInfo>,
    ) -> Result<(), AskError> {
        let mut rest = batch;
        while let [next, ..] = rest {
            let together = match self.ids.len() {
                ..MANY => 1,
                _ => self.pool.rows().length(Instant::now()).min(rest.len()),
            };
            let row = rest.get(..together).filter(|row| row.len() > 1);
            let mut answered = match row {
                Some(row) => self.ask_in_a_row(row, place, found).await?,
                None => 0,
            };
            if answered == 0 {
                self.ask_alone(*next, place, found).await?;
                answered = 1;
            }
            rest = rest.get(answered..).unwrap_or_default();
        }
        Ok(())
    }

    /// How many of them have their answer: all, or those before the row failed.
    async fn ask_in_a_row(
        &self,
        ids: &[AgentId],
        place: &mut Place<'_>,
        found: &mut Vec<AgentInfo>,
    ) -> Result<usize, AskError> {
        let (began, before) = (Instant::now(), found.len());
        let (mut answered, mut unread) = (0, Vec::<(AgentId, String)>::new());
        let take = |id: &AgentId, answer: &Bytes| {
            match row::said(answer, *id)? {
                Said::Agent(agent) => {
                    found.push(agent);
                    // What came before was in its place.
                    for (id, reason) in unread.drain(..) {
                        self.left_out.count(id, &reason);
                    }
                }
                Said::Nothing(reason) => unread.push((*id, reason)),
            }
            answered += 1;
            Ok(())
        };
        let row = place.ask_in_a_row(ids, |id| text(*id), take);
        let rows = self.pool.rows();
        match row.await {
            Ok(()) if found.len() > before => rows.came(ids.len(), began.elapsed()),
            Ok(()) | Err(Broken::Connection) => {}
            Err(Broken::Row(reason)) => rows.failed(Instant::now(), &reason),
        }
        let nobody = found.len() == before;
        // Nobody is left out for an answer that may not be about him.
        for (id, _) in unread {
            self.ask_alone(id, place, found).await?;
        }
        if nobody && found.len() > before {
            // It took them all for one question, which made no sense.
            rows.failed(
                Instant::now(),
                "it knows those alone whom it does not in a row",
            );
        }
        Ok(answered)
    }

    async fn ask_alone(
        &self,
        id: AgentId,
        place: &mut Place<'_>,
        found: &mut Vec<AgentInfo>,
    ) -> Result<(), AskError> {
        let mut answer = place.ask(&text(id)).await;
        if answer
            .as_ref()
            .is_ok_and(|answer| row::is_anothers(answer, id))
        {
            // One too many came before, and all that follow are late.
            place.forget();
            answer = place.ask(&text(id)).await;
        }
        let reason = match answer {
            Ok(answer) => match row::agent(&answer, id) {
                Ok(agent) => {
                    found.push(agent);
                    return Ok(());
                }
                Err(reason) => reason,
            },
            Err(AskError::TooLong(reason)) => reason,
            Err(error) => return Err(error),
        };
        self.left_out.count(id, &reason);
        Ok(())
    }
}

fn text(id: AgentId) -> String {
    format!("global get-agent-info {}", id.get())
}

/// Agents without a readable record; logged in one line per question, since
/// there may be thousands.
#[derive(Debug, Default)]
struct LeftOut {
    first: OnceLock<(AgentId, String)>,
    count: AtomicUsize,
}

impl LeftOut {
    fn count(&self, id: AgentId, reason: &str) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.first.get_or_init(|| (id, reason.to_owned()));
    }

    fn log(&self) {
        if let Some((agent, reason)) = self.first.get() {
            let count = self.count.load(Ordering::Relaxed);
            tracing::warn!(%agent, reason, count, "agents left out: no readable record");
        }
    }
}
