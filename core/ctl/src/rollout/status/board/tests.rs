//! The picture, as it is drawn.

use super::*;
use wpk_wire::own::rollout::{NextEvent, Planner, RolloutState, StateCounts};

fn wave(name: &str, members: u64, gate: GateWord, counts: StateCounts) -> StatusOfWave {
    StatusOfWave {
        name: name.into(),
        members,
        counts,
        failed: counts.failed,
        may_fail: 4,
        gate,
        gate_words: match gate {
            GateWord::Waits => "12 of 480 are running".into(),
            _ => Words::default(),
        },
        ..StatusOfWave::default()
    }
}

fn status() -> StatusOfRollout {
    let canary = StateCounts {
        succeeded: 20,
        ..StateCounts::default()
    };
    let rest = StateCounts {
        succeeded: 118,
        running: 12,
        soaking: 30,
        waiting: 317,
        failed: 2,
        unknown: 1,
        ..StateCounts::default()
    };
    let failed = |agent: i64, cause: &str| FailedAgent {
        agent: wpk_api::AgentId::new(agent).unwrap(),
        name: Some("web".into()),
        wave: Some("rest".into()),
        at: Some(1_796_000_000),
        cause: cause.into(),
        tries_left: 1,
        task_id: None,
    };
    StatusOfRollout {
        name: "prod".into(),
        generation: 1,
        state: RolloutState::Running,
        target: Some("v4.14.7".into()),
        counts: StateCounts {
            succeeded: 138,
            ..rest
        },
        waves: vec![
            wave("canary", 20, GateWord::Passed, canary),
            wave("rest", 480, GateWord::Waits, rest),
            wave("last", 100, GateWord::NotOpen, StateCounts::default()),
        ],
        failures: vec![
            failed(12, "no space left on device"),
            failed(7, "wrong signature"),
        ],
        next: Some(NextEvent {
            at: 1_796_007_261,
            what: "the window of site lyon closes".into(),
        }),
        planner: Planner {
            node: Some("node01".into()),
            ..Planner::default()
        },
        now: 1_796_000_000,
        ..StatusOfRollout::default()
    }
}

fn picture(status: &StatusOfRollout, note: Option<&str>, size: Size) -> Vec<String> {
    let lines = lay_out(status, note, size).into_iter();
    lines.map(|line| line.text(false)).collect()
}

#[track_caller]
fn drawn(width: usize, height: usize, expected: &str) {
    let lines = picture(&status(), None, Size { width, height });
    assert_eq!(lines.join("\n"), expected.trim_matches('\n'));
}

#[test]
fn at_80_columns() {
    drawn(
        80,
        24,
        "
rollout prod to v4.14.7: running
agents: 138 succeeded, 30 soaking, 12 running, 317 waiting, 2 failed, 1 unknown
canary [==============================================] 20/20
rest   [===========-->!?                              ] 118/480, 2 failed, 4 may
  gate waits: 12 of 480 are running
last   [                                              ] 0/100
failed 012 web: no space left on device (wave rest, 2026/11/30 00:53:20 UTC, tr…
failed 007 web: wrong signature (wave rest, 2026/11/30 00:53:20 UTC, tries left…
next in 2h 1m: the window of site lyon closes, 2026/11/30 02:54:21 UTC
Ctrl-C leaves; the rollout goes on
",
    );
}

#[test]
fn at_40_columns() {
    drawn(
        40,
        24,
        "
rollout prod to v4.14.7: running
agents: 138 succeeded, 30 soaking,
  12 running, 317 waiting, 2 failed,
  1 unknown
canary [======] 20/20
rest   [=->!? ] 118/480, 2 failed, 4 may
  gate waits: 12 of 480 are running
last   [      ] 0/100
failed 012 web: no space left on device…
failed 007 web: wrong signature (wave r…
next in 2h 1m: the window of site lyon …
Ctrl-C leaves; the rollout goes on
",
    );
}

#[test]
fn at_200_columns() {
    drawn(
        200,
        24,
        "
rollout prod to v4.14.7: running
agents: 138 succeeded, 30 soaking, 12 running, 317 waiting, 2 failed, 1 unknown
canary [==================================================] 20/20
rest   [============--->!?                                ] 118/480, 2 failed, 4 may
  gate waits: 12 of 480 are running
last   [                                                  ] 0/100
failed 012 web: no space left on device (wave rest, 2026/11/30 00:53:20 UTC, tries left: 1)
failed 007 web: wrong signature (wave rest, 2026/11/30 00:53:20 UTC, tries left: 1)
next in 2h 1m: the window of site lyon closes, 2026/11/30 02:54:21 UTC
Ctrl-C leaves; the rollout goes on
",
    );
}

#[test]
fn where_there_are_few_lines_the_open_wave_stays() {
    drawn(
        80,
        7,
        "
rollout prod to v4.14.7: running
agents: 138 succeeded, 30 soaking, 12 running, 317 waiting, 2 failed, 1 unknown
rest   [===========-->!?                              ] 118/480, 2 failed, 4 may
and 2 more waves
failed 012 web: no space left on device (wave rest, 2026/11/30 00:53:20 UTC, tr…
next in 2h 1m: the window of site lyon closes, 2026/11/30 02:54:21 UTC
Ctrl-C leaves; the rollout goes on
",
    );
}

#[test]
fn every_size_is_kept() {
    let mut many = status();
    many.waves = (0..32)
        .map(|at| {
            let gate = match at {
                0..9 => GateWord::Passed,
                9 => GateWord::Waits,
                _ => GateWord::NotOpen,
            };
            wave(&format!("wave-{at}"), 10, gate, StateCounts::default())
        })
        .collect();
    many.reason = Some("日本語".repeat(40).into());
    for height in 1..60 {
        for width in 1..120 {
            let lines = picture(&many, Some("lost"), Size { width, height });
            assert!(lines.len() <= height, "{width} x {height}: {lines:#?}");
            for line in lines {
                assert!(measure_text_width(&line) <= width, "{width}: {line:?}");
            }
        }
    }
    let lines = picture(
        &many,
        None,
        Size {
            width: 80,
            height: 12,
        },
    );
    let text = lines.join("\n");
    assert!(text.contains("wave-9"), "{text}");
    assert!(text.contains("more waves"), "{text}");
}

#[test]
fn a_bar_shows_the_few_as_well() {
    let counts = StateCounts {
        succeeded: 99_990,
        running: 5,
        failed: 4,
        unknown: 1,
        ..StateCounts::default()
    };
    let wave = wave("all", 100_000, GateWord::Waits, counts);
    let bar = bar(&wave, 20);
    assert_eq!(bar.chars().count(), 20);
    for sign in ['=', '>', '!', '?'] {
        assert!(bar.contains(sign), "{bar}");
    }
}

#[test]
fn numbers_out_of_all_bounds_harm_nobody() {
    let most = StateCounts {
        succeeded: u64::MAX,
        current: u64::MAX,
        running: u64::MAX,
        soaking: u64::MAX,
        failed: u64::MAX,
        unknown: u64::MAX,
        ..StateCounts::default()
    };
    let mut odd = status();
    odd.waves = vec![
        wave("w", 0, GateWord::Other, most),
        wave("v", u64::MAX, GateWord::Waits, most),
    ];
    odd.counts = most;
    odd.now = i64::MIN;
    for width in [1, 20, 80] {
        let size = Size { width, height: 24 };
        for line in picture(&odd, None, size) {
            assert!(measure_text_width(&line) <= width, "{line:?}");
        }
    }
}
