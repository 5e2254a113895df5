//! A manager with rollouts, and the tool.

use serde_json::{Value, json};
use wpk_wire::own::rollout::*;

use crate::common::*;

pub(crate) const DIGEST: &str = "0a1b2c3d0a1b2c3d0a1b2c3d0a1b2c3d0a1b2c3d0a1b2c3d0a1b2c3d0a1b2c3d";
pub(crate) const NOW: i64 = 1_796_000_000;

/// The tool against this manager.
pub(crate) fn ask(manager: &Manager, more: &[&str]) -> Run {
    let socket = manager.socket.to_str().unwrap();
    run(&[&["--socket", socket][..], more].concat())
}

/// A manager that answers a command with these items, and refuses all others.
pub(crate) fn answering(
    dir: &tempfile::TempDir,
    mut items: impl FnMut(&str, &Value) -> Option<Vec<wpk_wire::Item>> + Send + 'static,
) -> Manager {
    Manager::start(&dir.path().join("s"), move |request| {
        let command = request["command"].as_str().unwrap();
        match items(command, &request["parameters"]) {
            Some(items) => {
                let bytes = wpk_wire::Response::success(items).to_bytes();
                Reply::Answer(serde_json::from_slice(&bytes).unwrap())
            }
            None => refusal(3, &format!("{command} is not for now")),
        }
    })
}

/// What the parameters of the only request with this command were.
#[track_caller]
pub(crate) fn parameters_of(manager: &Manager, command: &str) -> Value {
    let mut asked = manager.asked(command);
    assert_eq!(asked.len(), 1, "{asked:?}");
    asked.remove(0)["parameters"].take()
}

/// A file with a definition.
pub(crate) fn definition(dir: &tempfile::TempDir) -> String {
    let file = dir.path().join("prod.toml");
    std::fs::write(&file, "[[rollout]]\nname = \"prod\"\n").unwrap();
    file.to_str().unwrap().to_owned()
}

pub(crate) fn planned(what: PlannedChange) -> Planned {
    let wave = |name: &str, agents, may_fail, strict| PlannedWave {
        name: name.into(),
        agents,
        may_fail,
        strict,
    };
    let rollout = PlannedRollout {
        name: "prod".into(),
        generation: 1,
        what,
        target: Some("v4.14.7".into()),
        waves: vec![wave("canary", 20, 1, true), wave("rest", 480, 4, false)],
        sites: Tallied::new([("lyon", 300), ("default", 200)]),
        platforms: Tallied::new([("ubuntu", 400), ("windows", 90), ("", 10)]),
        unsupported: Tallied::new([("there are no packages for solaris", 5)]),
        unreachable: 14,
        left_out: 3,
        elsewhere: Tallied::new([("early", 12)]),
        ..PlannedRollout::default()
    };
    Planned {
        digest: DIGEST.into(),
        rollouts: vec![rollout],
        replaces_sites: true,
        peak_bandwidth: vec![SiteRate {
            site: "lyon".into(),
            bytes_per_second: 2_500_000,
        }],
        earliest_end: Some(NOW),
        assumptions: vec!["an installation takes 60 s".into()],
        ..Planned::default()
    }
}

pub(crate) fn in_list(state: RolloutState) -> ListedRollout {
    ListedRollout {
        name: "prod".into(),
        generation: 1,
        order: 7,
        state,
        target: Some("v4.14.7".into()),
        applied: NOW,
        wave: Some("canary".into()),
        counts: StateCounts {
            succeeded: 5,
            waiting: 10,
            running: 2,
            ..StateCounts::default()
        },
        ..ListedRollout::default()
    }
}

pub(crate) fn status(state: RolloutState) -> StatusOfRollout {
    let canary = StateCounts {
        succeeded: 18,
        running: 1,
        waiting: 1,
        ..StateCounts::default()
    };
    let wave = StatusOfWave {
        name: "canary".into(),
        members: 20,
        counts: canary,
        begun: 19,
        may_fail: 1,
        strict: true,
        gate: GateWord::Waits,
        gate_words: "1 of 20 are running".into(),
        opened: Some(NOW - 3_600),
        soak: 7_200,
        ..StatusOfWave::default()
    };
    let rest = StatusOfWave {
        name: "rest".into(),
        members: 480,
        may_fail: 4,
        gate: GateWord::NotOpen,
        ..StatusOfWave::default()
    };
    StatusOfRollout {
        name: "prod".into(),
        generation: 1,
        state,
        target: Some("v4.14.7".into()),
        applied: NOW - 7_200,
        counts: StateCounts {
            waiting: 481,
            ..canary
        },
        waves: vec![wave, rest],
        next: Some(NextEvent {
            at: NOW + 600,
            what: "the window of site lyon opens".into(),
        }),
        planner: Planner {
            node: Some("node01".into()),
            planned: Some(NOW),
            ..Planner::default()
        },
        now: NOW,
        ..StatusOfRollout::default()
    }
}

pub(crate) fn failed(agent: i64, cause: &str) -> FailedAgent {
    FailedAgent {
        agent: wpk_api::AgentId::new(agent).unwrap(),
        name: Some("web".into()),
        wave: Some("canary".into()),
        at: Some(NOW),
        cause: cause.into(),
        tries_left: 0,
        task_id: None,
    }
}

/// An object without the members that every answer has.
pub(crate) fn object(run: &Run) -> Value {
    let objects = run.objects();
    assert_eq!(objects.len(), 1, "{objects:?}");
    objects.into_iter().next().unwrap_or(json!(null))
}
