//! `upgrade` and `upgrade_custom`: one question to the directory, the rules for
//! each agent, one transaction for all new tasks (PROTOCOL.md, section 2).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tracing::{error, info, warn};
use wpk_api::{
    AgentId, AgentInfo, Command, Created, KeptOrder, KeptWish, NewTask, Order, PackageType, Target,
    TaskId, Version, Wanted, WantedFile, WantedRelease,
};
use wpk_wire::{AskedId, CustomParams, Dialect, Item, Response, UpgradeCode, UpgradeParams, task};

use super::asked::{Asked, Checked, at_once, each};
use super::fleet::Fleet;
use super::latest::Latest;
use super::{custom, dry_run};
use crate::failure::Failure;
use crate::rules::{self, Wish};
use crate::wishes::WishId;
use crate::workshop::Workshop;

/// How long a request waits for a file of this machine.
const FILE_WITHIN: Duration = Duration::from_secs(1);
/// Agents that are looked up and checked at a time.
const SLICE: usize = 2_048;

/// Answers `upgrade`.
pub(super) async fn from_repository(
    workshop: &Workshop,
    ids: &[AskedId],
    params: UpgradeParams,
) -> Bytes {
    if params.names_file {
        warn!("an `upgrade` names a file_path, which it passes over; `upgrade_custom` takes one");
    }
    let target = params.target();
    let asked = params.package_type;
    let force = params.force_upgrade;
    let wanted = |agent: &AgentInfo, own: Option<PackageType>, manager| {
        let target = target.clone();
        Wanted::Release(WantedRelease {
            platform: agent.platform.clone(),
            target: target.unwrap_or_else(|| default_target(workshop, manager)),
            repository: params
                .wpk_repo
                .clone()
                .filter(|repository| !repository.is_empty()),
            use_http: params.use_http,
            package_type: PackageType::choose(own, asked, force),
        })
    };
    let plan = Plan {
        command: Command::Upgrade,
        installer: None,
        force,
        dry_run: params.dry_run,
        unfit: None,
    };
    create(workshop, ids, plan, wanted).await
}

/// Answers `upgrade_custom`.
pub(super) async fn from_file(workshop: &Workshop, ids: &[AskedId], params: CustomParams) -> Bytes {
    let file = WantedFile {
        path: params.file_path.map(Into::into),
    };
    let installer = params.installer.filter(|name| !name.is_empty());
    let unfit = match params.dry_run || params.check_file {
        true => custom::examine(workshop, &file, params.ca.as_deref(), installer.clone()).await,
        false => {
            look_for(workshop, &file).await;
            Ok(())
        }
    };
    let plan = Plan {
        command: Command::UpgradeCustom,
        installer,
        force: true,
        dry_run: params.dry_run,
        unfit: unfit.err(),
    };
    let wanted = |_: &AgentInfo, _, _| Wanted::File(file.clone());
    create(workshop, ids, plan, wanted).await
}

/// Says in the log why a file cannot be sent, before a task is made that fails for it:
/// the answer to a 4.x client has no word for that (code 16 is a task's).
async fn look_for(workshop: &Workshop, file: &WantedFile) {
    let wanted = Wanted::File(file.clone());
    let resolved = workshop.resolver.resolve(&wanted);
    if let Ok(Err(error)) = tokio::time::timeout(FILE_WITHIN, resolved).await {
        let failure = Failure::from(error);
        warn!(%failure, "the file of an `upgrade_custom` cannot be sent");
    }
}

/// What is the same for all agents of a request.
struct Plan {
    command: Command,
    installer: Option<String>,
    force: bool,
    dry_run: bool,
    /// Why the file cannot be sent, where it was looked at.
    unfit: Option<Failure>,
}

impl Plan {
    /// Whether these orders are only told about. A file may lie at another node that has
    /// the agents: there it is looked at when it is sent.
    fn only_tells(&self, orders: &[Checked<Accepted>]) -> bool {
        let ours = || {
            let mut passed = orders.iter().flat_map(|asked| &asked.found);
            passed.all(|accepted| accepted.node.is_none())
        };
        self.dry_run || (self.unfit.is_some() && ours())
    }
}

/// The version where none was asked for: by dialect, the repository's latest or
/// the manager's own.
fn default_target(workshop: &Workshop, manager: Option<Version>) -> Target {
    match (workshop.settings.dialect, manager) {
        (Dialect::Wazuh4, Some(manager)) => Target::Exactly(manager),
        _ => Target::Latest,
    }
}

/// A slice of the request after the other is looked up, checked and written as it will be
/// stored: what is known of an agent takes much more room than its order. The next one is
/// looked up meanwhile. All are stored together.
async fn create(
    workshop: &Workshop,
    ids: &[AskedId],
    plan: Plan,
    wanted: impl Fn(&AgentInfo, Option<PackageType>, Option<Version>) -> Wanted,
) -> Bytes {
    let mut orders: Vec<Checked<Accepted>> = Vec::with_capacity(ids.len());
    let (mut elsewhere, mut latest) = (HashMap::new(), Latest::default());
    let mut kept = HashMap::new();
    let mut slices = ids.chunks(SLICE);
    let mut looked_up = look_up(workshop, slices.next()).await;
    while let Some((slice, fleet)) = looked_up {
        let check = async {
            let passed: Vec<Checked<(&AgentInfo, Wanted)>> = each(slice, |id| {
                let id = id.agent().map_err(|_| UpgradeCode::AgentNotFound)?;
                let (agent, own) = rules::check_agent(id, fleet.agents.get(&id))?;
                if fleet.elsewhere.contains_key(&id) {
                    return Err(UpgradeCode::AgentNotActive);
                }
                Ok((agent, wanted(agent, own, fleet.manager)))
            });
            latest.ask(workshop, &passed).await;
            let mut order = |(agent, wanted): (&AgentInfo, Wanted)| {
                let wanted = check_version(&plan, fleet.manager, &latest, agent, wanted)?;
                let node = fleet.nodes.get(&agent.id).cloned();
                keep(&plan, &mut kept, agent, wanted, node)
            };
            let slice = passed.into_iter();
            orders.extend(slice.map(|asked| asked.map(|passed| passed.and_then(&mut order))));
        };
        // Begun before the check, so that the directory is at work meanwhile.
        let next = look_up(workshop, slices.next());
        (looked_up, ()) = tokio::join!(biased; next, check);
        elsewhere.extend(fleet.elsewhere);
    }
    drop(kept);
    if let Some((agent, reason)) = elsewhere.iter().min() {
        warn!(%agent, reason, agents = elsewhere.len(), "agents of other nodes are refused");
    }
    // Where somebody passes the file is told of with him.
    let nobody = !orders.iter().any(|asked| asked.found.is_ok());
    let unfit = plan.unfit.as_ref().filter(|_| nobody);
    let unfit = unfit.map(|failure| format!("the file cannot be sent either: {}", failure.cause));
    let told = |item: Item| {
        let refused = item.error.upgrade() == Some(UpgradeCode::AgentNotActive);
        let agent = item.agent_id().filter(|_| refused);
        let elsewhere = agent.and_then(|agent| elsewhere.get(&agent));
        // Where another node has the agent the file may lie there.
        match elsewhere.or(unfit.as_ref()) {
            Some(reason) => item.because(reason),
            None => item,
        }
    };
    if plan.only_tells(&orders) {
        let response = dry_run::answer(workshop, read(orders), plan.unfit).await;
        return Response::printed(response.data.into_iter().map(told));
    }
    let mut fates = store(workshop, &plan, orders).await;
    fates.sort_by_key(|asked| asked.found.place());
    let item = |asked: Asked<Fate>| {
        let item = asked.found.item(asked.id);
        workshop.metrics.answered(&item);
        told(item)
    };
    Response::printed(fates.into_iter().map(item))
}

/// What is known of the agents of a slice, if there is one.
async fn look_up<'a>(
    workshop: &Workshop,
    slice: Option<&'a [AskedId]>,
) -> Option<(&'a [AskedId], Fleet)> {
    let slice = slice?;
    Some((slice, Fleet::lookup(workshop, slice).await))
}

/// An agent that passed, and what it is to get.
struct Accepted {
    agent: AgentId,
    order: KeptOrder,
    /// The node that has it, if that is another.
    node: Option<Arc<str>>,
    wish: WishId,
}

/// `known`: what agents before it are to get.
fn keep(
    plan: &Plan,
    known: &mut HashMap<Wanted, (WishId, KeptWish)>,
    agent: &AgentInfo,
    wanted: Wanted,
    node: Option<Arc<str>>,
) -> Result<Accepted, UpgradeCode> {
    let unkept = |error: serde_json::Error| {
        error!(agent = %agent.id, %error, "an order cannot be stored");
        UpgradeCode::TaskManagerCommunication
    };
    let (wish, kept) = match known.entry(wanted) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(new) => {
            let wanted = new.key();
            let kept = KeptWish::of(wanted, plan.installer.as_deref(), plan.force);
            let wish = WishId::of(wanted);
            new.insert((wish, kept.map_err(unkept)?))
        }
    };
    Ok(Accepted {
        agent: agent.id,
        order: KeptOrder::of_parts(agent, kept).map_err(unkept)?,
        node,
        wish: *wish,
    })
}

fn read(orders: Vec<Checked<Accepted>>) -> Vec<Checked<Order>> {
    let read = |kept: Accepted| kept.order.read().map_err(|_| UpgradeCode::Unknown);
    let orders = orders.into_iter();
    orders
        .map(|asked| asked.map(|kept| kept.and_then(read)))
        .collect()
}

fn check_version(
    plan: &Plan,
    manager: Option<Version>,
    latest: &Latest,
    agent: &AgentInfo,
    mut wanted: Wanted,
) -> Result<Wanted, UpgradeCode> {
    let found = latest.of(&wanted);
    if let (Wanted::Release(release), Some(version)) = (&mut wanted, found) {
        // From here on it is this version, whatever is published meanwhile.
        release.target = Target::Exactly(version);
    }
    let target = match &wanted {
        Wanted::Release(release) => rules::comparable(&release.target),
        Wanted::File(_) => None,
    };
    let wish = Wish {
        target,
        force: plan.force,
        manager,
    };
    rules::check_version(agent, &wish)?;
    Ok(wanted)
}

fn new_task(workshop: &Workshop, plan: &Plan, accepted: Accepted) -> NewTask {
    let node = accepted.node.as_deref().unwrap_or(workshop.node());
    NewTask {
        agent: accepted.agent,
        node: node.to_owned(),
        module: task::UPGRADE_MODULE.to_owned(),
        command: plan.command.clone(),
        created: workshop.now(),
        order: Some(accepted.order),
        exclusive: true,
        held: false,
        fence: None,
    }
}

/// What became of an id in the end, in the order in which they are answered: the
/// rules are applied to all agents before the store is asked about live tasks,
/// and refused agents come in the order of their check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// By the rules.
    Refused(UpgradeCode),
    /// By the store: its agent has a live task.
    AlreadyUpgrading,
    /// It has a new task.
    Created(TaskId),
    /// There is no new task, because the store gave no answer.
    NotStored,
}

impl Fate {
    /// Its place in the answer, from 0.
    fn place(self) -> u8 {
        match self {
            Self::Refused(_) => 0,
            Self::AlreadyUpgrading => 1,
            Self::Created(_) | Self::NotStored => 2,
        }
    }

    fn item(self, id: AskedId) -> Item {
        match self {
            Self::Refused(code) => Item::upgrade(code, id),
            Self::AlreadyUpgrading => Item::upgrade(UpgradeCode::AlreadyUpgrading, id),
            Self::Created(task) => Item::created(id, task),
            Self::NotStored => Item::upgrade(UpgradeCode::TaskManagerCommunication, id),
        }
    }
}

/// Stores the new tasks in one transaction and wakes the queue.
async fn store(
    workshop: &Workshop,
    plan: &Plan,
    orders: Vec<Checked<Accepted>>,
) -> Vec<Asked<Fate>> {
    let split = |order: Result<Accepted, UpgradeCode>| match order {
        Ok(order) => {
            // What another node carries out never comes into our queue.
            let wish = order.node.is_none().then_some(order.wish);
            (Ok(wish), Some(new_task(workshop, plan, order)))
        }
        Err(code) => (Err(code), None),
    };
    let create = |tasks: Vec<NewTask>| async move {
        let wanted = tasks.len();
        if wanted == 0 {
            return Ok::<_, Infallible>(Vec::new());
        }
        let created = workshop.store().create(tasks).await;
        Ok(created.map_or_else(
            |error| {
                error!(tasks = wanted, %error, "tasks cannot be stored");
                // Or it is only not known that they are.
                workshop.wishes.unsure();
                Vec::new()
            },
            |created| {
                info!(tasks = created.len(), "upgrade requested");
                created
            },
        ))
    };
    let Ok(stored) = at_once(orders, split, create).await;
    let made = stored.iter().filter_map(|asked| match asked.found {
        (Ok(wish), Some(Created::Task(_))) => wish,
        _ => None,
    });
    workshop.wishes.made(made);
    workshop.new_tasks.notify_one();
    let fate = |found| match found {
        (Err(code), _) => Fate::Refused(code),
        (Ok(_), Some(Created::Task(task))) => Fate::Created(task),
        (Ok(_), Some(Created::AlreadyLive(_))) => Fate::AlreadyUpgrading,
        // Nothing fences them.
        (Ok(_), Some(Created::Fenced) | None) => Fate::NotStored,
    };
    stored.into_iter().map(|asked| asked.map(fate)).collect()
}
