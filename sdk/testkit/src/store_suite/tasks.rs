//! The tasks that the stories are about, and the shortest ways to make them.

use wpk_api::{
    AgentId, AgentInfo, Command, ConnectionStatus, Created, KeptOrder, Mover, NewTask, Order,
    Overdue, Platform, Selector, Standing, Status, StoreError, Target, TaskId, TaskStore,
    Transition, UnixTime, Version, Wanted, WantedRelease,
};

/// The time the suite's stories start.
pub const START: UnixTime = 1_700_000_000;

/// The version that orders ask for.
pub const TARGET: Version = Version::new(4, 14, 9);

/// An agent's id.
pub fn agent(id: u32) -> AgentId {
    AgentId::new(i64::from(id)).unwrap_or(AgentId::MANAGER)
}

/// An order for an agent, different for each.
pub fn order(id: u32) -> Order {
    let platform = Platform {
        name: Some("ubuntu".to_owned()),
        major: Some("22".to_owned()),
        minor: Some("04".to_owned()),
        arch: Some("x86_64".to_owned()),
    };
    Order {
        agent: AgentInfo {
            id: agent(id),
            name: Some(format!("agent \"{id}\" d'été")),
            platform: platform.clone(),
            version: Some("Wazuh v4.7.0".to_owned()),
            connection: ConnectionStatus::Active,
            group: None,
            node: None,
        },
        wanted: Wanted::Release(WantedRelease {
            platform,
            target: Target::Exactly(TARGET),
            repository: None,
            use_http: false,
            package_type: None,
        }),
        force: false,
        installer: None,
    }
}

/// A task of the upgrade socket: with an order, one per agent.
pub fn upgrade(id: u32, node: &str, created: UnixTime) -> NewTask {
    NewTask {
        agent: agent(id),
        node: node.to_owned(),
        module: "upgrade_module".to_owned(),
        command: Command::Upgrade,
        created,
        order: KeptOrder::of(&order(id)).ok(),
        exclusive: true,
        held: false,
        fence: None,
    }
}

/// A task of the task socket: nobody claims it, and an agent may have many.
pub fn bare(id: u32, node: &str, created: UnixTime) -> NewTask {
    NewTask {
        order: None,
        exclusive: false,
        ..upgrade(id, node, created)
    }
}

/// The same of a node that holds the order itself.
pub fn held(id: u32, node: &str, created: UnixTime) -> NewTask {
    NewTask {
        held: true,
        ..bare(id, node, created)
    }
}

/// Who carries a task out.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whose {
    Ours,
    ItsNodes,
    Nobodys,
}

impl Whose {
    pub(super) const ALL: [Self; 3] = [Self::Ours, Self::ItsNodes, Self::Nobodys];

    /// A task of that kind.
    pub(super) fn task(self, id: u32, node: &str, created: UnixTime) -> NewTask {
        match self {
            Self::Ours => upgrade(id, node, created),
            Self::ItsNodes => held(id, node, created),
            Self::Nobodys => bare(id, node, created),
        }
    }
}

/// A move of one task.
pub fn to(task: TaskId, to: Status, node: &str, at: UnixTime) -> Transition {
    Transition {
        select: Selector::Task(task),
        to,
        node: node.to_owned(),
        error_msg: None,
        at,
        by: Mover::Delivery,
        entry: None,
    }
}

/// Creates one task and returns its id.
pub(super) async fn create(store: &dyn TaskStore, task: NewTask) -> TaskId {
    match ok(store.create(vec![task]).await).as_slice() {
        [Created::Task(id)] => *id,
        other => panic!("one new task was to be created, the store answered {other:?}"),
    }
}

#[track_caller]
pub(crate) fn ok<T>(result: Result<T, StoreError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("the store failed: {error}"),
    }
}

/// How a task comes to a status.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Way {
    /// Without an order.
    Foreign,
    /// With one, its installer not begun.
    Ours,
    /// With one, its installer begun where it may be.
    Begun,
}

/// A new task in a status, and how it stands.
pub(super) async fn arrive(
    store: &dyn TaskStore,
    n: u32,
    status: &Status,
    way: Way,
) -> (TaskId, Standing) {
    let id = match way {
        Way::Foreign => create(store, bare(n, "node01", START)).await,
        Way::Ours | Way::Begun => create(store, upgrade(n, "node01", START)).await,
    };
    let step = |status| vec![to(id, status, "node01", START)];
    match status {
        Status::Pending | Status::Cancelled => {}
        // What waits to be taken has no time-out.
        Status::Timeout if way == Way::Ours => {
            drop(ok(store.claim("node01", usize::MAX, START).await));
        }
        _ => drop(ok(store.transition(step(Status::InProgress)).await)),
    }
    let begun = way == Way::Begun
        && !matches!(status, Status::Pending | Status::Cancelled)
        && ok(store.begin_installer(id, None, START).await);
    match status {
        Status::Pending | Status::InProgress => {}
        Status::Timeout => {
            let overdue = Overdue {
                task: id,
                updated: Some(START),
            };
            assert_eq!(ok(store.expire(&[overdue], START).await).len(), 1);
        }
        other => drop(ok(store.transition(step(other.clone())).await)),
    }
    let ours = way != Way::Foreign;
    (id, Standing { ours, begun })
}
