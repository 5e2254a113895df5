//! `rollout_history`: newest first.

use wpk_wire::own::rollout::{AskHistory, HistoryEvent};
use wpk_wire::{Refusal, Response};

use super::refusals::of_store;
use crate::rollout::{Event, PLANNER, history};
use crate::workshop::Workshop;

/// Answers it.
pub(super) async fn answer(workshop: &Workshop, asked: AskHistory) -> Result<Response, Refusal> {
    let mut events = history(workshop.store()).await.map_err(of_store)?;
    events.retain(|(number, event)| {
        asked.before.is_none_or(|before| *number < before)
            && asked
                .name
                .as_deref()
                .is_none_or(|name| name_of(event) == Some(name))
    });
    events.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    events.truncate(asked.page());
    let items = events.into_iter().map(|(number, event)| {
        let told = HistoryEvent {
            number,
            at: event.at,
            rollout: name_of(&event).map(Into::into),
            generation: generation_of(&event),
            who: (event.who != PLANNER).then(|| (&event.who).into()),
            what: (&event.what).into(),
            words: (&event.words).into(),
        };
        told.to_item()
    });
    Ok(Response::success(items.collect()))
}

fn name_of(event: &Event) -> Option<&str> {
    let (name, _) = event.rollout.as_deref()?.rsplit_once('#')?;
    Some(name)
}

fn generation_of(event: &Event) -> Option<u32> {
    event.rollout.as_deref()?.rsplit_once('#')?.1.parse().ok()
}
