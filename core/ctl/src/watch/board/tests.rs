//! What answers of the manager come to.

use super::super::entry::percent;
use super::*;
use wpk_api::TaskId;
use wpk_wire::Step;

fn id(agent: i64) -> AgentId {
    AgentId::new(agent).unwrap()
}

fn created(agent: i64, task: i64) -> Item {
    Item::created(id(agent), TaskId(task))
}

fn item(agent: i64, task: i64, status: &'static str) -> Item {
    Item {
        status: Some(status.into()),
        ..created(agent, task)
    }
}

fn delivery(sent: u64, total: u64) -> Delivery {
    Delivery {
        agent: id(1),
        task_id: TaskId(10),
        step: Step::Write.into(),
        sent,
        total,
        at_once: 0,
    }
}

fn board() -> Board {
    let mut board = Board::new(&[id(1), id(2)]);
    board.answered(created(1, 10));
    board.answered(created(2, 11));
    board
}

fn state(board: &Board, agent: i64) -> String {
    let entry = board
        .entries()
        .iter()
        .find(|entry| entry.agent == id(agent));
    entry.unwrap().describe(10)
}

#[test]
fn an_agent_without_an_answer_is_refused() {
    let mut board = Board::new(&[id(1), id(2)]);
    board.answered(created(1, 10));
    board.answered(created(99, 11));
    assert_eq!(state(&board, 1), "In queue");
    assert_eq!(
        state(&board, 2),
        "Refused: the manager did not answer for this agent"
    );
    assert_eq!(board.live(), [id(1)]);
}

#[test]
fn only_the_own_task_counts() {
    let mut board = board();
    board.result(item(1, 9, "Updated"));
    assert_eq!(state(&board, 1), "In queue", "an older task says nothing");
    board.result(item(1, 12, "Updated"));
    assert_eq!(
        state(&board, 1),
        "Unknown: task 12 followed before the end of this one was seen"
    );
    board.result(Item::task(TaskCode::Database, id(2)));
    assert_eq!(state(&board, 2), "In queue", "the next round may succeed");
    board.result(Item::task(TaskCode::NoTask, id(2)));
    assert_eq!(
        state(&board, 2),
        "Unknown: the manager no longer knows the task"
    );
    assert!(board.live().is_empty());
}

#[test]
fn an_end_is_final() {
    let mut board = board();
    board.result(item(1, 10, "Updated"));
    let took = board.entries()[0].took;
    board.result(item(1, 10, "Error"));
    assert_eq!(state(&board, 1), "Updated");
    assert_eq!(board.entries()[0].took, took);
}

#[test]
fn deliveries_show_their_step_and_then_that_the_agent_is_awaited() {
    let mut board = board();
    board.result(item(1, 10, "Updating"));
    let running = delivery(57, 100);
    board.deliveries(&[id(1)], &[running]);
    assert_eq!(state(&board, 1), "Updating (write 50%)");
    assert_eq!(board.entries()[0].describe(1), "Updating (write 57%)");
    board.deliveries(&[id(1)], &[]);
    assert_eq!(
        state(&board, 1),
        "Updating (waiting for the agent's report)"
    );
}

#[test]
fn percentages_stay_in_range() {
    let percent = |sent, total| percent(&delivery(sent, total));
    assert_eq!(percent(0, 0), None);
    assert_eq!(percent(u64::MAX, u64::MAX), Some(100));
    assert_eq!(percent(9, 3), Some(100));
    assert_eq!(percent(1, 3), Some(33));
}
