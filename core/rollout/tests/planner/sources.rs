//! Files that cannot be had, and releases that are denied after agents failed: what is
//! no agent's failure, and what stays one.

use wpk_api::{Digests, TaskId};
use wpk_rollout::{Release, RolloutState};

use crate::traps::rollout;
use crate::world::{World, v};

/// Agents of one platform, in a strict wave in which nobody may fail.
fn world() -> World {
    let mut world = World::new(2);
    world.enroll(4, "v4.14.0");
    world.enroll(5, "v4.14.0");
    let strict = ["size = '100%'\nsoak = '1m'\nmax_failures = 0\nstrict = true"];
    world.apply(&rollout(&strict));
    world.settle();
    world
}

#[test]
fn a_file_that_cannot_be_had_uses_up_no_tries_and_halts_nothing() {
    // No try is left after the first, and no failure is allowed.
    let mut world = world();
    for round in 0..20 {
        let permitted = world.permitted();
        assert_eq!(permitted.len(), 1, "round {round}: strict");
        world.no_file(permitted[0]);
        let made = world.settle();
        assert_eq!(made.rollouts[0].state, RolloutState::Running);
        assert_eq!(made.rollouts[0].counts.failed, 0);
        assert_eq!(made.rollouts[0].waves[0].tally.begun, 0);
        assert_eq!(world.permitted(), [], "it is not tried at once");
        let (state, why) = world.state(4);
        assert_eq!(state, "waiting");
        assert!(why.contains("cannot be had, tried again at"), "{why}");
        assert!(why.contains("The repository is not reachable"), "{why}");
        let pause = made.next.unwrap() - world.now;
        assert!((60..=3_600).contains(&pause), "{pause}");
        if round == 19 {
            assert_eq!(pause, 3_600, "less and less often");
        }
        world.now = made.next.unwrap();
        world.settle();
    }
    for _ in 0..4 {
        let begun = world.begin_all();
        assert_eq!(begun.len(), 1);
        world.succeed(begun[0]);
        world.settle();
    }
    world.now += 60;
    world.look_at_all();
    let end = world.settle();
    assert_eq!(end.rollouts[0].counts.succeeded, 4, "{end:?}");
    assert_eq!(end.rollouts[0].state, RolloutState::Converged);
}

#[test]
fn one_agent_tries_for_all_of_its_kind_and_others_go_on() {
    let mut world = World::new(9);
    world.apply(&rollout(&["size = '100%'\nsoak = '1m'"]));
    world.settle();
    let windows = |world: &World, task: TaskId| {
        let attempt = world.attempts.iter().find(|one| one.id == task).unwrap();
        attempt.agent.get().is_multiple_of(3)
    };
    // The file for Windows is not there.
    for task in world.permitted() {
        if windows(&world, task) {
            world.no_file(task);
        }
    }
    let made = world.settle();
    assert_eq!(
        world.permitted().len(),
        6,
        "those of another platform go on"
    );
    world.now = made.next.unwrap();
    world.settle();
    let tried: Vec<TaskId> = world.permitted();
    let tried: Vec<_> = tried
        .into_iter()
        .filter(|one| windows(&world, *one))
        .collect();
    assert_eq!(tried.len(), 1);
    let others = [3, 6, 9].map(|agent| world.state(agent));
    let wait = |(state, why): &&(String, String)| {
        state == "waiting" && why.contains("another agent tries it")
    };
    assert_eq!(others.iter().filter(wait).count(), 2, "{others:?}");
    // It is there now: all of them go on.
    assert!(world.begin(tried[0]));
    world.settle();
    let open = world.permitted();
    assert_eq!(open.iter().filter(|one| windows(&world, **one)).count(), 2);
}

#[test]
fn who_failed_has_failed_also_when_the_release_is_denied() {
    let mut world = World::new(3);
    let waves = ["size = '100%'\nsoak = '1m'\nmax_failures = 3"];
    world.apply(&rollout(&waves));
    world.settle();
    let begun = world.begin_all();
    world.fail(begun[0]);
    world.settle();
    let of = |world: &World, task: TaskId| {
        let attempt = world.attempts.iter().find(|one| one.id == task).unwrap();
        world.state(attempt.agent.get() as usize)
    };
    let failed = of(&world, begun[0]);
    assert_eq!(failed.0, "failed");
    world.desired.releases.0.push(Release {
        version: v("v4.14.7"),
        floors: Vec::new(),
        denied: true,
        sha256: Digests::default(),
    });
    world.named("prod").deny(v("v4.14.7"));
    world.fail(begun[1]);
    world.settle();
    assert_eq!(of(&world, begun[0]), failed);
    assert_eq!(of(&world, begun[1]).0, "failed");
}
