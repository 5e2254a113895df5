//! What becomes of a fleet when the faults stop.

use proptest::prelude::*;
use wpk_api::TaskId;
use wpk_rollout::{AgentState, Phase, Reason, RolloutState};

use crate::chaos::{Chaos, Event, Mix};
use crate::traps::rollout;
use crate::world::{World, id};

/// Everybody is well from now on, and operators ask for another try where something
/// failed. Returns how many rounds it took, `None` if it does not come to an end.
fn calm(world: &mut World) -> Option<usize> {
    world.holds.clear();
    for round in 0..600 {
        world.hosts.values_mut().for_each(|host| host.online = true);
        for task in world.awaited() {
            world.succeed(task);
        }
        world.look_at_all();
        let last = TaskId(world.attempts.len() as i64);
        let failed: Vec<_> = (world.plan().agents.iter())
            .filter(|one| matches!(one.state, AgentState::Failed { .. }))
            .map(|one| one.agent)
            .collect();
        let releases = world.desired.releases.clone();
        for document in &mut world.desired.rollouts {
            if document
                .definition
                .target
                .is_some_and(|target| releases.is_denied(target))
            {
                let _ = document.cancel();
                continue;
            }
            // Not every agent is in every rollout.
            for agent in &failed {
                let _ = document.retry(&[*agent], last);
            }
            if matches!(document.facts.phase, Phase::Halted(_)) {
                let facts = &document.facts;
                let members = facts.waves.iter().flat_map(|wave| &wave.members);
                let inside: Vec<_> = members.chain(&facts.joined).copied().collect();
                let _ = document.retry(&inside, last);
            }
            let _ = document.resume();
        }
        let made = world.plan();
        let epochs = world.epochs();
        for action in &made.actions {
            world.carry_out(action, world.fence, &epochs);
        }
        world.begin_all();
        if made.actions.is_empty() && failed.is_empty() && world.awaited().is_empty() {
            let states = made.rollouts.iter().map(|one| &one.state);
            let mut done = states
                .map(|state| matches!(state, RolloutState::Converged | RolloutState::Cancelled));
            let open = |state| {
                matches!(
                    state,
                    AgentState::Unknown { .. } | AgentState::Soaking { .. }
                )
            };
            if done.all(|done| done) && !made.agents.iter().any(|one| open(one.state)) {
                return Some(round);
            }
            match made.next.filter(|next| *next < world.now + 10 * 86_400) {
                Some(next) => world.now = next,
                None => return Some(round),
            }
        }
    }
    None
}

proptest! {
    #![proptest_config(crate::cases())]

    // Invariant 6.
    #[test]
    fn when_faults_stop_everybody_arrives(
        agents in 1usize..12,
        shape in any::<[u8; 8]>(),
        events in prop::collection::vec(any::<Event>(), 10..60),
    ) {
        let mix = Mix { operators: true };
        let mut chaos = Chaos::new(agents, shape, mix);
        for event in events {
            chaos.step(event, mix).map_err(TestCaseError::fail)?;
        }
        let mut world = chaos.world;
        prop_assert!(calm(&mut world).is_some(), "it never ends: {:?}\n{:?}\n{:?}\n{:?}", world.plan().rollouts, world.plan().agents, world.plan().actions, world.desired);
        let made = world.plan();
        for verdict in &made.agents {
            let mut all = world.desired.rollouts.iter();
            if all.any(|one| Some(&one.key) == verdict.rollout.as_deref() && !one.is_live()) {
                // Its rollout was cancelled, and nobody asked it to be anywhere.
                continue;
            }
            let arrived = match verdict.state {
                AgentState::Current | AgentState::Succeeded => true,
                AgentState::Excluded => matches!(verdict.reason, Reason::ByHand | Reason::NotSelected | Reason::NoMatch),
                // A release was denied.
                AgentState::Unsupported => true,
                _ => false,
            };
            prop_assert!(arrived, "{:?}\n{:?}\n{:?}\n{:?}", verdict, made.rollouts, made.agents, world.desired.rollouts);
        }
    }

    // Invariant 7.
    #[test]
    fn who_is_away_blocks_no_wave_and_is_no_success(
        agents in 4usize..14,
        away in prop::collection::btree_set(1usize..14, 0..6),
    ) {
        let mut world = World::new(agents);
        for number in away.iter().filter(|number| **number <= agents) {
            world.hosts.get_mut(&id(*number)).unwrap().online = false;
        }
        world.look_at_all();
        let gone = world.hosts.values().filter(|host| !host.online).count();
        let waves = ["size = 2\nsoak = '1m'", "size = '50%'\nsoak = '1m'", "size = '100%'\nsoak = '1m'"];
        world.apply(&rollout(&waves));
        for _ in 0..20 {
            world.settle();
            world.begin_all().into_iter().for_each(|task| world.succeed(task));
            world.settle();
            world.now += 61;
            world.look_at_all();
        }
        let status = world.plan().rollouts[0].clone();
        prop_assert_eq!(status.counts.succeeded, agents - gone);
        prop_assert_eq!(status.counts.unreachable, gone);
        prop_assert_eq!(status.state, RolloutState::Converged);
    }
}
