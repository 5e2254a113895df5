//! That an installer is about to be begun: at most once, by whoever carries the task out,
//! and only while the document that it was made for has not fenced it out.

use wpk_api::{Status, TaskId, TimelineEntry, TimelineStep, UnixTime, Version};

use crate::documents;
use crate::fault::Fault;
use crate::moves::{hold, is_carried_out_by, note};
use crate::work::Work;

/// See [`wpk_api::TaskStore::begin_installer`].
pub(crate) async fn begin_installer(
    work: &mut Work<'_>,
    id: TaskId,
    target: Option<Version>,
    now: UnixTime,
) -> Result<bool, Fault> {
    let epoch = documents::epoch_of(work, id).await?;
    let Some(mut known) = hold(work, &[id]).await?.remove(&id) else {
        return Ok(false);
    };
    let may = known.task.status == Status::InProgress && known.begun.is_none();
    let now = work.time(now);
    let closed = known.closes.is_some_and(|closes| closes <= now);
    let fenced = known.fenced && (known.epoch != epoch || closed);
    if !may || fenced || !is_carried_out_by(&known, work.node()) {
        return Ok(false);
    }
    known.begun = Some((now, work.incarnation()));
    known.target = target;
    known.task.updated = Some(now);
    work.pending.change(known);
    note(work, id, &TimelineEntry::new(now, TimelineStep::Upgrade))?;
    Ok(true)
}
