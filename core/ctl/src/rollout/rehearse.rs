//! `wpkctl rollout rehearse`: a definition played through with outcomes that are made up.

use wpk_wire::UpgradeCommand;
use wpk_wire::own::rollout::{
    RehearseRollout, Rehearsed, RehearsedEvent, RehearsedWhat, RolloutState,
};

use super::args::RehearseArgs;
use super::file;
use super::words::{self, agents, counts, span};
use crate::error::CtlError;
use crate::manager::client::Client;
use crate::manager::{rollouts, socket};
use crate::options::Global;
use crate::output::{Ending, Output, clean, time};

/// Plays a definition through.
pub(super) async fn run(
    global: &Global,
    args: RehearseArgs,
    out: &Output,
) -> Result<Ending, CtlError> {
    let mut client = Client::new(socket::path(global)?);
    let asked = RehearseRollout {
        definition: file::read(&args.file)?,
        failure_rate: args.failure_rate,
        offline: args.offline,
        speed: args.speed,
        file_size: args.file_size,
        install_time: args.install_time.map(|time| time.as_secs().max(1)),
        seed: args.seed,
    };
    let items = rollouts::send(&mut client, asked).await?;
    let command = UpgradeCommand::RolloutRehearse;
    let played = rollouts::first(&client, command, &items, Rehearsed::from_item)?;
    out.last(&played)?;
    for line in lines(&played) {
        out.line(line)?;
    }
    Ok(Ending::when(played.ended.is_some()))
}

fn lines(played: &Rehearsed) -> Vec<String> {
    let mut lines: Vec<String> = played
        .events
        .iter()
        .map(|event| happened(event, played.began))
        .collect();
    if played.events.len() >= Rehearsed::MOST_EVENTS {
        lines.push("and more, which is not told".to_owned());
    }
    for rollout in &played.rollouts {
        let why = rollout.reason.as_ref();
        let why = why.map_or_else(String::new, |why| format!(" ({})", clean(why)));
        lines.push(format!(
            "rollout {}: {}{why}: {}",
            clean(&rollout.name),
            rollout.state,
            counts(&rollout.counts)
        ));
    }
    let halted = (played.rollouts.iter()).any(|one| one.state == RolloutState::Halted);
    lines.push(match played.ended {
        Some(end) => format!(
            "Ended {} after {}.",
            time(end),
            span(end.saturating_sub(played.began))
        ),
        None if halted => "It did not end: it was halted.".to_owned(),
        None => "It did not end within a year.".to_owned(),
    });
    lines.push(format!("Most down at once: {}", agents(played.most_down)));
    lines.push(format!("Installations that failed: {}", played.failed));
    if !played.peak_bandwidth.is_empty() {
        let rates = words::rates(&played.peak_bandwidth);
        lines.push(format!("Most bandwidth, about: {rates}"));
    }
    for bound in &played.bounds {
        lines.push(format!(
            "A bad release breaks at most {} of wave {} in rollout {}",
            bound.most,
            clean(&bound.wave),
            clean(&bound.rollout)
        ));
    }
    for assumed in &played.assumptions {
        lines.push(format!("  assumed: {}", clean(assumed)));
    }
    lines
}

fn happened(event: &RehearsedEvent, began: i64) -> String {
    let wave = event.wave.as_ref();
    let wave = wave.map_or_else(String::new, |wave| format!(" wave {}", clean(wave)));
    let count = event.agents.map(|count| format!(" with {}", agents(count)));
    let why = event.words.as_ref().map(|why| format!(": {}", clean(why)));
    let what = match event.what {
        RehearsedWhat::Opened => format!("{wave} opened"),
        RehearsedWhat::Passed => format!("{wave} passed"),
        RehearsedWhat::Halted => " halted".to_owned(),
        RehearsedWhat::Other => format!("{wave} changed"),
    };
    format!(
        "{} +{:<8}{}{what}{}{}",
        time(event.at),
        span(event.at.saturating_sub(began)),
        clean(&event.rollout),
        count.unwrap_or_default(),
        why.unwrap_or_default()
    )
}
