//! Pictures as text, beside this file: written anew where `WPK_UPDATE_SNAPSHOTS` is set.

use std::path::Path;

use wpk_api::{AgentId, Cause, TaskId, TimelineEntry, TimelineStep};
use wpk_wire::own::{DeliveryStep, TaskNow, TaskTimeline, TimelineLine};
use wpk_wire::{Item, Step};

use super::*;

/// A fleet in the middle of an upgrade, always the same.
fn fleet(agents: i64) -> Board {
    let ids: Vec<AgentId> = (1..=agents).map(|id| AgentId::new(id).unwrap()).collect();
    let mut board = Board::new(&ids);
    let names = ids.iter().map(|id| (*id, name(*id)));
    board.are_called(names.collect());
    for id in &ids {
        let created = Item::created(*id, TaskId(100 + i64::from(*id)));
        board.answered(created.clone());
        enter(&mut board, created, agents);
    }
    let start = board.started();
    for (entry, n) in board.entries_mut().iter_mut().zip(0u64..) {
        let at = start + Duration::from_secs(n * 7 % 80);
        entry.since = entry.since.map(|_| at);
        entry.ended = entry.ended.map(|_| at);
    }
    board
}

fn name(agent: AgentId) -> String {
    match agent.get() % 7 {
        0 => format!("東京-db-{}", agent.get()),
        1 => format!("web-{:02}.dmz.lyon.example.org", agent.get()),
        _ => format!("host{}", agent.get()),
    }
}

/// What became of the task of an agent.
fn enter(board: &mut Board, created: Item, agents: i64) {
    let (agent, task) = (created.agent_id().unwrap(), created.task_id.unwrap());
    let mut now = TaskNow::new(agent, task);
    let id = i64::from(agent);
    let status = match id * 100 / agents % 20 {
        0..8 => "Updated",
        8..10 => "In queue",
        10..13 => {
            now.phase = Some(TaskPhase::Installing);
            "Updating"
        }
        13..16 => {
            now.phase = Some(TaskPhase::Sending);
            now.step = Some(DeliveryStep::Agent(Step::Write));
            (now.sent, now.total) = (u64::from(agent.get()) % 10 * 100_000, 1_000_000);
            "Updating"
        }
        16..18 => {
            now.phase = Some(TaskPhase::Waiting);
            now.waits_for = Some("file".into());
            "Updating"
        }
        18 => {
            now.told = TaskTimeline {
                cause: Some(TimelineLine {
                    time: String::new(),
                    entry: TimelineEntry::new(0, TimelineStep::Upgrade).failed(Cause::new(
                        23,
                        "Could not verify signature (error 13)",
                        "sign the package with a certificate of a CA in the agent's store",
                    )),
                }),
                ..now.told
            };
            "Error"
        }
        _ => "Timeout",
    };
    let item = Item {
        status: Some(status.into()),
        error_msg: (status == "Error").then(|| "Send upgrade command error".into()),
        ..created
    };
    board.now(&item, &now);
}

fn drawn(board: &Board, size: Size, note: Option<&str>) -> Vec<String> {
    let now = board.started() + Duration::from_secs(83);
    let lines = draw(board, size, now, note).into_iter();
    lines.map(|line| line.text(false)).collect()
}

#[test]
fn pictures_fit_every_terminal() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/watch/picture/snapshots");
    let update = std::env::var_os("WPK_UPDATE_SNAPSHOTS").is_some();
    for agents in [1, 20, 200, 5_000] {
        let board = fleet(agents);
        for (width, height) in [(40, 24), (80, 24), (200, 50)] {
            let lines = drawn(&board, Size { width, height }, None);
            assert!(lines.len() <= height, "{agents} {width}: {}", lines.len());
            for line in &lines {
                assert!(
                    measure_text_width(line) <= width,
                    "{agents} {width}: {line}"
                );
            }
            let text = lines.join("\n") + "\n";
            let file = folder.join(format!("{agents}-agents-{width}-columns.txt"));
            if update {
                std::fs::write(&file, &text).unwrap();
            }
            let kept = std::fs::read_to_string(&file).unwrap_or_default();
            assert_eq!(text, kept, "{}", file.display());
        }
    }
}

#[test]
fn small_terminals_have_what_matters() {
    let board = fleet(200);
    for width in [1, 10, 40] {
        for height in 1..12 {
            let lines = drawn(&board, Size { width, height }, Some("the manager is away"));
            assert!(lines.len() <= height, "{width} {height}: {lines:#?}");
            let fits = |line: &String| measure_text_width(line) <= width;
            assert!(lines.iter().all(fits), "{width} {height}: {lines:#?}");
        }
    }
    let lines = drawn(
        &board,
        Size {
            width: 40,
            height: 1,
        },
        None,
    );
    assert_eq!(lines, ["upgrade of 200 agents, 1m 23s"]);
}

#[test]
fn everybody_is_counted_and_nobody_twice() {
    let lines = drawn(
        &fleet(200),
        Size {
            width: 200,
            height: 50,
        },
        None,
    );
    let counts = lines[2].split(", ").map(|part| {
        let number = part.trim().split(' ').next().unwrap();
        number.parse::<usize>().unwrap()
    });
    assert_eq!(counts.sum::<usize>(), 200, "{}", lines[2]);
}

#[test]
fn an_installer_that_runs_has_a_full_bar() {
    let board = fleet(20);
    let lines = drawn(
        &board,
        Size {
            width: 80,
            height: 40,
        },
        None,
    );
    let installing = lines.iter().filter(|line| line.contains("s installing"));
    let full = format!("[{}]", "=".repeat(20));
    assert!(installing.clone().count() > 0, "{lines:#?}");
    assert!(
        installing.clone().all(|line| line.contains(&full)),
        "{lines:#?}"
    );
}

#[test]
fn the_time_and_the_state_alone_decide() {
    let board = fleet(200);
    let size = Size {
        width: 80,
        height: 24,
    };
    assert_eq!(drawn(&board, size, None), drawn(&board, size, None));
    assert_eq!(long(Duration::from_secs(7_505)), "2h 05m");
    assert_eq!(long(Duration::from_secs(187)), "3m 07s");
}

/// Who got no task did not end well either, and is named behind those that failed since.
#[test]
fn who_was_refused_is_named() {
    let ids: Vec<AgentId> = (1..=2).map(|id| AgentId::new(id).unwrap()).collect();
    let mut board = Board::new(&ids);
    board.refused(ids[0], None, "it is held".to_owned());
    board.answered(Item::created(ids[1], TaskId(7)));
    board.result(Item {
        status: Some("Error".into()),
        error_msg: Some("Upgrade procedure failed".into()),
        ..Item::created(ids[1], TaskId(7))
    });
    let size = Size {
        width: 80,
        height: 24,
    };
    let lines = drawn(&board, size, None);
    let at = lines
        .iter()
        .position(|line| line.starts_with("not well"))
        .unwrap();
    assert_eq!(
        lines[at + 1..at + 3],
        [
            "  002 Error: Upgrade procedure failed",
            "  001 Refused: it is held"
        ]
    );
}
