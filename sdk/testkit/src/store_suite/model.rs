//! Random sequences of all operations, on the store and on a simple one in
//! memory, which must answer alike after every step.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use wpk_api::{
    Claimed, Created, NewTask, Selector, Status, StoreError, Task, TaskId, TaskStore, Transition,
    TransitionResult, UnixTime,
};

use super::{START, agent, bare, order, upgrade};

/// Agents and nodes of the stories: few, so that they meet.
const AGENTS: u32 = 4;
const NODES: [&str; 2] = ["node01", "node02"];

/// Steps of a sequence, and attempts to find a shorter one that fails.
const STEPS: usize = 40;
const SHRINKING: usize = 400;

/// One operation. Tasks are meant by their place among all created ones.
#[derive(Debug, Clone)]
enum Step {
    Create(Vec<(u32, usize, bool, bool)>),
    Move(Vec<(Which, Status, usize, Option<String>)>),
    Claim(usize, usize),
    BeginInstaller(usize),
    Touch(Vec<usize>),
    Cancel(usize),
    Withdraw(Vec<usize>),
    Expire(i64),
    Purge(i64),
    Wait(i64),
}

#[derive(Debug, Clone)]
enum Which {
    Task(usize),
    LatestOf(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let node = 0..NODES.len();
    let task = 0..12_usize;
    let new = (0..AGENTS, node.clone(), any::<bool>(), any::<bool>());
    let mut statuses = Status::KNOWN.to_vec();
    statuses.push(Status::Other("Weird".to_owned()));
    // The way most tasks go comes up more often than the others.
    let status = prop_oneof![Just(Status::InProgress), prop::sample::select(statuses)];
    let which = prop_oneof![
        task.clone().prop_map(Which::Task),
        (0..AGENTS).prop_map(Which::LatestOf)
    ];
    let text = prop::option::of(prop_oneof![Just(String::new()), "[a-z' \"é]{1,8}"]);
    let one = (which, status, node.clone(), text);
    let step = prop_oneof![
        5 => vec(new, 1..4).prop_map(Step::Create),
        5 => vec(one, 1..4).prop_map(Step::Move),
        3 => (node.clone(), 0..4_usize).prop_map(|(node, limit)| Step::Claim(node, limit)),
        3 => task.clone().prop_map(Step::BeginInstaller),
        2 => vec(task.clone(), 0..4).prop_map(Step::Touch),
        1 => node.prop_map(Step::Cancel),
        1 => vec(task, 0..3).prop_map(Step::Withdraw),
        1 => (0..40_i64).prop_map(Step::Expire),
        1 => (0..40_i64).prop_map(Step::Purge),
        3 => (0..20_i64).prop_map(Step::Wait),
    ];
    vec(step, 1..STEPS)
}

/// Tries `sequences` random sequences, each on a store of its own.
pub async fn run<M>(make: &M, sequences: u32)
where
    M: AsyncFn() -> Arc<dyn TaskStore>,
{
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

#[derive(Debug)]
struct Entry {
    task: Task,
    has_order: bool,
    begun: bool,
}

impl Entry {
    fn claimed(&self) -> Claimed {
        Claimed {
            task: self.task.clone(),
            order: Ok(order(self.task.agent.get())),
        }
    }
}

/// The simple store.
#[derive(Debug, Default)]
struct Model {
    tasks: BTreeMap<TaskId, Entry>,
    /// All ids ever given, in their order.
    ids: Vec<TaskId>,
    waited: i64,
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

    fn newest(&self, agent: wpk_api::AgentId) -> Option<TaskId> {
        let mut newest_first = self.tasks.values().rev();
        newest_first
            .find(|entry| entry.task.agent == agent)
            .map(|entry| entry.task.id)
    }

    async fn step(&mut self, store: &dyn TaskStore, step: &Step) -> Result<(), String> {
        let now = self.now();
        match step {
            Step::Create(new) => {
                let new: Vec<_> = new.iter().map(|new| new_task(new, now)).collect();
                let answer = store.create(new.clone()).await;
                self.create(&new, answer.map_err(|error| error.to_string())?)
            }
            Step::Move(moves) => {
                let moves: Vec<_> = moves.iter().map(|one| self.transition(one, now)).collect();
                let expected = moves.iter().map(|one| self.carry_out(one)).collect();
                same(store.transition(moves).await, expected)
            }
            Step::Claim(node, limit) => {
                let node = NODES[*node];
                let expected = self.claim(node, *limit, now);
                same(store.claim(node, *limit, now).await, expected)
            }
            Step::BeginInstaller(place) => {
                let id = self.id(*place);
                let expected = self.tasks.get_mut(&id).is_some_and(|entry| {
                    let may = entry.task.status == Status::InProgress && !entry.begun;
                    entry.begun |= may;
                    may
                });
                same(store.begin_installer(id, now).await, expected)
            }
            Step::Touch(places) => {
                let ids: Vec<_> = places.iter().map(|place| self.id(*place)).collect();
                for id in &ids {
                    if let Some(entry) = self.tasks.get_mut(id)
                        && entry.task.status == Status::InProgress
                    {
                        entry.task.updated = Some(now);
                    }
                }
                same(store.touch(&ids, now).await, ())
            }
            Step::Cancel(node) => {
                let node = NODES[*node];
                let mut expected = 0;
                for Entry { task, .. } in self.tasks.values_mut() {
                    if task.status == Status::Pending && task.node == node {
                        task.status = Status::Cancelled;
                        task.updated = Some(now);
                        expected += 1;
                    }
                }
                same(store.cancel(node, now).await, expected)
            }
            Step::Withdraw(places) => {
                let ids: Vec<_> = places.iter().map(|place| self.id(*place)).collect();
                let before = self.tasks.len();
                self.tasks.retain(|id, entry| {
                    !(ids.contains(id) && entry.task.status == Status::Pending)
                });
                let expected = (before - self.tasks.len()) as u64;
                same(store.withdraw(&ids).await, expected)
            }
            Step::Expire(age) => {
                let expected = self.expire(now - age, now);
                let answer = store.expire(now - age, now).await.map(|mut tasks| {
                    tasks.sort_by_key(|task| task.id);
                    tasks
                });
                same(answer, expected)
            }
            Step::Purge(age) => {
                let before = self.tasks.len();
                self.tasks.retain(|_, entry| entry.task.created > now - age);
                let expected = (before - self.tasks.len()) as u64;
                same(store.purge(now - age).await, expected)
            }
            Step::Wait(seconds) => {
                self.waited += seconds;
                Ok(())
            }
        }
    }

    fn create(&mut self, new: &[NewTask], answer: Vec<Created>) -> Result<(), String> {
        if answer.len() != new.len() {
            return Err(format!("{} answers for {} tasks", answer.len(), new.len()));
        }
        for (new, answer) in new.iter().zip(answer) {
            if new.exclusive {
                // What waits for another node gives way.
                self.tasks.retain(|_, entry| {
                    entry.task.agent != new.agent
                        || entry.task.status != Status::Pending
                        || entry.task.node == new.node
                });
            }
            let live: Vec<_> = self
                .tasks
                .values()
                .filter(|entry| entry.task.agent == new.agent && entry.task.status.is_live())
                .map(|entry| entry.task.id)
                .collect();
            match answer {
                Created::AlreadyLive(id) if new.exclusive && live.contains(&id) => {}
                Created::Task(id)
                    if (!new.exclusive || live.is_empty())
                        && self.ids.last().is_none_or(|last| *last < id) =>
                {
                    self.ids.push(id);
                    self.tasks.insert(id, entry(id, new));
                }
                other => return Err(format!("{other:?} for {new:?}; live: {live:?}")),
            }
        }
        Ok(())
    }

    fn transition(
        &self,
        (which, to, node, text): &(Which, Status, usize, Option<String>),
        at: UnixTime,
    ) -> Transition {
        Transition {
            select: match which {
                Which::Task(place) => Selector::Task(self.id(*place)),
                Which::LatestOf(id) => Selector::LatestOf(agent(*id)),
            },
            to: to.clone(),
            node: NODES[*node].to_owned(),
            error_msg: text.clone(),
            at,
        }
    }

    fn carry_out(&mut self, one: &Transition) -> TransitionResult {
        let id = match one.select {
            Selector::Task(id) => Some(id),
            Selector::LatestOf(agent) => self.newest(agent),
        };
        let Some(Entry { task, .. }) = id.and_then(|id| self.tasks.get_mut(&id)) else {
            return TransitionResult::Refused(None);
        };
        if !task.status.may_become(&one.to) || (one.to.needs_same_node() && task.node != one.node) {
            return TransitionResult::Refused(Some(task.clone()));
        }
        task.status = one.to.clone();
        task.updated = Some(one.at);
        if one.error_msg.is_some() {
            task.error_msg.clone_from(&one.error_msg);
        }
        TransitionResult::Moved(task.clone())
    }

    fn claim(&mut self, node: &str, limit: usize, now: UnixTime) -> Vec<Claimed> {
        let waiting = self.tasks.values_mut().filter(|entry| {
            entry.has_order && entry.task.status == Status::Pending && entry.task.node == node
        });
        waiting
            .take(limit)
            .map(|entry| {
                entry.task.status = Status::InProgress;
                entry.task.updated = Some(now);
                entry.claimed()
            })
            .collect()
    }

    fn expire(&mut self, not_since: UnixTime, now: UnixTime) -> Vec<Task> {
        let mut expired = Vec::new();
        for Entry { task, .. } in self.tasks.values_mut() {
            let last_word = task.updated.unwrap_or(task.created);
            if task.status == Status::InProgress && last_word <= not_since {
                task.status = Status::Timeout;
                task.updated = Some(now);
                expired.push(task.clone());
            }
        }
        expired
    }

    /// The questions, asked after every step.
    async fn compare(&self, store: &dyn TaskStore) -> Result<(), String> {
        let agents: Vec<_> = (0..=AGENTS).map(agent).collect();
        let expected = agents
            .iter()
            .map(|agent| self.newest(*agent))
            .map(|id| Some(self.tasks.get(&id?)?.task.clone()))
            .collect();
        same(store.latest(&agents).await, expected)?;
        for node in NODES {
            let expected = self
                .tasks
                .values()
                .filter(|entry| {
                    entry.has_order
                        && !entry.begun
                        && entry.task.status == Status::InProgress
                        && entry.task.node == node
                })
                .map(Entry::claimed)
                .collect();
            same(store.interrupted(node).await, expected)?;
        }
        Ok(())
    }
}

fn new_task(
    (id, node, with_order, exclusive): &(u32, usize, bool, bool),
    now: UnixTime,
) -> NewTask {
    let node = NODES[*node];
    NewTask {
        exclusive: *exclusive,
        ..if *with_order {
            upgrade(*id, node, now)
        } else {
            bare(*id, node, now)
        }
    }
}

fn entry(id: TaskId, new: &NewTask) -> Entry {
    Entry {
        task: Task {
            id,
            agent: new.agent,
            node: new.node.clone(),
            module: new.module.clone(),
            command: new.command.clone(),
            created: new.created,
            updated: None,
            status: Status::Pending,
            error_msg: None,
        },
        has_order: new.order.is_some(),
        begun: false,
    }
}
