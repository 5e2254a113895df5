//! `upgrade` and `upgrade_custom`: one question to the directory, the rules for
//! each agent, one transaction for all new tasks (PROTOCOL.md, section 2).

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use futures_util::future::join_all;
use tracing::{error, info, warn};
use wpk_api::words::clean;
use wpk_api::{
    AgentId, AgentInfo, Command, ConnectionStatus, Created, NewTask, Order, PackageType, Target,
    TaskId, Version, Wanted, WantedFile, WantedRelease,
};
use wpk_wire::{AskedId, CustomParams, Dialect, Item, Response, UpgradeCode, UpgradeParams, task};

use wpk_config::OssecConf;

use super::asked::{Asked, at_once, distinct, each};
use super::dry_run;
use crate::failure::Failure;
use crate::rules::{self, Wish};
use crate::workshop::Workshop;

/// How long a request waits to learn the latest version of a repository. The
/// delivery asks again, without the caller waiting.
const LATEST_WITHIN: Duration = Duration::from_secs(5);
/// The longest name of a node that is repeated, in bytes.
const LONGEST_NAME: usize = 255;
/// How long a request waits for a file of this machine.
const FILE_WITHIN: Duration = Duration::from_secs(1);
/// Agents of one request differ in platform, but not in thousands of ways.
const MOST_QUESTIONS: usize = 64;

/// Answers `upgrade`.
pub(super) async fn from_repository(
    workshop: &Workshop,
    ids: &[AskedId],
    params: UpgradeParams,
) -> Response {
    if params.names_file {
        warn!("an `upgrade` names a file_path, which it passes over; `upgrade_custom` takes one");
    }
    let fleet = lookup(workshop, ids).await;
    let target = params.target();
    let target = target.unwrap_or_else(|| default_target(workshop, fleet.manager));
    let asked = params.package_type;
    let force = params.force_upgrade;
    let wanted = |agent: &AgentInfo, own: Option<PackageType>| {
        Wanted::Release(WantedRelease {
            platform: agent.platform.clone(),
            target: target.clone(),
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
    create(workshop, ids, &fleet, plan, wanted).await
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
    let fleet = lookup(workshop, ids).await;
    if !plan.dry_run {
        look_for(workshop, &file).await;
    }
    let wanted = |_: &AgentInfo, _| Wanted::File(file.clone());
    create(workshop, ids, &fleet, plan, wanted).await
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

/// What the checks found about an id: something, or why it is refused.
type Checked<T> = Asked<Result<T, UpgradeCode>>;

async fn create(
    workshop: &Workshop,
    ids: &[AskedId],
    fleet: &Fleet,
    plan: Plan,
    wanted: impl Fn(&AgentInfo, Option<PackageType>) -> Wanted,
) -> Response {
    let passed: Vec<Checked<(&AgentInfo, Wanted)>> = each(ids, |id| {
        let id = id.agent().map_err(|_| UpgradeCode::AgentNotFound)?;
        let (agent, own) = rules::check_agent(id, fleet.agents.get(&id))?;
        if fleet.elsewhere.contains_key(&id) {
            return Err(UpgradeCode::AgentNotActive);
        }
        Ok((agent, wanted(agent, own)))
    });
    let latest = latest_versions(workshop, &passed).await;
    let order = |pair| check_version(&plan, fleet.manager, &latest, pair);
    let orders = passed
        .into_iter()
        .map(|asked| asked.map(|passed| passed.and_then(order)))
        .collect();
    let mut response = match plan.dry_run {
        true => dry_run::answer(workshop, orders).await,
        false => answer(store(workshop, &plan, orders).await),
    };
    let refused = Some(UpgradeCode::AgentNotActive);
    let items = response.data.iter_mut();
    for item in items.filter(|item| item.error.upgrade() == refused) {
        let reason = item
            .agent_id()
            .and_then(|agent| fleet.elsewhere.get(&agent));
        if let Some(reason) = reason {
            *item = std::mem::take(item).because(reason);
        }
    }
    response
}

/// What the directory knows of a request.
struct Fleet {
    agents: HashMap<AgentId, AgentInfo>,
    /// The manager's version.
    manager: Option<Version>,
    /// Agents that another node of the cluster has, and what to do then.
    elsewhere: HashMap<AgentId, String>,
}

/// All agents of the request in one question, and the manager's version with them
/// where it is not in the settings.
async fn lookup(workshop: &Workshop, ids: &[AskedId]) -> Fleet {
    let mut wanted = distinct(ids);
    if let Some(manager) = workshop.manager.asks()
        && wanted.first() != Some(&manager)
    {
        wanted.insert(0, manager);
    }
    match workshop.parts.directory.lookup(&wanted).await {
        Ok(agents) => {
            let agents = agents.into_iter().map(|agent| (agent.id, agent));
            let agents: HashMap<_, _> = agents.collect();
            let manager = workshop.manager.learn(agents.get(&AgentId::MANAGER));
            let elsewhere = elsewhere(workshop, &agents);
            Fleet {
                agents,
                manager,
                elsewhere,
            }
        }
        Err(error) => {
            // 4.x tells the caller the same as for an unknown agent.
            error!(%error, "agents cannot be looked up");
            Fleet {
                agents: HashMap::new(),
                manager: None,
                elsewhere: HashMap::new(),
            }
        }
    }
}

/// Those among the agents that are connected to another node of the cluster.
fn elsewhere(
    workshop: &Workshop,
    agents: &HashMap<AgentId, AgentInfo>,
) -> HashMap<AgentId, String> {
    let ossec = workshop.settings.ossec.as_ref();
    let Some(ours) = ossec.and_then(OssecConf::cluster_node) else {
        return HashMap::new();
    };
    let connected = |agent: &&AgentInfo| agent.connection == ConnectionStatus::Active;
    let others = agents.values().filter(connected).filter_map(|agent| {
        let node = clean(rules::elsewhere(agent, Some(ours))?, LONGEST_NAME);
        let reason = format!(
            "the agent is connected to node {node}, and this is node {ours}: ask on that node"
        );
        Some((agent.id, reason))
    });
    let others: HashMap<AgentId, String> = others.collect();
    if let Some((agent, reason)) = others.iter().min() {
        warn!(%agent, reason, agents = others.len(), "agents of other nodes are refused");
    }
    others
}

/// The latest version for each distinct wish that does not name one. What
/// cannot be found out in time is left to the delivery.
async fn latest_versions(
    workshop: &Workshop,
    passed: &[Checked<(&AgentInfo, Wanted)>],
) -> HashMap<Wanted, Version> {
    let mut questions: Vec<&Wanted> = Vec::new();
    for (_, wanted) in passed.iter().flat_map(|asked| &asked.found) {
        let open = matches!(wanted, Wanted::Release(release) if release.target == Target::Latest);
        if open && questions.len() < MOST_QUESTIONS && !questions.contains(&wanted) {
            questions.push(wanted);
        }
    }
    let ask = |wanted: &Wanted| {
        let wanted = wanted.clone();
        async move {
            let resolved = workshop.resolver.resolve(&wanted);
            match tokio::time::timeout(LATEST_WITHIN, resolved).await {
                Ok(Ok(resolved)) => resolved.offer.version.map(|version| (wanted, version)),
                Ok(Err(error)) => {
                    // In a failure the provider's words are fit for a log.
                    let failure = Failure::from(error);
                    warn!(%failure, "the latest version is not known; the delivery will ask again");
                    None
                }
                Err(_) => {
                    warn!(
                        "the repository is slow to name its latest version; the delivery will ask again"
                    );
                    None
                }
            }
        }
    };
    join_all(questions.into_iter().map(ask))
        .await
        .into_iter()
        .flatten()
        .collect()
}

fn check_version(
    plan: &Plan,
    manager: Option<Version>,
    latest: &HashMap<Wanted, Version>,
    (agent, mut wanted): (&AgentInfo, Wanted),
) -> Result<Order, UpgradeCode> {
    let found = latest.get(&wanted).copied();
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
    Ok(Order {
        agent: agent.clone(),
        wanted,
        installer: plan.installer.clone(),
        force: plan.force,
    })
}

fn new_task(workshop: &Workshop, plan: &Plan, order: Order) -> NewTask {
    NewTask {
        agent: order.agent.id,
        node: workshop.node().to_owned(),
        module: task::UPGRADE_MODULE.to_owned(),
        command: plan.command.clone(),
        created: workshop.now(),
        order: Some(order),
        exclusive: true,
        held: false,
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
async fn store(workshop: &Workshop, plan: &Plan, orders: Vec<Checked<Order>>) -> Vec<Asked<Fate>> {
    let split = |order: Result<Order, UpgradeCode>| match order {
        Ok(order) => (None, Some(new_task(workshop, plan, order))),
        Err(code) => (Some(code), None),
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
                Vec::new()
            },
            |created| {
                info!(tasks = created.len(), "upgrade requested");
                workshop.new_tasks.notify_one();
                created
            },
        ))
    };
    let Ok(stored) = at_once(orders, split, create).await;
    let fate = |found| match found {
        (Some(code), _) => Fate::Refused(code),
        (None, Some(Created::Task(task))) => Fate::Created(task),
        (None, Some(Created::AlreadyLive(_))) => Fate::AlreadyUpgrading,
        (None, None) => Fate::NotStored,
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
