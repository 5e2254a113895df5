//! Plans carried out: first what is written down of rollouts, then of attempts, then new
//! attempts. Everything is guarded by the place of this daemon as planner.

use std::collections::HashMap;

use tracing::warn;
use wpk_api::{
    AgentId, AgentInfo, AttemptChange, AttemptWrite, Command, Created, Fence, Guard, KeptOrder,
    KeptWish, NewTask, StoreResult, Target, TaskId, UnixTime, Version, Wanted, WantedFile,
    WantedRelease,
};
use wpk_rollout::{Action, Desired, Document, OpenedWave, Permit, Plan, RolloutKey};
use wpk_wire::task::UPGRADE_MODULE;

use super::book::key_of;
use super::eyes::{Eyes, View};
use super::log::{self, Event, PLANNER};
use super::spread::Spread;
use super::tasks::{Mark, NEVER};
use crate::membership::node_of;
use crate::rules;
use crate::workshop::Workshop;

/// Tasks made, and attempts changed, in one transaction.
const SLICE: usize = 2_000;

/// What became of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Acted {
    /// There was nothing to do.
    Nothing,
    /// It was done.
    Done,
    /// Something changed meanwhile: look again.
    Stale,
}

/// Carries a plan out.
pub(super) async fn act(
    workshop: &Workshop,
    eyes: &mut Eyes,
    spread: &mut Spread,
    guard: &Guard,
    view: &View,
    made: &Plan,
) -> StoreResult<Acted> {
    if made.actions.is_empty() {
        return Ok(Acted::Nothing);
    }
    if !write_facts(workshop, eyes, guard, view, &made.actions).await? {
        return Ok(Acted::Stale);
    }
    let changes = changes(workshop, eyes, spread, view.now, &made.actions);
    for some in changes.chunks(SLICE) {
        let writes = some.to_vec();
        let written = workshop
            .store()
            .write_attempts(writes, Some(guard.clone()))
            .await?;
        if written.is_none() {
            return Ok(Acted::Stale);
        }
        for write in some {
            if let AttemptChange::Mark(mark) = &write.change
                && let Ok(mark) = serde_json::from_str(mark)
            {
                eyes.tasks.marked(write.task, &mark);
            }
        }
    }
    let wishes = wishes(&made.actions);
    for some in wishes.chunks(SLICE) {
        if !create(workshop, spread, guard, view, some).await? {
            return Ok(Acted::Stale);
        }
    }
    Ok(Acted::Done)
}

/// Opened and passed waves, joiners and halts: all in one transaction. `false` where
/// something changed meanwhile.
async fn write_facts(
    workshop: &Workshop,
    eyes: &Eyes,
    guard: &Guard,
    view: &View,
    actions: &[Action],
) -> StoreResult<bool> {
    // Most plans have no fact, and documents are large.
    if !actions.iter().any(is_fact) {
        return Ok(true);
    }
    let mut after = Desired::clone(&view.desired);
    let mut events = Vec::new();
    for action in actions {
        if let Some(event) = fact(&mut after, action, view.now) {
            events.push(event);
        }
    }
    let mut writes = eyes.book.of_rollouts(&after.rollouts)?;
    if writes.is_empty() {
        return Ok(true);
    }
    writes.extend(log::writes(
        &events,
        &workshop.rollouts.unique(workshop.membership.incarnation()),
    )?);
    let guard = Some(guard.clone());
    let written = workshop.store().write_documents(writes, guard).await;
    workshop.rollouts.wrote();
    let written = written?.is_some();
    for event in events.iter().filter(|_| written) {
        if event.what == "halted" {
            workshop.metrics.rollouts.halted();
        }
        event.log();
    }
    Ok(written)
}

const fn is_fact(action: &Action) -> bool {
    matches!(
        action,
        Action::Open { .. } | Action::Pass { .. } | Action::Join { .. } | Action::Halt { .. }
    )
}

/// One fact of a rollout; what is told of it.
fn fact(after: &mut Desired, action: &Action, now: UnixTime) -> Option<Event> {
    let mut of = |key: &RolloutKey| after.rollouts.iter_mut().position(|one| one.key == *key);
    let event = |what: &str, words: &str| Event::new(now, PLANNER, what, words);
    match action {
        Action::Open {
            rollout,
            wave,
            members,
            population,
        } => {
            let document = of(rollout).and_then(|at| after.rollouts.get_mut(at))?;
            if document.facts.waves.len() != *wave {
                return None;
            }
            document.facts.waves.push(OpenedWave {
                opened: now,
                members: members.clone(),
                passed: None,
            });
            if population.is_some() {
                document.facts.population.clone_from(population);
            }
            let words = format!(
                "wave {}, {} agents",
                wave_name(document, *wave),
                members.len()
            );
            Some(event("opened", &words).of(rollout))
        }
        Action::Pass { rollout, wave, why } => {
            let document = of(rollout).and_then(|at| after.rollouts.get_mut(at))?;
            document.facts.waves.get_mut(*wave)?.passed = Some(now);
            let words = format!("wave {}: {why}", wave_name(document, *wave));
            Some(event("passed", &words).of(rollout))
        }
        Action::Join { rollout, agents } => {
            let document = of(rollout).and_then(|at| after.rollouts.get_mut(at))?;
            document.facts.joined.extend(agents);
            Some(event("joined", &format!("{} agents", agents.len())).of(rollout))
        }
        Action::Halt { rollout, reason } => {
            let document = of(rollout).and_then(|at| after.rollouts.get_mut(at))?;
            document.halt(reason).ok()?;
            Some(event("halted", reason).of(rollout))
        }
        _ => None,
    }
}

fn wave_name(document: &Document, wave: usize) -> &str {
    let wave = document.definition.waves.get(wave);
    wave.map_or("?", |wave| &wave.name)
}

/// What becomes of attempts that are there.
fn changes(
    workshop: &Workshop,
    eyes: &Eyes,
    spread: &mut Spread,
    now: UnixTime,
    actions: &[Action],
) -> Vec<AttemptWrite> {
    let mark = |task: TaskId, how: &dyn Fn(&mut Mark)| {
        let known = eyes.tasks.of(task)?;
        let mut mark = Mark {
            target: known.target,
            observed: known.observed,
            soaked: known.soaked,
        };
        how(&mut mark);
        Some(AttemptChange::Mark(mark.text()))
    };
    let mut writes = Vec::new();
    for action in actions {
        let (task, change) = match action {
            Action::Observe { attempt, at } => {
                (*attempt, mark(*attempt, &|mark| mark.observed = Some(*at)))
            }
            Action::Soaked { attempt, at } => {
                (*attempt, mark(*attempt, &|mark| mark.soaked = Some(*at)))
            }
            // A delivery that is on its way cannot be put back into the queue.
            Action::Withdraw { attempt } if eyes.tasks.is_taken(*attempt) => {
                let why =
                    "its window closed before its installer was begun; it is tried in the next one";
                (*attempt, Some(AttemptChange::Cancel(why.to_owned())))
            }
            Action::Withdraw { attempt } => (
                *attempt,
                Some(AttemptChange::Open {
                    opens: NEVER,
                    closes: None,
                }),
            ),
            Action::Cancel { attempt, why } => {
                (*attempt, Some(AttemptChange::Cancel((*why).to_owned())))
            }
            Action::Begin {
                attempt: Some(attempt),
                permit,
                ..
            } => {
                let Some(opens) = spread.next(now, permit.until) else {
                    continue;
                };
                let closes = permit.until;
                (*attempt, Some(AttemptChange::Open { opens, closes }))
            }
            _ => continue,
        };
        writes.extend(change.map(|change| AttemptWrite { task, change }));
    }
    if !writes.is_empty() {
        workshop.new_tasks.notify_one();
    }
    writes
}

/// An attempt to be made.
struct Wish<'a> {
    rollout: &'a RolloutKey,
    agent: AgentId,
    target: Version,
    permit: Option<Permit>,
}

fn wishes(actions: &[Action]) -> Vec<Wish<'_>> {
    (actions.iter())
        .filter_map(|action| match action {
            Action::Stage {
                rollout,
                agent,
                target,
            } => Some(Wish {
                rollout,
                agent: *agent,
                target: *target,
                permit: None,
            }),
            Action::Begin {
                rollout,
                agent,
                attempt: None,
                target,
                permit,
            } => Some(Wish {
                rollout,
                agent: *agent,
                target: *target,
                permit: Some(*permit),
            }),
            _ => None,
        })
        .collect()
}

/// Makes new attempts. `false` where something changed meanwhile.
async fn create(
    workshop: &Workshop,
    spread: &mut Spread,
    guard: &Guard,
    view: &View,
    wishes: &[Wish<'_>],
) -> StoreResult<bool> {
    let ids: Vec<AgentId> = wishes.iter().map(|wish| wish.agent).collect();
    let found = match workshop.parts.directory.lookup(&ids).await {
        Ok(found) => found,
        Err(error) => {
            warn!(%error, "agents of a rollout cannot be looked up; tried again");
            return Ok(true);
        }
    };
    let found: HashMap<AgentId, AgentInfo> = found.into_iter().map(|one| (one.id, one)).collect();
    let mut tasks = Vec::with_capacity(wishes.len());
    for wish in wishes {
        let Some(info) = found.get(&wish.agent) else {
            continue;
        };
        tasks.extend(task(workshop, spread, view, wish, info));
    }
    let made = tasks.len();
    if made == 0 {
        return Ok(true);
    }
    let created = workshop
        .store()
        .create_guarded(tasks, guard.clone())
        .await?;
    let Some(created) = created else {
        return Ok(false);
    };
    workshop.wishes.unsure();
    workshop.new_tasks.notify_one();
    let fenced = created
        .iter()
        .filter(|one| **one == Created::Fenced)
        .count();
    Ok(fenced == 0)
}

fn task(
    workshop: &Workshop,
    spread: &mut Spread,
    view: &View,
    wish: &Wish<'_>,
    info: &AgentInfo,
) -> Option<NewTask> {
    let document = view
        .desired
        .rollouts
        .iter()
        .find(|one| one.key == *wish.rollout)?;
    let (opens, closes) = match wish.permit {
        Some(permit) => (spread.next(view.now, permit.until)?, permit.until),
        None => (NEVER, None),
    };
    let (command, wanted) = match &document.definition.file {
        Some(path) => (
            Command::UpgradeCustom,
            Wanted::File(WantedFile {
                path: Some(path.into()),
            }),
        ),
        None => (
            Command::Upgrade,
            Wanted::Release(WantedRelease {
                platform: info.platform.clone(),
                target: Target::Exactly(wish.target),
                repository: None,
                use_http: false,
                package_type: rules::package_type(info),
            }),
        ),
    };
    let kept = KeptWish::of(&wanted, None, false);
    let order = match kept.and_then(|kept| KeptOrder::of_parts(info, &kept)) {
        Ok(order) => order,
        Err(error) => {
            warn!(agent = %wish.agent, %error, "an order cannot be stored");
            return None;
        }
    };
    let mark = Mark {
        target: Some(wish.target),
        ..Mark::default()
    };
    let node = node_of(workshop, info);
    Some(NewTask {
        agent: wish.agent,
        node: node.unwrap_or_else(|| workshop.node().to_owned()),
        module: UPGRADE_MODULE.to_owned(),
        command,
        created: view.now,
        order: Some(order),
        exclusive: true,
        held: false,
        fence: Some(Box::new(Fence {
            key: key_of(wish.rollout),
            epoch: document.facts.epoch,
            opens,
            closes,
            mark: mark.text(),
        })),
    })
}
