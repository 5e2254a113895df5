//! `upgrade` and `upgrade_custom`: one question to the directory, the rules for
//! each agent, one transaction for all new tasks (PROTOCOL.md, section 2).

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tracing::{error, info, warn};
use wpk_api::{
    AgentId, AgentInfo, Command, Created, KeptOrder, NewTask, Order, PackageType, Target, TaskId,
    Version, Wanted, WantedFile, WantedRelease,
};
use wpk_wire::{AskedId, CustomParams, Dialect, Item, Response, UpgradeCode, UpgradeParams, task};

use super::asked::{Asked, Checked, at_once, each};
use super::dry_run;
use super::fleet::Fleet;
use super::latest::Latest;
use crate::failure::Failure;
use crate::rules::{self, Wish};
use crate::wishes::WishId;
use crate::workshop::Workshop;

/// How long a request waits for a file of this machine.
const FILE_WITHIN: Duration = Duration::from_secs(1);
/// Agents that are looked up and checked at a time.
const SLICE: usize = 4_096;

/// Answers `upgrade`.
pub(super) async fn from_repository(
    workshop: &Workshop,
    ids: &[AskedId],
    params: UpgradeParams,
) -> Response {
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
    };
    create(workshop, ids, plan, wanted).await
}

/// Answers `upgrade_custom`.
pub(super) async fn from_file(
    workshop: &Workshop,
    ids: &[AskedId],
    params: CustomParams,
) -> Response {
    let file = WantedFile {
        path: params.file_path.map(Into::into),
    };
    let installer = params.installer.filter(|name| !name.is_empty());
    let plan = Plan {
        command: Command::UpgradeCustom,
        installer,
        force: true,
        dry_run: params.dry_run,
    };
    if !plan.dry_run {
        look_for(workshop, &file).await;
    }
    let wanted = |_: &AgentInfo, _, _| Wanted::File(file.clone());
    create(workshop, ids, plan, wanted).await
}

/// Says in the log why a file cannot be sent, before a task is made that fails for it:
/// the answer has no word for that (code 16 is a task's).
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
/// stored: what is known of an agent takes much more room than its order. All are stored
/// together.
async fn create(
    workshop: &Workshop,
    ids: &[AskedId],
    plan: Plan,
    wanted: impl Fn(&AgentInfo, Option<PackageType>, Option<Version>) -> Wanted,
) -> Response {
    let mut orders: Vec<Checked<Accepted>> = Vec::with_capacity(ids.len());
    let (mut elsewhere, mut latest) = (HashMap::new(), Latest::default());
    for slice in ids.chunks(SLICE) {
        let fleet = Fleet::lookup(workshop, slice).await;
        let passed: Vec<Checked<(&AgentInfo, Wanted)>> = each(slice, |id| {
            let id = id.agent().map_err(|_| UpgradeCode::AgentNotFound)?;
            let (agent, own) = rules::check_agent(id, fleet.agents.get(&id))?;
            if fleet.elsewhere.contains_key(&id) {
                return Err(UpgradeCode::AgentNotActive);
            }
            Ok((agent, wanted(agent, own, fleet.manager)))
        });
        latest.ask(workshop, &passed).await;
        let order = |(agent, wanted): (&AgentInfo, Wanted)| {
            let wanted = check_version(&plan, fleet.manager, &latest, agent, wanted)?;
            let node = fleet.nodes.get(&agent.id).cloned();
            Ok((keep(&plan, agent, &wanted)?, node, WishId::of(&wanted)))
        };
        let slice = passed.into_iter();
        orders.extend(slice.map(|asked| asked.map(|passed| passed.and_then(order))));
        elsewhere.extend(fleet.elsewhere);
    }
    if let Some((agent, reason)) = elsewhere.iter().min() {
        warn!(%agent, reason, agents = elsewhere.len(), "agents of other nodes are refused");
    }
    let mut response = match plan.dry_run {
        true => dry_run::answer(workshop, read(orders)).await,
        false => {
            let response = answer(store(workshop, &plan, orders).await);
            workshop.metrics.answered(&response);
            response
        }
    };
    let refused = Some(UpgradeCode::AgentNotActive);
    let items = response.data.iter_mut();
    for item in items.filter(|item| item.error.upgrade() == refused) {
        let reason = item.agent_id().and_then(|agent| elsewhere.get(&agent));
        if let Some(reason) = reason {
            *item = std::mem::take(item).because(reason);
        }
    }
    response
}

/// An agent that passed, what it is to get, the node that has it if that is another, and
/// which wish that is.
type Accepted = ((AgentId, KeptOrder), Option<Arc<str>>, WishId);

fn keep(
    plan: &Plan,
    agent: &AgentInfo,
    wanted: &Wanted,
) -> Result<(AgentId, KeptOrder), UpgradeCode> {
    match KeptOrder::of_parts(agent, wanted, plan.installer.as_deref(), plan.force) {
        Ok(kept) => Ok((agent.id, kept)),
        Err(error) => {
            error!(agent = %agent.id, %error, "an order cannot be stored");
            Err(UpgradeCode::TaskManagerCommunication)
        }
    }
}

fn read(orders: Vec<Checked<Accepted>>) -> Vec<Checked<Order>> {
    let read = |((_, kept), ..): Accepted| kept.read().map_err(|_| UpgradeCode::Unknown);
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
    let ((agent, order), node, _) = accepted;
    let node = node.as_deref().unwrap_or(workshop.node());
    NewTask {
        agent,
        node: node.to_owned(),
        module: task::UPGRADE_MODULE.to_owned(),
        command: plan.command.clone(),
        created: workshop.now(),
        order: Some(order),
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
            let wish = order.1.is_none().then_some(order.2);
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

fn answer(mut fates: Vec<Asked<Fate>>) -> Response {
    fates.sort_by_key(|asked| asked.found.place());
    let item = |asked: Asked<Fate>| match asked.found {
        Fate::Refused(code) => Item::upgrade(code, asked.id),
        Fate::AlreadyUpgrading => Item::upgrade(UpgradeCode::AlreadyUpgrading, asked.id),
        Fate::Created(task) => Item::created(asked.id, task),
        Fate::NotStored => Item::upgrade(UpgradeCode::TaskManagerCommunication, asked.id),
    };
    Response::success(fates.into_iter().map(item).collect())
}
