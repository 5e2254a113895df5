//! `rollout_rehearse`: a definition played with the agents that there are, and outcomes
//! that are made up.

use wpk_api::settings::Span;
use wpk_rollout::{Happened, Odds, rehearse};
use wpk_wire::own::rollout::{
    RehearseRollout, Rehearsed, RehearsedBound, RehearsedEvent, RehearsedRollout, RehearsedWhat,
};
use wpk_wire::{Refusal, Response};

use super::plan::{assumptions, late, rates, read};
use super::refusals::{of_store, refused};
use super::shown::{counts, reason, rollout_state};
use crate::rollout::view;
use crate::workshop::Workshop;

/// Answers `rollout_rehearse`.
pub(super) async fn rehearsed(
    workshop: &Workshop,
    asked: RehearseRollout,
) -> Result<Response, Refusal> {
    let odds = odds(&asked)?;
    let definition = read(&asked.definition)?;
    let (now, _) = view(workshop).await.map_err(of_store)?;
    late(&definition, &now)?;
    let digest = now.desired.digest(&definition);
    let after = now.desired.apply(&definition, digest, now.now);
    let after = now.with(after.map_err(|error| refused(error.to_string()))?);
    let playing = odds.clone();
    let played = after.beside(move |after| rehearse(&after.inputs(), &playing));
    let played = played.await.map_err(of_store)?;
    let answer = Rehearsed {
        began: now.now,
        events: played.events.iter().map(event).collect(),
        ended: played.ended,
        most_down: played.most_down as u64,
        peak_bandwidth: rates(&played.peak),
        failed: played.failed as u64,
        bounds: (played.bounds.iter())
            .map(|bound| RehearsedBound {
                rollout: (&*bound.rollout.name).into(),
                wave: (&*bound.wave).into(),
                most: bound.most as u64,
            })
            .collect(),
        rollouts: (played.rollouts.iter())
            .map(|one| RehearsedRollout {
                name: (&*one.key.name).into(),
                state: rollout_state(&one.state),
                reason: reason(one),
                counts: counts(&one.counts),
            })
            .collect(),
        assumptions: assumptions(&odds),
    };
    Ok(Response::success(vec![answer.to_item()]))
}

fn odds(asked: &RehearseRollout) -> Result<Odds, Refusal> {
    let mut odds = Odds::default();
    let bad = |key: &str, error: &dyn std::fmt::Display| refused(format!("{key}: {error}"));
    if let Some(rate) = &asked.failure_rate {
        odds.failure_rate = rate
            .parse()
            .map_err(|error: wpk_rollout::AmountError| bad("failure_rate", &error))?;
    }
    if let Some(part) = &asked.offline {
        odds.offline = part
            .parse()
            .map_err(|error: wpk_rollout::AmountError| bad("offline", &error))?;
    }
    if let Some(speed) = &asked.speed {
        odds.speed = speed
            .parse()
            .map_err(|error: wpk_rollout::RateError| bad("speed", &error))?;
    }
    if let Some(bytes) = asked.file_size {
        odds.file = bytes.clamp(1, 1 << 40);
    }
    if let Some(seconds) = asked.install_time {
        odds.install = Span::seconds(seconds.clamp(1, 86_400));
    }
    odds.seed = asked.seed.unwrap_or(odds.seed);
    Ok(odds)
}

fn event(event: &wpk_rollout::Event) -> RehearsedEvent {
    let mut told = RehearsedEvent {
        at: event.at,
        rollout: (&*event.rollout.name).into(),
        ..RehearsedEvent::default()
    };
    match &event.what {
        Happened::Opened(wave, agents) => {
            told.what = RehearsedWhat::Opened;
            (told.wave, told.agents) = (Some((&**wave).into()), Some(*agents as u64));
        }
        Happened::Passed(wave, why) => {
            told.what = RehearsedWhat::Passed;
            (told.wave, told.words) = (Some((&**wave).into()), Some(why.into()));
        }
        Happened::Halted(why) => {
            told.what = RehearsedWhat::Halted;
            told.words = Some(why.into());
        }
    }
    told
}
