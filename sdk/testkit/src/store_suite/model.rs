//! Random sequences of all operations, on the store and on the plain one in
//! memory ([`Tables`]), which must answer alike after every step.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use wpk_api::{
    Cancel, Change, Changed, Confirmation, Created, Mover, NewTask, Overdue, Revision, Selector,
    Status, StoreError, TaskId, TaskStore, TimelineEntry, TimelineStep, Transition, UnixTime,
};

use super::tasks::{START, TARGET, Whose, agent};
use crate::memory::Tables;

/// Agents and nodes of the stories: few, so that they meet.
const AGENTS: u32 = 4;
const NODES: [&str; 2] = ["node01", "node02"];

/// Steps of a sequence, and attempts to find a shorter one that fails.
const STEPS: usize = 40;
const SHRINKING: usize = 400;

/// One operation. Tasks are meant by their place among all created ones.
#[derive(Debug, Clone)]
enum Step {
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
    Purge(i64),
    Wait(i64),
}

#[derive(Debug, Clone)]
struct Move {
    which: Which,
    to: Status,
    node: usize,
    by: Mover,
    text: Option<String>,
}

#[derive(Debug, Clone)]
enum Which {
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
    let by = prop::sample::select(vec![Mover::Delivery, Mover::Report]);
    let text = prop::option::of(prop_oneof![Just(String::new()), "[a-z' \"é]{1,8}"]);
    (which, to, 0..NODES.len(), by, text).prop_map(|(which, to, node, by, text)| Move {
        which,
        to,
        node,
        by,
        text,
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
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

/// Tries `sequences` random sequences, each on a store of its own.
pub async fn run(make: &impl AsyncFn() -> Arc<dyn TaskStore>, sequences: u32) {
    let mut runner = TestRunner::new(Config::default());
    let strategy = steps();
    for _ in 0..sequences {
        let mut tree = match strategy.new_tree(&mut runner) {
            Ok(tree) => tree,
            Err(error) => panic!("no sequence could be made: {error}"),
        };
        let Err(first) = differ(&*make().await, &tree.current()).await else {
            continue;
        };
        let mut worst = (tree.current(), first);
        let mut left = SHRINKING;
        let mut shorter = tree.simplify();
        while shorter && left > 0 {
            left -= 1;
            shorter = match differ(&*make().await, &tree.current()).await {
                Err(found) => {
                    worst = (tree.current(), found);
                    tree.simplify()
                }
                Ok(()) => tree.complicate(),
            };
        }
        panic!(
            "the store and the model differ: {}\nafter {:#?}",
            worst.1, worst.0
        );
    }
}

/// Walks one sequence; an error says where the store differs.
async fn differ(store: &dyn TaskStore, steps: &[Step]) -> Result<(), String> {
    let mut model = Model::default();
    // Nothing is forgotten that a known reader has not passed.
    same(store.set_place("model", Revision(0)).await, ())?;
    for (at, step) in steps.iter().enumerate() {
        model
            .step(store, step)
            .await
            .map_err(|what| format!("step {at}, {step:?}: {what}"))?;
        model
            .compare(store)
            .await
            .map_err(|what| format!("after step {at}, {step:?}: {what}"))?;
    }
    Ok(())
}

fn same<T: PartialEq + std::fmt::Debug>(
    store: Result<T, StoreError>,
    model: T,
) -> Result<(), String> {
    match store {
        Ok(answer) if answer == model => Ok(()),
        other => Err(format!("the store says {other:?}, the model {model:?}")),
    }
}

/// The plain store, and what is needed to walk.
#[derive(Debug, Default)]
struct Model {
    tables: Tables,
    /// All ids ever given, in their order.
    ids: Vec<TaskId>,
    waited: i64,
    /// How far the feed of the plain store was read.
    read: Revision,
    /// How far that of the store.
    told: Revision,
}

impl Model {
    fn now(&self) -> UnixTime {
        START + self.waited
    }

    /// The task at a place; beyond the last one an id that no task has.
    fn id(&self, place: usize) -> TaskId {
        let unknown = TaskId(self.ids.last().map_or(1, |last| last.0 + 1_000));
        self.ids.get(place).copied().unwrap_or(unknown)
    }

    fn ids(&self, places: &[usize]) -> Vec<TaskId> {
        places.iter().map(|place| self.id(*place)).collect()
    }

    async fn step(&mut self, store: &dyn TaskStore, step: &Step) -> Result<(), String> {
        let now = self.now();
        match step {
            Step::Create(new) => {
                let new: Vec<_> = new.iter().map(|new| new_task(new, now)).collect();
                self.create(new.clone(), store.create(new).await)
            }
            Step::Move(moves) => {
                let moves: Vec<_> = moves.iter().map(|one| self.transition(one, now)).collect();
                let expected = self.tables.transition(moves.clone());
                same(store.transition(moves).await, expected)
            }
            Step::Claim(node, limit) => {
                let node = NODES[*node];
                let expected = self.tables.claim(node, *limit, now);
                same(store.claim(node, *limit, now).await, expected)
            }
            Step::Crash(node) => {
                let node = NODES[*node];
                let expected = self.tables.interrupted(node, true);
                same(store.interrupted(node, true).await, expected)
            }
            Step::BeginInstaller(place, known) => {
                let (id, target) = (self.id(*place), known.then_some(TARGET));
                let expected = self.tables.begin_installer(id, target, now);
                same(store.begin_installer(id, target, now).await, expected)
            }
            Step::Touch(places) => {
                let ids = self.ids(places);
                self.tables.touch(&ids, now);
                same(store.touch(&ids, now).await, ())
            }
            Step::Cancel(node, which) => {
                let node = NODES[*node];
                let expected = self.tables.cancel(node, *which, now);
                same(store.cancel(node, *which, now).await, expected)
            }
            Step::Withdraw(places) => {
                let ids = self.ids(places);
                let expected = self.tables.withdraw(&ids);
                same(store.withdraw(&ids).await, expected)
            }
            _ => self.remember(store, step).await,
        }
    }

    /// The rest of the steps.
    async fn remember(&mut self, store: &dyn TaskStore, step: &Step) -> Result<(), String> {
        let now = self.now();
        match step {
            Step::Expire(places) => {
                let overdue = self.overdue(places);
                let expected = self.tables.expire(&overdue, now);
                same(store.expire(&overdue, now).await, expected)
            }
            Step::Confirm(place, confirmation) => {
                let (id, what) = (self.id(*place), confirmation.clone());
                let entry = TimelineEntry::new(now, TimelineStep::Confirm);
                let expected = self.tables.confirm(id, what.clone(), entry.clone());
                same(store.confirm(id, what, entry).await, expected)
            }
            Step::Note(places) => {
                let entry = |place: &usize| {
                    let entry = TimelineEntry::new(now, TimelineStep::Wait);
                    (self.id(*place), entry.detail(&place.to_string()))
                };
                let entries: Vec<_> = places.iter().map(entry).collect();
                self.tables.note(entries.clone());
                same(store.note(entries).await, ())
            }
            Step::Purge(age) => {
                let expected = self.tables.purge(now - age);
                same(store.purge(now - age).await, expected)
            }
            Step::Wait(seconds) => {
                self.waited += seconds;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Tasks as somebody saw them; every third not as they are.
    fn overdue(&self, places: &[usize]) -> Vec<Overdue> {
        let running = self.tables.in_progress(TaskId(0), usize::MAX);
        let seen = |place: &usize| {
            let task = self.id(*place);
            let found = running.iter().find(|running| running.id == task);
            let updated = found.and_then(|task| task.updated);
            let updated = updated.map(|at| at - i64::from(place.is_multiple_of(3)));
            Overdue { task, updated }
        };
        places.iter().map(seen).collect()
    }

    fn create(
        &mut self,
        new: Vec<NewTask>,
        answer: Result<Vec<Created>, StoreError>,
    ) -> Result<(), String> {
        let expected = self.tables.create(new);
        let created = expected.iter().filter_map(|one| match one {
            Created::Task(id) => Some(*id),
            Created::AlreadyLive(_) | Created::Fenced => None,
        });
        self.ids.extend(created);
        let answer = answer.map_err(|error| error.to_string())?;
        let alike = |(got, expected): (&Created, &Created)| match (got, expected) {
            // Which of an agent's live tasks is named is the store's choice.
            (Created::AlreadyLive(_), Created::AlreadyLive(_)) => true,
            (got, expected) => got == expected,
        };
        if answer.len() == expected.len() && answer.iter().zip(&expected).all(alike) {
            Ok(())
        } else {
            Err(format!("the store says {answer:?}, the model {expected:?}"))
        }
    }

    fn transition(&self, one: &Move, at: UnixTime) -> Transition {
        let entry = TimelineEntry::new(at, TimelineStep::Report);
        Transition {
            select: match one.which {
                Which::Task(place) => Selector::Task(self.id(place)),
                Which::LatestOf(id) => Selector::LatestOf(agent(id)),
                Which::SpokenOf(id) => Selector::SpokenOf(agent(id)),
                Which::TaskOf(place, id) => Selector::TaskOf {
                    task: self.id(place),
                    agent: agent(id),
                },
            },
            to: one.to.clone(),
            node: NODES[one.node].to_owned(),
            error_msg: one.text.clone(),
            at,
            by: one.by,
            entry: (one.by == Mover::Report).then_some(entry),
        }
    }

    /// The questions, asked after every step.
    async fn compare(&mut self, store: &dyn TaskStore) -> Result<(), String> {
        let agents: Vec<_> = (0..=AGENTS).map(agent).collect();
        same(store.latest(&agents).await, self.tables.latest(&agents))?;
        same(store.tasks(&self.ids).await, self.tables.tasks(&self.ids))?;
        for node in NODES {
            let expected = self.tables.interrupted(node, false);
            same(store.interrupted(node, false).await, expected)?;
            let expected = self.tables.awaiting(node, TaskId(0), usize::MAX);
            same(store.awaiting(node, TaskId(0), usize::MAX).await, expected)?;
        }
        let expected = self.tables.in_progress(TaskId(0), usize::MAX);
        same(store.in_progress(TaskId(0), usize::MAX).await, expected)?;
        if let Some(id) = self.ids.last() {
            let steps = |timeline: Vec<TimelineEntry>| {
                timeline
                    .iter()
                    .map(|one| (one.at, one.step))
                    .collect::<Vec<_>>()
            };
            let expected = steps(self.tables.timeline(*id));
            same(store.timeline(*id).await.map(steps), expected)?;
        }
        let expected = changed(self.tables.changes(self.read, usize::MAX));
        self.read = self.tables.revision();
        let told = store.changes(self.told, usize::MAX).await;
        if let Some(last) = told.as_ref().ok().and_then(|told| told.last()) {
            self.told = last.revision;
        }
        same(told.map(changed), expected)
    }
}

fn changed(changes: Vec<Change>) -> Vec<Changed> {
    changes.into_iter().map(|change| change.changed).collect()
}

fn new_task((id, node, whose, exclusive): &(u32, usize, Whose, bool), now: UnixTime) -> NewTask {
    let node = NODES[*node];
    NewTask {
        exclusive: *exclusive,
        ..whose.task(*id, node, now)
    }
}
