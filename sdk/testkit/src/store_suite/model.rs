//! Random sequences of all operations, on the store and on the plain one in
//! memory ([`Tables`]), which must answer alike after every step.

use std::sync::Arc;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, TestRunner};
use wpk_api::{
    Change, Changed, Created, Mover, NewTask, Overdue, Revision, Selector, StoreError, TaskId,
    TaskKind, TaskQuery, TaskStore, TimelineEntry, TimelineStep, Transition, UnixTime,
};

use super::stand::entered;
use super::steps::{AGENTS, Move, NODES, Step, Which, steps};
use super::tasks::{START, TARGET, Whose, agent};
use crate::memory::Tables;

/// Attempts to find a shorter sequence that fails.
const SHRINKING: usize = 400;

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
    let mut model = Model {
        one_daemon: store.clock().await == Ok(None),
        ..Model::default()
    };
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
    /// Whether the store is one daemon's.
    one_daemon: bool,
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
            // Under one name after the other, as a node that is renamed. Where several
            // daemons share the store, times would be its own, and not the model's.
            Step::Enter(node) if self.one_daemon => {
                entered(store, NODES[*node], None).await;
                self.tables.enter(NODES[*node]);
                Ok(())
            }
            Step::TakeOver(places) => {
                let ids = self.ids(places);
                let expected = self.tables.take_over(&ids);
                same(store.take_over(&ids).await, expected)
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
        let expected = self.tables.orphans(TaskId(0), usize::MAX);
        same(store.orphans(TaskId(0), usize::MAX).await, expected)?;
        let listed = TaskQuery {
            limit: 5,
            only: TaskKind::Troubled,
            ..TaskQuery::default()
        };
        match store.history(&listed).await {
            // It lists nothing.
            Err(StoreError::Unavailable(_)) => {}
            found => same(found, self.tables.history(&listed))?,
        }
        for id in &self.ids {
            let expected = self.tables.begun(*id).is_some();
            let begun = store.begun(*id).await.map(|begun| begun.is_some());
            same(begun, expected)?;
        }
        if let Some(id) = self.ids.last() {
            let steps = |timeline: Vec<TimelineEntry>| {
                timeline
                    .iter()
                    .map(|one| match one.step {
                        // By the store's own clock.
                        TimelineStep::Moved => (0, one.step),
                        step => (one.at, step),
                    })
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
