//! One attempt at a delivery, from looking for the file to the agent's answer to
//! the command that runs the installer.

use std::time::Duration;

use tracing::debug;
use wpk_api::{AgentId, CancellationToken, Order, TimelineEntry, TimelineStep};

use super::find::{Found, find};
use super::ledger::Ledger;
use super::outcome::Ended;
use super::session::Session;
use super::slots::Slot;
use crate::in_hand::InHand;
use crate::membership::gives_away;
use crate::rules;
use crate::wishes::WishId;
use crate::workshop::Workshop;

/// How long after the start agents may take to dial in again. Later an agent
/// that is not connected fails its delivery at once.
const RECONNECT_WITHIN: Duration = Duration::from_secs(60);

/// What one attempt works with.
pub(super) struct Attempt<'a> {
    pub(super) ledger: &'a Ledger<'a>,
    pub(super) order: &'a Order,
    pub(super) in_hand: &'a mut InHand,
    pub(super) slot: &'a mut Slot,
}

impl Attempt<'_> {
    /// Runs all steps.
    pub(super) async fn run(self) -> Ended {
        self.steps().await.unwrap_or_else(|ended| ended)
    }

    async fn steps(self) -> Result<Ended, Ended> {
        let workshop = self.ledger.workshop;
        let over = &Over::of(self.ledger, self.in_hand);
        // In memory of its own, as below.
        let moves = Box::pin(gives_away(workshop, self.ledger.task));
        if workshop.membership.has_neighbours() && self.slot.before(moves).await.is_some() {
            return Err(Ended::GivenAway);
        }
        self.in_hand.begins();
        let wish = WishId::of(&self.order.wanted);
        let file = find(workshop, self.order, self.ledger.task.id);
        let file = self.slot.for_file(wish, file);
        let found = over.unless(file).await??;
        let connected = connected(workshop, self.ledger.task.agent);
        over.unless(self.slot.before(connected)).await?;
        if !self.slot.is_free() {
            self.in_hand.waits();
        }
        over.unless(self.slot.enter()).await?;
        // In memory of its own: thousands of others may be waiting for their file.
        Box::pin(self.deliver(found)).await
    }

    async fn deliver(self, found: Found) -> Result<Ended, Ended> {
        let Self {
            ledger,
            order,
            in_hand,
            slot,
        } = self;
        let workshop = ledger.workshop;
        let over = &Over::of(ledger, in_hand);
        let Found {
            file,
            from,
            resolve,
            version,
            target,
        } = found;
        let had = TimelineEntry::new(workshop.now(), TimelineStep::Download);
        let had = had
            .asked(&from)
            .detail(&format!("{}, {} bytes", file.name, file.len));
        slot.aside(ledger.note([*resolve, had])).await;
        in_hand.bytes(0, file.len);
        // It may be a while since it was seen.
        let connected = connected(workshop, ledger.task.agent);
        over.unless(slot.aside(connected)).await?;
        let mut session = over
            .unless(Session::new(ledger, order, &file, in_hand))
            .await??;
        let ahead = workshop.staged.take(ledger.task.id).await;
        let has_it = match ahead {
            Some(sha1) if sha1 == file.sha1 => over.unless(session.still_has()).await??,
            _ => false,
        };
        if !has_it {
            over.unless(session.send(slot)).await??;
        }
        // From here on nothing may be cut short: the agent is told to run the
        // installer at most once, and that is written down first.
        ledger.installer_begins(target).await?;
        session.run_installer().await?;
        Ok(Ended::Accepted {
            reports: session.takes_json()
                || version.is_none_or(|version| version >= rules::FIRST_REPORTING),
        })
    }
}

/// What cuts an attempt short, up to the moment at which the installer is begun.
struct Over<'a> {
    stop: &'a CancellationToken,
    ended: CancellationToken,
}

impl<'a> Over<'a> {
    fn of(ledger: &Ledger<'a>, in_hand: &InHand) -> Self {
        Self {
            stop: ledger.stop,
            ended: in_hand.until_ended(),
        }
    }

    /// Does `work` unless the daemon stops, or the task ends otherwise, before or meanwhile.
    async fn unless<T>(&self, work: impl Future<Output = T>) -> Result<T, Ended> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Ended::Stopped),
            () = self.ended.cancelled() => Err(Ended::TakenBack),
            done = work => Ok(done),
        }
    }
}

/// A daemon that was restarted finds its queue at once, but agents that dial in
/// themselves need a moment to notice.
async fn connected(workshop: &Workshop, agent: AgentId) {
    let left = RECONNECT_WITHIN.saturating_sub(workshop.started.elapsed());
    if left.is_zero() {
        return;
    }
    let connected = tokio::time::timeout(left, workshop.parts.transport.connected(agent));
    if connected.await.is_err() {
        debug!(%agent, "the agent did not come back in time");
    }
}
