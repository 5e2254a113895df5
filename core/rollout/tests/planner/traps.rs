//! What rollouts of others got wrong, each as a table of its own.

use wpk_api::Digests;
use wpk_rollout::{Action, Outcome, RolloutState, Settled};

use crate::world::{START, World, id, v};

/// A rollout of everybody to v4.14.7 with these waves.
pub fn rollout(waves: &[&str]) -> String {
    let mut text = "[[rollout]]\nname = 'prod'\nselect = 'group = prod'\ntarget = 'v4.14.7'\n\
                    retries = 0\n"
        .to_owned();
    for (number, wave) in waves.iter().enumerate() {
        text += &format!("[[rollout.wave]]\nname = 'w{number}'\n{wave}\n");
    }
    text
}

const CANARY: &str = "size = 4\nmin_sample = 4\nmax_failures = 1\nsoak = '1h'";
const REST: &str = "size = '100%'\nsoak = '10m'\nmax_failures = '50%'";

fn world(agents: usize, waves: &[&str]) -> World {
    let mut world = World::new(agents);
    world.apply(&rollout(waves));
    world
}

fn waves_open(world: &mut World) -> usize {
    world.settle();
    world.named("prod").facts.waves.len()
}

fn state(world: &World) -> RolloutState {
    world.plan().rollouts.last().unwrap().state.clone()
}

#[test]
fn a_canary_passes_after_its_soak_and_the_rest_follows() {
    let mut world = world(20, &[CANARY, REST]);
    world.settle();
    let begun = world.begin_all();
    assert_eq!(begun.len(), 4, "the canary alone");
    begun.iter().for_each(|task| world.succeed(*task));
    assert_eq!(waves_open(&mut world), 1);
    world.now += 3599;
    assert_eq!(waves_open(&mut world), 1, "its soak is not over");
    world.now += 1;
    world.look_at_all();
    assert_eq!(waves_open(&mut world), 2);
    let begun = world.begin_all();
    assert_eq!(begun.len(), 16);
    begun.iter().for_each(|task| world.succeed(*task));
    world.settle();
    world.now += 600;
    world.look_at_all();
    world.settle();
    assert_eq!(state(&world), RolloutState::Converged);
    assert_eq!(world.plan().rollouts[0].counts.succeeded, 20);
}

// Trap: a finished group is taken for a successful one.
#[test]
fn a_wave_that_is_finished_and_failed_does_not_pass() {
    let mut world = world(20, &[CANARY, REST]);
    world.settle();
    let begun = world.begin_all();
    begun[..2].iter().for_each(|task| world.fail(*task));
    begun[2..].iter().for_each(|task| world.succeed(*task));
    world.settle();
    assert!(matches!(state(&world), RolloutState::Halted(why) if why.contains("2 of 4")));
    world.now += 999_999;
    world.look_at_all();
    assert_eq!(waves_open(&mut world), 1);
    assert_eq!(world.begin_all(), []);
}

// Trap: a rollout that failures halted shows no failure, since those agents would be tried
// again; whoever looks for them finds nobody to mend.
#[test]
fn who_halted_a_rollout_is_failed_until_another_try_is_asked_for() {
    let mut world = World::new(20);
    world.apply(&rollout(&[CANARY, REST]).replace("retries = 0", "retries = 2"));
    world.settle();
    let begun = world.begin_all();
    begun[..2].iter().for_each(|task| world.fail(*task));
    begun[2..].iter().for_each(|task| world.succeed(*task));
    world.settle();
    let plan = world.plan();
    assert_eq!(plan.rollouts[0].counts.failed, 2);
    let failed = plan.agents.iter().filter(|one| {
        let again = matches!(
            one.state,
            wpk_rollout::AgentState::Failed { tries_left: 1.. }
        );
        again && matches!(one.reason, wpk_rollout::Reason::Failed(_))
    });
    assert_eq!(failed.count(), 2);
}

// Trap: an operator's word about one attempt is forgotten when the next one is settled, and
// the agent, which is out again, gets no further try.
#[test]
fn what_was_settled_stays_so_when_a_later_attempt_is_settled() {
    let mut world = World::new(1);
    let tries = "retries = 2\nretry_pause = '5m'\nunknown_after = '2h'";
    let wave = "size = '100%'\nmax_failures = 1";
    world.apply(&rollout(&[wave]).replace("retries = 0", tries));
    for number in 1..=3 {
        world.settle();
        let begun = world.begin_all();
        assert_eq!(begun.len(), 1, "try {number}: {:?}", world.state(1));
        world.report(begun[0], Outcome::Silent);
        let settled = Settled {
            attempt: begun[0],
            succeeded: false,
        };
        world.named("prod").settle(id(1), settled).unwrap();
        world.now += 1_500;
    }
    let counts = world.plan().rollouts[0].counts;
    assert_eq!(counts.failed, 1, "{counts:?}");
}

// Trap: exactly half may fail, and half of an odd number is rounded up; or the percent
// is of those that are through.
#[test]
fn percents_of_failures_are_of_the_wave_and_rounded_down() {
    for (most, members, failing, halts) in [
        ("'50%'", 4, 2, false),
        ("'50%'", 4, 3, true),
        ("'50%'", 5, 2, false),
        ("'50%'", 5, 3, true),
        ("'49%'", 4, 2, true),
        ("'1%'", 99, 1, true),
        ("'1%'", 100, 1, false),
        ("0", 10, 1, true),
        ("3", 4, 3, false),
    ] {
        let wave = format!("size = '100%'\nmax_failures = {most}");
        let mut world = world(members, &[&wave]);
        world.settle();
        let begun = world.begin_all();
        assert_eq!(begun.len(), members);
        begun[..failing].iter().for_each(|task| world.fail(*task));
        world.settle();
        let halted = matches!(state(&world), RolloutState::Halted(_));
        assert_eq!(halted, halts, "{failing} of {members}, {most} may");
    }
}

// Trap: an empty group passes.
#[test]
fn a_wave_in_which_nobody_was_begun_does_not_pass() {
    let mut world = world(8, &["size = 4\nsoak = '1s'", REST]);
    for number in 1..=8 {
        world.hosts.get_mut(&id(number)).unwrap().online = false;
    }
    world.look_at_all();
    assert_eq!(waves_open(&mut world), 1);
    world.now += 999_999;
    assert_eq!(waves_open(&mut world), 1, "all of its agents are away");
    // Nobody is selected: no wave opens at all, so that who comes later meets a canary.
    let mut empty = World::new(0);
    empty.apply(&rollout(&[CANARY, REST]));
    assert_eq!(waves_open(&mut empty), 0);
    (1..=5).for_each(|number| empty.enroll(number, "v4.14.0"));
    assert_eq!(waves_open(&mut empty), 1);
}

#[test]
fn a_wave_that_nobody_could_ever_be_in_passes_and_says_so() {
    let mut world = world(8, &["size = 4\nsoak = '1s'", REST]);
    world.settle();
    let members = world.named("prod").facts.waves[0].members.clone();
    world.named("prod").skip(&members).unwrap();
    let made = world.plan();
    let why = made.actions.iter().find_map(|action| match action {
        Action::Pass { why, .. } => Some(why.clone()),
        _ => None,
    });
    assert_eq!(
        why.as_deref(),
        Some("none of its 4 agents can be upgraded any more")
    );
    assert_eq!(waves_open(&mut world), 2);
}

#[test]
fn a_wave_that_is_smaller_than_its_sample_is_refused() {
    let mut world = world(3, &["size = 4\nmin_sample = 4", REST]);
    assert_eq!(waves_open(&mut world), 0);
    let problems = world.plan().rollouts[0].problems.clone();
    assert!(
        problems[0].contains("w0 has 3 agents and its min_sample is 4"),
        "{problems:?}"
    );
}

// Trap: a canary passes with the first agent that says hello.
#[test]
fn a_success_counts_when_its_version_is_seen_and_was_watched() {
    let mut world = world(8, &["size = 1\nsoak = '1h'", REST]);
    world.settle();
    let task = world.begin_all()[0];
    let agent = world.attempt(task).unwrap().agent.get() as usize;
    world.report(task, Outcome::Succeeded);
    world.now += 7200;
    assert_eq!(waves_open(&mut world), 1);
    assert_eq!(world.state(agent).0, "running", "its version was not seen");
    world.hosts.get_mut(&id(agent)).unwrap().runs = v("v4.14.7");
    world.look(id(agent));
    world.settle();
    assert_eq!(
        world.state(agent).0,
        "soaking",
        "watched from when it was seen"
    );
    // It goes away in its soak and is not there at its end.
    world.now += 1800;
    world.hosts.get_mut(&id(agent)).unwrap().online = false;
    world.look(id(agent));
    world.now += 1800;
    assert_eq!(waves_open(&mut world), 1);
    assert_eq!(world.state(agent).0, "unknown");
    world.hosts.get_mut(&id(agent)).unwrap().online = true;
    world.look(id(agent));
    assert_eq!(waves_open(&mut world), 2);
    assert_eq!(world.state(agent).0, "succeeded");
}

// Trap: success is stored while the old version runs.
#[test]
fn a_report_of_success_from_the_old_version_is_a_failure() {
    let mut world = world(4, &["size = '100%'"]);
    world.settle();
    let task = world.begin_all()[0];
    let agent = world.attempt(task).unwrap().agent.get() as usize;
    world.report(task, Outcome::Succeeded);
    world.look_at_all();
    world.settle();
    assert_eq!(world.state(agent).0, "running");
    world.report(task, Outcome::Unconfirmed("Wazuh v4.14.0".into()));
    world.settle();
    let (state_of, why) = world.state(agent);
    assert_eq!(
        (state_of.as_str(), why.as_str()),
        ("failed", "it reported success, but runs Wazuh v4.14.0")
    );
    assert!(matches!(state(&world), RolloutState::Halted(_)));
}

#[test]
fn one_that_falls_back_in_its_soak_halts_at_once() {
    let mut world = world(4, &["size = '100%'\nsoak = '1h'"]);
    world.settle();
    let begun = world.begin_all();
    begun.iter().for_each(|task| world.succeed(*task));
    world.settle();
    world.hosts.get_mut(&id(2)).unwrap().runs = v("v4.14.0");
    world.look(id(2));
    world.settle();
    assert!(matches!(state(&world), RolloutState::Halted(_)));
    assert!(
        world.state(2).1.contains("in its soak v4.14.0 again"),
        "{:?}",
        world.state(2)
    );
}

// Trap: a paused ramp lets new ones through.
#[test]
fn nothing_begins_in_a_pause_neither_old_nor_new() {
    let mut world = world(8, &["size = '100%'\nmax_concurrent = 2"]);
    world.settle();
    assert_eq!(world.permitted().len(), 2);
    world.named("prod").pause().unwrap();
    assert_eq!(
        world.begin_all(),
        [],
        "leave of before the pause is worth nothing"
    );
    world.enroll(9, "v4.14.0");
    world.settle();
    assert_eq!(world.begin_all(), []);
    assert_eq!(
        world.state(9),
        ("waiting".to_owned(), "the rollout is paused".to_owned())
    );
    world.named("prod").resume().unwrap();
    assert_eq!(world.begin_all(), [], "nor is it after the pause");
    world.settle();
    assert_eq!(world.begin_all().len(), 2);
}

// Trap: silence holds a wave for ever.
#[test]
fn silence_becomes_failure_and_the_truth_may_still_come() {
    let wave = "size = 2\nmax_failures = 1\nsoak = '1m'\nunknown_after = '2h'";
    let mut world = world(8, &[wave, REST]);
    world.settle();
    let begun = world.begin_all();
    let silent = world.attempt(begun[0]).unwrap().agent;
    world.hosts.get_mut(&silent).unwrap().online = false;
    world.look(silent);
    world.succeed(begun[1]);
    world.settle();
    world.now += 900;
    world.report(begun[0], Outcome::Silent);
    world.look_at_all();
    assert_eq!(waves_open(&mut world), 1, "nobody knows");
    assert_eq!(world.state(silent.get() as usize).0, "unknown");
    world.now = START + 7200;
    world.look_at_all();
    assert_eq!(waves_open(&mut world), 2, "one failure may be");
    assert_eq!(world.state(silent.get() as usize).0, "failed");
    let host = world.hosts.get_mut(&silent).unwrap();
    (host.runs, host.online) = (v("v4.14.7"), true);
    world.look(silent);
    world.settle();
    assert_eq!(
        world.state(silent.get() as usize).0,
        "soaking",
        "it came back, well"
    );
}

// Trap: cancelled in the table, and begun at the agent.
#[test]
fn nothing_that_was_cancelled_begins() {
    let mut world = world(50, &["size = '100%'"]);
    world.settle();
    let queued = world.permitted();
    assert_eq!(queued.len(), 50);
    world.named("prod").cancel().unwrap();
    assert!(queued.iter().all(|task| !world.begin(*task)));
    world.settle();
    assert!(
        world
            .attempts
            .iter()
            .all(|one| one.end.as_ref().unwrap().1 == Outcome::Cancelled)
    );
}

#[test]
fn a_strict_wave_never_has_more_out_than_may_fail() {
    for (most, broken) in [(0, 1), (1, 2), (3, 4)] {
        let wave = format!("size = 20\nmin_sample = 20\nmax_failures = {most}\nstrict = true");
        let mut world = world(40, &[&wave, REST]);
        let mut failed = 0;
        for _ in 0..50 {
            world.settle();
            let begun = world.begin_all();
            failed += begun.len();
            begun.iter().for_each(|task| world.fail(*task));
        }
        assert_eq!(failed, broken, "{most} may fail");
        assert!(matches!(state(&world), RolloutState::Halted(_)));
    }
}

#[test]
fn who_joins_goes_last_and_who_is_away_blocks_nobody() {
    let mut world = world(8, &["size = 4\nsoak = '1m'", REST]);
    world.hosts.get_mut(&id(8)).unwrap().online = false;
    world.look_at_all();
    world.settle();
    world.enroll(9, "v4.14.0");
    world.settle();
    assert_eq!(world.state(9).1, "it came later and goes last");
    for _ in 0..2 {
        world
            .begin_all()
            .iter()
            .for_each(|task| world.succeed(*task));
        world.settle();
        world.now += 600;
        world.look_at_all();
        world.settle();
    }
    world
        .begin_all()
        .iter()
        .for_each(|task| world.succeed(*task));
    world.settle();
    world.now += 600;
    world.look_at_all();
    world.settle();
    assert_eq!(world.named("prod").facts.joined, [id(9)]);
    assert_eq!(state(&world), RolloutState::Converged);
    assert_eq!(world.state(8).0, "unreachable");
    world.hosts.get_mut(&id(8)).unwrap().online = true;
    world.look(id(8));
    world.settle();
    assert_eq!(state(&world), RolloutState::Running, "it opens again");
    assert_eq!(world.begin_all().len(), 1);
}

#[test]
fn hops_go_over_floors_and_denied_releases_are_never_begun() {
    let mut world = World::new(0);
    world.enroll(1, "v4.3.0");
    world.apply(&rollout(&["size = '100%'\nsoak = '1m'"]).replace("v4.14.7", "v5.0.1"));
    world.settle();
    let first = world.begin_all()[0];
    assert_eq!(world.attempt(first).unwrap().target, Some(v("v4.14.0")));
    world.succeed(first);
    world.settle();
    let second = world.begin_all()[0];
    assert_eq!(world.attempt(second).unwrap().target, Some(v("v5.0.1")));
    let made = world.plan();
    assert_eq!(
        made.agents[0].state,
        wpk_rollout::AgentState::Running { hop: 2, of: 2 }
    );
    world.desired.releases.0.push(wpk_rollout::Release {
        version: v("v5.0.1"),
        floors: Vec::new(),
        denied: true,
        sha256: Digests::default(),
    });
    world.named("prod").deny(v("v5.0.1"));
    world.fail(second);
    world.settle();
    assert!(matches!(state(&world), RolloutState::Halted(_)));
    assert_eq!(world.begin_all(), []);
}

#[test]
fn a_floor_that_is_denied_is_not_begun_any_more() {
    let mut world = World::new(0);
    world.enroll(1, "v4.3.0");
    world.apply(&rollout(&["size = '100%'\nsoak = '1m'"]).replace("v4.14.7", "v5.0.1"));
    world.settle();
    assert_eq!(world.permitted().len(), 1);
    world.named("prod").deny(v("v4.14.0"));
    assert_eq!(
        world.begin_all(),
        [],
        "leave of before it was denied is worth nothing"
    );
}

#[test]
fn of_two_rollouts_the_one_applied_first_has_the_agent() {
    let mut world = world(4, &["size = '100%'\nsoak = '1m'"]);
    let second = rollout(&["size = '100%'\nsoak = '1m'"]).replace("prod'\nselect", "two'\nselect");
    world.apply(&second.replace("v4.14.7", "v4.14.8"));
    world.settle();
    let status = world.plan().rollouts[1].clone();
    assert_eq!(status.elsewhere, [("prod".parse().unwrap(), 4)]);
    world
        .begin_all()
        .iter()
        .for_each(|task| world.succeed(*task));
    world.settle();
    world.now += 60;
    world.look_at_all();
    world.settle();
    assert_eq!(world.begin_all().len(), 4, "the first is through with them");
    let two = world
        .attempts
        .iter()
        .filter(|one| one.target == Some(v("v4.14.8")));
    assert_eq!(two.count(), 4);
}

#[test]
fn tries_are_counted_for_a_release_whichever_rollout_made_them() {
    let mut world = world(1, &["size = '100%'\nsoak = '1m'\nmax_failures = 1"]);
    world.settle();
    let begun = world.begin_all();
    world.fail(begun[0]);
    world.settle();
    world.named("prod").cancel().unwrap();
    let again = rollout(&["size = '100%'\nsoak = '1m'\nmax_failures = 1"]);
    world.apply(&again.replace("'prod'\nselect", "'again'\nselect"));
    world.settle();
    world.now += 86_400;
    world.settle();
    assert_eq!(world.begin_all(), [], "no try of this release is left");
    assert_eq!(world.state(1).0, "failed");
}

#[test]
fn leave_to_begin_ends_where_sites_or_releases_change() {
    let waves = ["size = '100%'\nsoak = '1m'"];
    for change in [
        "[[site]]\nname = 'default'\nwindows = ['22:00-23:00']\n",
        "[[release]]\nversion = 'v4.14.7'\ndenied = true\n",
    ] {
        let mut world = world(2, &waves);
        world.settle();
        assert_eq!(world.permitted().len(), 2);
        world.apply(&format!("{change}{}", rollout(&waves)));
        assert_eq!(world.begin_all(), [], "{change}");
    }
}
