//! Rehearsals, and what a plan counts beforehand.

use std::collections::BTreeMap;

use wpk_rollout::{Amount, Happened, Inputs, Odds, Rehearsal, RolloutState, rehearse, summaries};

use crate::traps::rollout;
use crate::world::{START, World, id};

fn play(world: &World, odds: &Odds) -> Rehearsal {
    let agents: Vec<_> = world.agents.values().cloned().collect();
    rehearse(
        &Inputs {
            desired: &world.desired,
            agents: &agents,
            attempts: &world.attempts,
            holds: &BTreeMap::new(),
            now: world.now,
        },
        odds,
    )
}

const REST: &str = "size = '100%'\nmax_failures = '5%'\nsoak = '30m'";

#[test]
fn the_earliest_end_is_after_all_soaks() {
    let mut world = World::new(60);
    world.apply(&rollout(&["size = 5\nsoak = '2h'", REST]));
    let played = play(&world, &Odds::default());
    let took = played.ended.unwrap() - START;
    assert!(
        (9_000..12_000).contains(&took),
        "{took} s, two soaks are 9,000"
    );
    assert_eq!(played.rollouts[0].state, RolloutState::Converged);
    assert_eq!((played.failed, played.most_down), (0, 55));
    let names: Vec<_> = played.events.iter().map(|event| &event.what).collect();
    assert!(
        matches!(names[0], Happened::Opened(name, 5) if &**name == "w0"),
        "{names:?}"
    );
    assert!(
        matches!(names[1], Happened::Passed(..)) && matches!(names[2], Happened::Opened(_, 55))
    );
    assert_eq!(
        play(&world, &Odds::default()),
        played,
        "the same seed, the same fleet"
    );
}

#[test]
fn a_bad_release_breaks_as_many_as_the_bound_says() {
    for (most, broken) in [(0, 1), (1, 2)] {
        let canary = format!("size = 20\nmin_sample = 20\nstrict = true\nmax_failures = {most}");
        let mut world = World::new(200);
        world.apply(&rollout(&[&canary, REST]));
        let odds = Odds {
            failure_rate: Amount::Percent(10_000),
            ..Odds::default()
        };
        let played = play(&world, &odds);
        assert_eq!((played.failed, played.ended), (broken, None));
        assert_eq!(played.bounds[0].most, broken);
        assert!(matches!(
            played.events.last().unwrap().what,
            Happened::Halted(_)
        ));
    }
}

#[test]
fn bandwidth_windows_and_absence_make_it_longer() {
    let mut world = World::new(100);
    let site = "[[site]]\nname = 'default'\nwindows = ['22:00-05:00']\nbandwidth = '8Mbit/s'\n\
                max_concurrent = 10\n";
    world.apply(&format!(
        "{site}{}",
        rollout(&["size = 5\nsoak = '1h'", REST])
    ));
    let best = play(&world, &Odds::default());
    assert!(best.ended.unwrap() > START + 6_000, "two soaks are 5,400");
    assert!(best.most_down <= 10, "{}", best.most_down);
    assert!(
        best.peak.values().all(|peak| *peak <= 1_000_000),
        "{:?}",
        best.peak
    );
    let odds = Odds {
        offline: Amount::Percent(3_000),
        ..Odds::default()
    };
    let away = play(&world, &odds);
    assert!(
        !matches!(away.rollouts[0].state, RolloutState::Halted(_)),
        "{:?}",
        away.events
    );
}

#[test]
fn a_plan_is_counted_beforehand() {
    let mut world = World::new(30);
    world.agents.get_mut(&id(3)).unwrap().unsupported = Some("no package for it".into());
    world.hosts.get_mut(&id(4)).unwrap().online = false;
    world.look(id(4));
    let site = "[[site]]\nname = 'lyon'\nselect = 'label.site = lyon'\n";
    world.apply(&format!("{site}{}", rollout(&["size = 5", REST])));
    let agents: Vec<_> = world.agents.values().cloned().collect();
    let counted = summaries(&Inputs {
        desired: &world.desired,
        agents: &agents,
        attempts: &[],
        holds: &BTreeMap::new(),
        now: START,
    });
    let one = &counted[0];
    let sizes: Vec<_> = one
        .waves
        .iter()
        .map(|(name, size)| (&**name, *size))
        .collect();
    assert_eq!(sizes, [("w0", 5), ("w1", 24)]);
    assert_eq!(one.sites.values().sum::<usize>(), 29);
    assert_eq!(
        (
            one.sites["lyon".parse::<wpk_rollout::Name>().as_ref().unwrap()],
            one.unreachable
        ),
        (15, 1)
    );
    assert_eq!((one.platforms["ubuntu"], one.platforms["windows"]), (20, 9));
    assert_eq!(one.unsupported["no package for it"], 1);
}
