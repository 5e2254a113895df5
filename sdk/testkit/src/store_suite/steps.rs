//! The steps that random sequences are made of ([`super::model`]).

use proptest::collection::vec;
use proptest::prelude::*;
use wpk_api::{Cancel, Confirmation, Mover, Status};

use super::tasks::Whose;

/// Agents and nodes of the stories: few, so that they meet.
pub(super) const AGENTS: u32 = 4;
pub(super) const NODES: [&str; 2] = ["node01", "node02"];

/// Steps of a sequence.
const STEPS: usize = 40;

/// One operation. Tasks are meant by their place among all created ones.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Create(Vec<(u32, usize, Whose, bool)>),
    Move(Vec<Move>),
    Claim(usize, usize),
    Crash(usize),
    BeginInstaller(usize, bool),
    Touch(Vec<usize>),
    Cancel(usize, Cancel),
    Withdraw(Vec<usize>),
    Expire(Vec<usize>),
    Confirm(usize, Confirmation),
    Note(Vec<usize>),
    Enter(usize),
    TakeOver(Vec<usize>),
    Purge(i64),
    Wait(i64),
}

#[derive(Debug, Clone)]
pub(super) struct Move {
    pub(super) which: Which,
    pub(super) to: Status,
    pub(super) node: usize,
    pub(super) by: Mover,
    pub(super) text: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) enum Which {
    Task(usize),
    LatestOf(u32),
    SpokenOf(u32),
    TaskOf(usize, u32),
}

fn moves() -> impl Strategy<Value = Move> {
    let mut statuses = Status::KNOWN.to_vec();
    statuses.push(Status::Other("Weird".to_owned()));
    // The way most tasks go comes up more often than the others.
    let to = prop_oneof![
        Just(Status::InProgress),
        Just(Status::Done),
        prop::sample::select(statuses)
    ];
    let which = prop_oneof![
        (0..12_usize).prop_map(Which::Task),
        (0..AGENTS).prop_map(Which::LatestOf),
        (0..AGENTS).prop_map(Which::SpokenOf),
        (0..12_usize, 0..AGENTS).prop_map(|(place, id)| Which::TaskOf(place, id))
    ];
    let by = prop::sample::select(vec![Mover::Delivery, Mover::Report, Mover::Operator]);
    let text = prop::option::of(prop_oneof![Just(String::new()), "[a-z' \"é]{1,8}"]);
    (which, to, 0..NODES.len(), by, text).prop_map(|(which, to, node, by, text)| Move {
        which,
        to,
        node,
        by,
        text,
    })
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let node = 0..NODES.len();
    let task = 0..12_usize;
    let whose = prop::sample::select(Whose::ALL.to_vec());
    let new = (0..AGENTS, node.clone(), whose, any::<bool>());
    let cancel = prop::sample::select(vec![
        Cancel::WithoutOrder,
        Cancel::Pending,
        Cancel::NotBegun,
    ]);
    let confirmation = prop::sample::select(vec![
        Confirmation::Confirmed,
        Confirmation::Unconfirmed("v4.7.0".to_owned()),
    ]);
    let step = prop_oneof![
        5 => vec(new, 1..4).prop_map(Step::Create),
        5 => vec(moves(), 1..4).prop_map(Step::Move),
        3 => (node.clone(), 0..4_usize).prop_map(|(node, limit)| Step::Claim(node, limit)),
        1 => node.clone().prop_map(Step::Crash),
        3 => (task.clone(), any::<bool>()).prop_map(|(task, known)| Step::BeginInstaller(task, known)),
        2 => vec(task.clone(), 0..4).prop_map(Step::Touch),
        1 => node.clone().prop_map(Step::Enter),
        1 => vec(task.clone(), 0..4).prop_map(Step::TakeOver),
        1 => (node, cancel).prop_map(|(node, which)| Step::Cancel(node, which)),
        1 => vec(task.clone(), 0..3).prop_map(Step::Withdraw),
        2 => vec(task.clone(), 0..4).prop_map(Step::Expire),
        2 => (task.clone(), confirmation).prop_map(|(task, what)| Step::Confirm(task, what)),
        1 => vec(task, 0..3).prop_map(Step::Note),
        1 => (0..40_i64).prop_map(Step::Purge),
        3 => (0..20_i64).prop_map(Step::Wait),
    ];
    vec(step, 1..STEPS)
}
