//! Answers about rollouts: what is sent is read, other releases are understood, and none
//! is longer than a frame may be.

use serde_json::Value;
use wpk_api::TaskId;
use wpk_wire::own::rollout::*;
use wpk_wire::{Item, Response};

use crate::common::*;

/// The longest payload that a peer reads where nothing is set.
const LONGEST: usize = wpk_wire::frame::DEFAULT_MAX_PAYLOAD;

/// An item as the other side has it.
fn over(item: Item) -> Item {
    let bytes = Response::success(vec![item]).to_bytes();
    Response::parse(&bytes).unwrap().data.remove(0)
}

fn counts() -> StateCounts {
    StateCounts {
        current: 1,
        excluded: 2,
        unreachable: 3,
        unsupported: 4,
        waiting: 5,
        running: 6,
        soaking: 7,
        succeeded: 8,
        failed: 9,
        unknown: 10,
    }
}

#[test]
fn a_plan_is_read_as_it_was_sent() {
    let wave = PlannedWave {
        name: "canary".into(),
        agents: 20,
        may_fail: 1,
        strict: true,
    };
    let rollout = PlannedRollout {
        name: "prod".into(),
        generation: 2,
        what: PlannedChange::Replaces,
        target: Some("v4.14.7".into()),
        waves: vec![wave],
        sites: Tallied::new([("lyon", 7), ("default", 13)]),
        unreachable: 3,
        ..PlannedRollout::default()
    };
    let rate = SiteRate {
        site: "lyon".into(),
        bytes_per_second: 2_500_000,
    };
    let planned = Planned {
        digest: "0a".repeat(32),
        rollouts: vec![rollout],
        replaces_sites: true,
        peak_bandwidth: vec![rate],
        earliest_end: Some(1_796_000_000),
        assumptions: vec!["an installation takes 60 s".into()],
        ..Planned::default()
    };
    assert_eq!(Planned::from_item(&over(planned.to_item())), Some(planned));
}

#[test]
fn a_status_is_read_as_it_was_sent() {
    let wave = StatusOfWave {
        name: "canary".into(),
        members: 55,
        counts: counts(),
        gate: GateWord::Waits,
        gate_words: "2 of 55 are unknown".into(),
        opened: Some(5),
        soak: 7_200,
        ..StatusOfWave::default()
    };
    let failure = FailedAgent {
        agent: agent(7),
        name: Some("web".into()),
        wave: Some("canary".into()),
        at: Some(9),
        cause: "no space left".into(),
        tries_left: 1,
        task_id: Some(TaskId(12)),
    };
    let status = StatusOfRollout {
        name: "prod".into(),
        generation: 1,
        state: RolloutState::Halted,
        reason: Some("too many".into()),
        counts: counts(),
        waves: vec![wave],
        failures: vec![failure],
        causes: Tallied::new([("no space left", 1)]),
        next: Some(NextEvent {
            at: 99,
            what: "the window of site lyon opens".into(),
        }),
        planner: Planner {
            node: Some("node01".into()),
            stale_since: Some(3),
            ..Planner::default()
        },
        now: 10,
        ..StatusOfRollout::default()
    };
    let got = over(status.to_item());
    assert_eq!(StatusOfRollout::from_item(&got), Some(status));
    assert_eq!(counts().all(), 55);
    let of = |state| counts().of(state);
    assert_eq!((of(AgentState::Current), of(AgentState::Unknown)), (1, 10));
}

#[test]
fn items_about_an_agent_name_it_and_its_task() {
    let member = RolloutMember {
        agent: agent(7),
        name: Some("web".into()),
        state: AgentState::Running,
        reason: "its installer was begun".into(),
        wave: Some("rest".into()),
        task_id: Some(TaskId(12)),
    };
    let got = sent(
        member.to_item(),
        concat!(
            r#""error":0,"message":"Success","agent":7,"task_id":12,"name":"web","#,
            r#""reason":"its installer was begun","state":"running","wave":"rest""#
        ),
    );
    assert_eq!(RolloutMember::from_item(&got), Some(member));

    let held = HeldAgent {
        agent: agent(7),
        name: None,
        reason: "ticket 12".into(),
        since: Some(5),
        who: Some("root".into()),
    };
    assert_eq!(HeldAgent::from_item(&over(held.to_item())), Some(held));

    let attempt = |task: i64| AttemptOfAgent {
        task_id: TaskId(task),
        target: Some("v4.14.0".into()),
        created: Some(1),
        staged: true,
        begun: Some(2),
        ended: None,
        outcome: "its installer was begun".into(),
        observed: None,
        soaked: None,
    };
    let mut explained = Explained {
        agent: agent(7),
        name: None,
        rollout: "prod".into(),
        generation: 1,
        state: AgentState::Waiting,
        reason: "the window of site lyon is closed".into(),
        changes: vec!["the window opens".into()],
        version: Some("v4.9.0".into()),
        connection: Some("active".into()),
        wave: None,
        site: Some(SiteOfAgent {
            name: "lyon".into(),
            windows: Some(vec!["Mon-Thu 22:00-05:00".into()]),
            ..SiteOfAgent::default()
        }),
        hops: vec!["v4.14.0".into(), "v5.0.0".into()],
        attempts: vec![attempt(12)],
    };
    let got = over(explained.to_item());
    assert_eq!(Explained::from_item(&got), Some(explained.clone()));
    // Of too many, the newest are told.
    explained.attempts = (0..150).map(attempt).collect();
    let told = Explained::from_item(&over(explained.to_item())).unwrap();
    assert_eq!(told.attempts.len(), Explained::MOST_ATTEMPTS);
    assert_eq!(told.attempts.last(), Some(&attempt(149)));
}

#[test]
fn the_other_items_are_read_as_they_were_sent() {
    let listed = ListedRollout {
        name: "prod".into(),
        order: 4,
        state: RolloutState::Converged,
        counts: counts(),
        changed: Some(2),
        ..ListedRollout::default()
    };
    assert_eq!(
        ListedRollout::from_item(&over(listed.to_item())),
        Some(listed)
    );
    let event = HistoryEvent {
        number: 8,
        at: 5,
        rollout: Some("prod".into()),
        who: Some("root".into()),
        what: "paused".into(),
        ..HistoryEvent::default()
    };
    assert_eq!(HistoryEvent::from_item(&over(event.to_item())), Some(event));
    let release = ListedRelease {
        version: "v4.14.7".into(),
        denied: true,
        reason: Some("breaks".into()),
        ..ListedRelease::default()
    };
    assert_eq!(
        ListedRelease::from_item(&over(release.to_item())),
        Some(release)
    );
    let touched = Touched {
        changed: 3,
        not_known: vec![agent(9)],
    };
    assert_eq!(Touched::from_item(&over(touched.to_item())), Some(touched));
    let rehearsed = Rehearsed {
        began: 1,
        events: vec![RehearsedEvent {
            at: 2,
            rollout: "prod".into(),
            what: RehearsedWhat::Opened,
            wave: Some("canary".into()),
            agents: Some(20),
            words: None,
        }],
        bounds: vec![RehearsedBound {
            rollout: "prod".into(),
            wave: "canary".into(),
            most: 2,
        }],
        ..Rehearsed::default()
    };
    assert_eq!(
        Rehearsed::from_item(&over(rehearsed.to_item())),
        Some(rehearsed)
    );
}

#[test]
fn other_releases_are_understood() {
    let status = item(
        r#""error":0,"message":"Success","name":"prod","state":"asleep","new":[1],"waves":[{"name":"w","gate":"ajar","more":1}]"#,
    );
    let status = StatusOfRollout::from_item(&status).unwrap();
    assert_eq!(status.state, RolloutState::Other);
    assert_eq!(status.waves[0].gate, GateWord::Other);
    let nothing = item(r#""error":0,"message":"Success""#);
    assert_eq!(StatusOfRollout::from_item(&nothing), None);
    assert_eq!(RolloutMember::from_item(&nothing), None);
    assert_eq!(Planned::from_item(&nothing), None);
    // What a peer says is short and steers no terminal, whatever it sends.
    let evil = item(&format!(
        r#""error":0,"message":"Success","name":"a\u001b[2J","reason":"{}""#,
        "x".repeat(5_000)
    ));
    let evil = ListedRollout::from_item(&evil).unwrap();
    assert_eq!(&*evil.name, "a\\u{1b}[2J");
    assert!(evil.reason.unwrap().len() <= Words::LONGEST);
}

#[test]
fn the_largest_kinds_are_told_and_the_others_counted() {
    let all = (1..=100).map(|kind| (format!("k{kind:03}"), kind));
    let tallied = Tallied::new(all);
    assert_eq!(tallied.kinds.len(), Tallied::MOST);
    assert_eq!(&*tallied.kinds[0].what, "k100");
    assert_eq!(tallied.other_kinds, 70);
    assert_eq!(tallied.other_agents, (1..=70).sum::<u64>());
    assert_eq!(tallied.agents(), 5_050);
    let equal = Tallied::new([("b", 1), ("a", 1)]);
    assert_eq!(&*equal.kinds[0].what, "a");
}

#[test]
fn the_longest_answers_fit_into_a_frame() {
    // Each byte of it takes two on the wire.
    let words = || Words::from("\"".repeat(Words::LONGEST));
    let name = || Words::from("n".repeat(LONGEST_NAME));
    let tallied = || Tallied::new((0..100).map(|_| (words(), 50_000)));
    let wave = |_| PlannedWave {
        name: name(),
        ..PlannedWave::default()
    };
    let rollout = |_| PlannedRollout {
        name: name(),
        waves: (0..32).map(wave).collect(),
        sites: Tallied::new((0..100).map(|_| (name(), 50_000))),
        platforms: tallied(),
        unsupported: tallied(),
        elsewhere: Tallied::new((0..100).map(|_| (name(), 50_000))),
        problems: (0..32).map(|_| words()).collect(),
        ..PlannedRollout::default()
    };
    let rate = |_| SiteRate {
        site: name(),
        bytes_per_second: u64::MAX,
    };
    let plan = Planned {
        rollouts: (0..100).map(rollout).collect(),
        peak_bandwidth: (0..1_000).map(rate).collect(),
        ..Planned::default()
    };
    let failure = |_| FailedAgent {
        agent: agent(7),
        name: Some(words()),
        wave: Some(name()),
        at: Some(i64::MAX),
        cause: words(),
        tries_left: 1,
        task_id: Some(TaskId(i64::MAX)),
    };
    let status = StatusOfRollout {
        failures: (0..AskRollout::MOST_FAILURES).map(failure).collect(),
        causes: tallied(),
        elsewhere: tallied(),
        ..StatusOfRollout::default()
    };
    let event = |_| RehearsedEvent {
        rollout: name(),
        wave: Some(name()),
        words: Some(words()),
        ..RehearsedEvent::default()
    };
    let bound = |_| RehearsedBound {
        rollout: name(),
        wave: name(),
        most: u64::MAX,
    };
    let rehearsed = Rehearsed {
        events: (0..5_000).map(event).collect(),
        bounds: (0..3_200).map(bound).collect(),
        peak_bandwidth: (0..1_000).map(rate).collect(),
        ..Rehearsed::default()
    };
    let member = RolloutMember {
        agent: agent(7),
        name: Some(words()),
        state: AgentState::Unsupported,
        reason: words(),
        wave: Some(name()),
        task_id: Some(TaskId(i64::MAX)),
    };
    let page: Vec<Item> = (0..LONGEST_PAGE).map(|_| member.to_item()).collect();
    for (what, items) in [
        ("plan", vec![plan.to_item()]),
        ("status", vec![status.to_item()]),
        ("rehearsal", vec![rehearsed.to_item()]),
        ("agents", page),
    ] {
        let bytes = Response::success(items).to_bytes();
        assert!(bytes.len() <= LONGEST, "{what}: {} bytes", bytes.len());
        let read: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(read["error"], 0, "{what}");
    }
}
