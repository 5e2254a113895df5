//! Files of tasks that may not be installed yet are sent to their agents ahead: as any
//! delivery up to `sha1`, but without `lock_restart`, and nothing of it is an outcome. What
//! fails here is tried again later, and at last by the delivery itself.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};
use wpk_api::{CancellationToken, Claimed, TaskId, TimelineEntry, TimelineStep};

use super::find::find;
use super::ledger::Ledger;
use super::outcome::Ended;
use super::session::Session;
use super::slots::{Slot, Slots};
use super::staged::Sending;
use crate::in_hand::InHand;
use crate::wishes::WishId;
use crate::workshop::Workshop;

/// How often is looked, while there is anything to look for.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Tasks read from the store at a time.
const PAGE: usize = 1_000;

/// Runs until it is dropped.
pub(super) async fn run(
    workshop: &Arc<Workshop>,
    slots: &Slots,
    running: &TaskTracker,
    stop: &CancellationToken,
) {
    loop {
        if workshop.staged.is_wanted() {
            look(workshop, slots, running, stop).await;
            let _ = tokio::time::timeout(LOOK_EVERY, workshop.staged.until_changed()).await;
        } else {
            workshop.staged.until_changed().await;
        }
    }
}

async fn look(
    workshop: &Arc<Workshop>,
    slots: &Slots,
    running: &TaskTracker,
    stop: &CancellationToken,
) {
    let (mut after, mut seen, mut spare) = (TaskId(0), HashSet::new(), None);
    loop {
        let page = workshop.store().staging(workshop.node(), after, PAGE).await;
        let page = match page {
            Ok(page) => page,
            Err(error) => {
                warn!(%error, "tasks whose files could be sent ahead cannot be read");
                return;
            }
        };
        let Some(last) = page.last() else { break };
        after = last.task.id;
        for claimed in page {
            seen.insert(claimed.task.id);
            if !workshop.staged.may_begin(claimed.task.id) {
                continue;
            }
            if spare.is_none() {
                spare = match slots.next(stop, 1).await {
                    Some(mut slots) => slots.pop(),
                    None => return,
                };
            }
            // With a slot, not before: a delivery of this task waits for what is being sent,
            // and may have the only one.
            let Some(sending) = workshop.staged.begin(claimed.task.id) else {
                continue;
            };
            let Some(slot) = spare.take() else { return };
            running.spawn(stage(
                workshop.clone(),
                claimed,
                slot,
                sending,
                stop.clone(),
            ));
        }
    }
    seen.extend(workshop.in_hand.ids());
    workshop.staged.keep(&seen);
}

async fn stage(
    workshop: Arc<Workshop>,
    claimed: Claimed,
    mut slot: Slot,
    sending: Sending,
    stop: CancellationToken,
) {
    // It ends with the daemon, or when the task is carried out.
    let ends = sending.stop.clone();
    let mut in_hand = workshop.in_hand.take(&claimed.task);
    let ended = in_hand.until_ended();
    let ledger = Ledger::ahead_of(&workshop, &claimed.task, &stop);
    let work = Box::pin(send(&ledger, &claimed, &mut slot, &mut in_hand));
    let sent = tokio::select! {
        biased;
        () = ends.cancelled() => return,
        () = ended.cancelled() => return,
        () = stop.cancelled() => return,
        sent = work => sent,
    };
    let (task, agent) = (claimed.task.id, claimed.task.agent);
    drop(slot);
    match sent {
        Ok(sha1) => {
            info!(%task, %agent, "the file was sent ahead; its installer waits");
            let entry = TimelineEntry::new(workshop.now(), TimelineStep::Wait);
            ledger
                .note([entry.detail("the agent has the file; its installer waits")])
                .await;
            ledger.staged().await;
            sending.arrived(sha1);
        }
        Err(Ended::Failed { failure, .. }) => {
            debug!(%task, %agent, %failure, "the file cannot be sent ahead; tried again");
            ledger.note([ledger.failure(&failure)]).await;
        }
        Err(other) => debug!(%task, %agent, ?other, "the file cannot be sent ahead"),
    }
}

async fn send(
    ledger: &Ledger<'_>,
    claimed: &Claimed,
    slot: &mut Slot,
    in_hand: &mut InHand,
) -> Result<wpk_api::Sha1, Ended> {
    // The delivery will say so.
    let Ok(order) = &claimed.order else {
        return Err(Ended::NotOurs);
    };
    let workshop = ledger.workshop;
    in_hand.begins();
    let wish = WishId::of(&order.wanted);
    let found = slot
        .for_file(wish, find(workshop, order, claimed.task.id))
        .await?;
    let connected = workshop.parts.transport.connected(claimed.task.agent);
    slot.before(connected).await;
    in_hand.waits();
    slot.enter().await;
    in_hand.bytes(0, found.file.len);
    let mut session = Session::new(ledger, order, &found.file, in_hand).await?;
    session.send_ahead(slot).await?;
    Ok(found.file.sha1)
}
