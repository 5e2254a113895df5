//! Two rollouts to forty agents in two sites: `cargo run --release -p demo -- rollout`.
//!
//! The good release goes to a strict canary first, one agent at a time, and when that has
//! soaked, to all others under the caps of their sites. The bad one has a program that
//! does not run: its canary must halt after one failure, with nobody else touched. What is
//! said at the end is what the programs and the installers in the agents' homes say; the
//! manager's words are compared with that.
//!
//! `plan` is what is defined, `releases` what is sent, `fleet` runs the agents, `watch`
//! looks on and `show` tells of it, `evidence` looks into the homes and `report` judges.

mod evidence;
mod fleet;
mod plan;
mod releases;
mod report;
mod show;
mod watch;

use wpk_wire::own::rollout::{ApplyRollout, PlanRollout, Planned};

use crate::error::DemoError;
use crate::manager::Manager;
use crate::programs::Programs;
use crate::scratch::Scratch;
use crate::screen::say;

use evidence::Became;
use fleet::Fleet;
use plan::{BAD, GOOD, Release};
use releases::Releases;
use report::Round;

/// The story. True if every agent ended as it should.
pub(crate) async fn story(programs: &Programs, scratch: &Scratch) -> Result<bool, DemoError> {
    say("making a signing CA and a good and a bad release");
    let releases = Releases::publish(scratch).await?;
    say(format_args!("serving them at {}", releases.url()));

    say("starting wpkd with that repository");
    let mut manager = Manager::start_with_repository(programs, scratch, &releases.url()).await?;

    say("enrolling, labelling and starting forty agents in two sites");
    let mut fleet = Fleet::start(programs, scratch, &manager, releases.ca_pem()).await?;
    manager.wait_until_active(&fleet.ids()).await?;

    let good = round(&manager, &fleet, &GOOD).await?;
    // The bad release must find everybody at the good one, or it shows nothing.
    let reached = |became: &Became| *became == Became::Upgraded;
    let bad = match good.became.iter().all(reached) {
        true => Some(round(&manager, &fleet, &BAD).await?),
        false => None,
    };

    fleet.stop().await?;
    manager.stop().await?;
    Ok(report::print(&fleet, &good, bad.as_ref()))
}

/// One rollout from its plan to its end.
async fn round(
    manager: &Manager,
    fleet: &Fleet,
    release: &'static Release,
) -> Result<Round, DemoError> {
    let definition = plan::definition(release);
    say(format_args!(
        "\nrolling {} out, which {}",
        release.version, release.is
    ));
    for line in definition.lines() {
        say(format_args!("  | {line}"));
    }
    let before = fleet.evidence().await?;
    let planned = plan_of(manager, &definition).await?;
    for rollout in &planned.rollouts {
        for wave in &rollout.waves {
            let strict = if wave.strict { ", strict" } else { "" };
            say(format_args!(
                "  planned: wave {}, {} agents, {} may fail{strict}",
                wave.name, wave.agents, wave.may_fail
            ));
        }
    }
    let asked = ApplyRollout {
        definition,
        digest: planned.digest,
    };
    manager.ask_rollout(asked).await?;
    let watched = watch::until_over(manager, fleet, release).await?;
    let after = fleet.evidence().await?;
    let became = before.iter().zip(&after);
    Ok(Round {
        release,
        became: became
            .map(|(before, after)| after.since(before, release.version))
            .collect(),
        watched,
    })
}

async fn plan_of(manager: &Manager, definition: &str) -> Result<Planned, DemoError> {
    let asked = PlanRollout {
        definition: definition.to_owned(),
    };
    let items = manager.ask_rollout(asked).await?;
    let planned = items.first().and_then(Planned::from_item);
    planned.ok_or_else(|| DemoError::answer("rollout_plan", &items))
}
