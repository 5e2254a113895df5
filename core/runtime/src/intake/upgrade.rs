//! `upgrade` and `upgrade_custom`: one question to the directory, the rules for
//! each agent, one transaction for all new tasks (protocol.md, section 2).

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use tracing::{error, info, warn};
use wpk_api::{
    AgentId, AgentInfo, Command, Created, NewTask, Order, PackageType, Target, Version, Wanted,
    WantedFile, WantedRelease,
};
use wpk_wire::{AskedId, CustomParams, Dialect, Item, Response, UpgradeCode, UpgradeParams, task};

use super::{distinct, dry_run};
use crate::rules::{self, Wish};
use crate::workshop::Workshop as Shared;

/// How long a request waits to learn the latest version of a repository. The
/// delivery asks again, without the caller waiting.
const LATEST_WITHIN: Duration = Duration::from_secs(5);
/// Agents of one request differ in platform, but not in thousands of ways.
const MOST_QUESTIONS: usize = 64;

/// Answers `upgrade`.
pub(super) async fn from_repository(
    shared: &Shared,
    ids: &[AskedId],
    params: UpgradeParams,
) -> Response {
    let target = params.target().unwrap_or_else(|| default_target(shared));
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
    create(shared, ids, plan, wanted).await
}

/// Answers `upgrade_custom`.
pub(super) async fn from_file(shared: &Shared, ids: &[AskedId], params: CustomParams) -> Response {
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
    create(shared, ids, plan, |_, _| Wanted::File(file.clone())).await
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
fn default_target(shared: &Shared) -> Target {
    match (shared.settings.dialect, shared.settings.node.version) {
        (Dialect::Wazuh4, Some(manager)) => Target::Exactly(manager),
        _ => Target::Latest,
    }
}

async fn create(
    shared: &Shared,
    ids: &[AskedId],
    plan: Plan,
    wanted: impl Fn(&AgentInfo, Option<PackageType>) -> Wanted,
) -> Response {
    let known = lookup(shared, ids).await;
    let passed: Vec<Result<(&AgentInfo, Wanted), UpgradeCode>> = (ids.iter())
        .map(|id| {
            let id = id.agent().map_err(|_| UpgradeCode::AgentNotFound)?;
            let (agent, own) = rules::check_agent(id, known.get(&id))?;
            Ok((agent, wanted(agent, own)))
        })
        .collect();
    let latest = latest_versions(shared, &passed).await;
    let verdicts: Vec<Result<Order, UpgradeCode>> = (passed.into_iter())
        .map(|passed| passed.and_then(|pair| check_version(shared, &plan, &latest, pair)))
        .collect();
    if plan.dry_run {
        return dry_run::answer(shared, ids, verdicts).await;
    }
    let refused: Vec<Option<UpgradeCode>> = verdicts
        .iter()
        .map(|verdict| verdict.as_ref().err().copied())
        .collect();
    let orders = verdicts.into_iter().flatten();
    let tasks = orders.map(|order| new_task(shared, &plan, order)).collect();
    let created = store(shared, tasks).await;
    answer(ids, &refused, created)
}

/// All agents of the request in one question.
async fn lookup(shared: &Shared, ids: &[AskedId]) -> HashMap<AgentId, AgentInfo> {
    match shared.parts.directory.lookup(&distinct(ids)).await {
        Ok(agents) => agents.into_iter().map(|agent| (agent.id, agent)).collect(),
        Err(error) => {
            // 4.x tells the caller the same as for an unknown agent.
            error!(%error, "agents cannot be looked up");
            HashMap::new()
        }
    }
}

/// The latest version for each distinct wish that does not name one. What
/// cannot be found out in time is left to the delivery.
async fn latest_versions(
    shared: &Shared,
    passed: &[Result<(&AgentInfo, Wanted), UpgradeCode>],
) -> HashMap<Wanted, Version> {
    let mut questions: Vec<&Wanted> = Vec::new();
    for (_, wanted) in passed.iter().flatten() {
        let open = matches!(wanted, Wanted::Release(release) if release.target == Target::Latest);
        if open && questions.len() < MOST_QUESTIONS && !questions.contains(&wanted) {
            questions.push(wanted);
        }
    }
    let ask = |wanted: &Wanted| {
        let wanted = wanted.clone();
        async move {
            let resolved = shared.resolver.resolve(&wanted);
            match tokio::time::timeout(LATEST_WITHIN, resolved).await {
                Ok(Ok(resolved)) => resolved.offer.version.map(|version| (wanted, version)),
                Ok(Err(error)) => {
                    warn!(%error, "the latest version is not known; the delivery will ask again");
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
    shared: &Shared,
    plan: &Plan,
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
        manager: shared.settings.node.version,
    };
    rules::check_version(agent, &wish)?;
    Ok(Order {
        agent: agent.clone(),
        wanted,
        installer: plan.installer.clone(),
        force: plan.force,
    })
}

fn new_task(shared: &Shared, plan: &Plan, order: Order) -> NewTask {
    NewTask {
        agent: order.agent.id,
        node: shared.settings.node.name.clone(),
        module: task::UPGRADE_MODULE.to_owned(),
        command: plan.command.clone(),
        created: shared.clock.now(),
        order: Some(order),
        exclusive: true,
    }
}

/// Stores the new tasks in one transaction and wakes the queue. `None` if the
/// store gave no answer; then there are no new tasks.
async fn store(shared: &Shared, tasks: Vec<NewTask>) -> Option<Vec<Created>> {
    if tasks.is_empty() {
        return Some(Vec::new());
    }
    let wanted = tasks.len();
    match shared.parts.store.create(tasks).await {
        Ok(created) => {
            info!(tasks = created.len(), "upgrade requested");
            shared.new_tasks.notify_one();
            Some(created)
        }
        Err(error) => {
            error!(tasks = wanted, %error, "tasks cannot be stored");
            None
        }
    }
}

/// Refused agents first, in the order of their check: the rules are applied to
/// all agents before the store is asked about live tasks. Then the created tasks.
/// `created` has one entry for each id that was not refused.
fn answer(
    ids: &[AskedId],
    refused: &[Option<UpgradeCode>],
    created: Option<Vec<Created>>,
) -> Response {
    let mut created = created.unwrap_or_default().into_iter();
    let (mut items, mut live, mut tasks) = (Vec::new(), Vec::new(), Vec::new());
    for (id, refused) in ids.iter().zip(refused) {
        if let Some(code) = refused {
            items.push(Item::upgrade(*code, *id));
            continue;
        }
        match created.next() {
            Some(Created::Task(task)) => tasks.push(Item::created(*id, task)),
            Some(Created::AlreadyLive(_)) => {
                live.push(Item::upgrade(UpgradeCode::AlreadyUpgrading, *id));
            }
            None => {
                tasks.push(Item::upgrade(UpgradeCode::TaskManagerCommunication, *id));
            }
        }
    }
    items.append(&mut live);
    items.append(&mut tasks);
    Response::success(items)
}
