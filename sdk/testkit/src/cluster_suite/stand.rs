//! A home, a master and the store of a worker node, and the tasks that the
//! stories are about.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};
use wpk_api::{
    AgentId, AgentInfo, Command, ConnectionStatus, Created, KeptOrder, Mover, NewTask, Order,
    Platform, Role, Selector, Status, Task, TaskId, TaskStore, Transition, Wanted, WantedFile,
};

use crate::Home;
use crate::cluster::{FakeCluster, TaskTable};
use crate::stands::{AnyFactory, build};
use crate::suite::ok;

/// The name of the worker node.
pub const NODE: &str = "worker1";
/// What the fake master shows for every time.
pub const NOW: i64 = 1_700_000_000;

/// An agent's id.
pub fn id(id: i64) -> AgentId {
    AgentId::new(id).unwrap_or(AgentId::MANAGER)
}

/// An order for an agent, different for each.
pub fn order(agent: i64) -> Order {
    Order {
        agent: AgentInfo {
            id: id(agent),
            name: None,
            platform: Platform::default(),
            version: Some("Wazuh v4.7.0".into()),
            connection: ConnectionStatus::Active,
            group: None,
            node: None,
        },
        wanted: Wanted::File(WantedFile {
            path: Some(format!("/tmp/{agent}.wpk").into()),
        }),
        installer: None,
        force: true,
    }
}

/// A task of the upgrade socket of [`NODE`].
pub fn upgrade(agent: i64) -> NewTask {
    NewTask {
        agent: id(agent),
        node: NODE.into(),
        module: "upgrade_module".into(),
        command: Command::UpgradeCustom,
        created: NOW,
        order: KeptOrder::of(&order(agent)).ok(),
        exclusive: true,
        held: false,
        fence: None,
    }
}

/// A move by [`NODE`], a minute after [`NOW`].
pub fn to(select: Selector, status: Status, error_msg: Option<&str>) -> Transition {
    Transition {
        select,
        to: status,
        node: NODE.into(),
        error_msg: error_msg.map(str::to_owned),
        at: NOW + 60,
        by: Mover::Delivery,
        entry: None,
    }
}

/// A worker node and its master.
pub struct Stand {
    /// The worker's folder.
    pub home: Home,
    /// What the master knows.
    pub table: TaskTable,
    /// The worker's store.
    pub store: Arc<dyn TaskStore>,
    factory: AnyFactory<dyn TaskStore>,
    cluster: Option<FakeCluster>,
}

impl fmt::Debug for Stand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stand")
            .field("home", &self.home)
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

impl Stand {
    /// A worker whose store the factory makes, and a master with this table.
    pub fn new(factory: &AnyFactory<dyn TaskStore>, table: TaskTable) -> Self {
        let home = ok("making a folder", Home::new());
        let mut stand = Self {
            store: open(factory, &home, &json!({})),
            home,
            table,
            factory: Arc::clone(factory),
            cluster: None,
        };
        stand.come_back();
        stand
    }

    /// The way to the master, which must be there.
    pub fn cluster(&self) -> &FakeCluster {
        match &self.cluster {
            Some(cluster) => cluster,
            None => panic!("the master is away"),
        }
    }

    /// The master goes away: nobody listens at the socket.
    pub fn go_away(&mut self) {
        self.cluster = None;
    }

    /// The master is there again.
    pub fn come_back(&mut self) {
        let table = self.table.clone();
        let socket = self.home.path("queue/cluster/c-internal.sock");
        let cluster = FakeCluster::start(socket, move |message| table.answer(message));
        self.cluster = Some(ok("starting the fake cluster daemon", cluster));
    }

    /// Another store of the same worker.
    pub fn store(&self, settings: &Value) -> Arc<dyn TaskStore> {
        open(&self.factory, &self.home, settings)
    }

    /// The same node after its program was started again, as far as the store
    /// can tell.
    pub fn restart(&mut self) {
        self.store = self.store(&json!({}));
    }

    /// Creates the agent's task, which must be a new one.
    pub async fn create(&self, agent: i64) -> TaskId {
        match ok("create", self.store.create(vec![upgrade(agent)]).await)[..] {
            [Created::Task(task)] => task,
            ref other => panic!("one new task was to be created: {other:?}"),
        }
    }

    /// Claims what waits.
    pub async fn claim(&self) -> Vec<TaskId> {
        let claimed = ok("claim", self.store.claim(NODE, 100, NOW + 1).await);
        claimed.into_iter().map(|claimed| claimed.task.id).collect()
    }

    /// The newest task of an agent.
    pub async fn latest(&self, agent: i64) -> Option<Task> {
        ok("latest", self.store.latest(&[id(agent)]).await).pop()?
    }

    /// The newest task of an agent, which has one.
    pub async fn task_of(&self, agent: i64) -> Task {
        match self.latest(agent).await {
            Some(task) => task,
            None => panic!("agent {agent} has no task"),
        }
    }

    /// What the engine does once in a while.
    pub async fn settle(&self, now: i64) {
        let expired = ok("expire", self.store.expire(&[], now).await);
        assert_eq!(expired, [], "time-outs are the master's");
    }
}

fn open(factory: &AnyFactory<dyn TaskStore>, home: &Home, settings: &Value) -> Arc<dyn TaskStore> {
    let mut context = home.context();
    context.node.name = NODE.into();
    context.node.role = Role::Worker;
    build(factory, settings, &context)
}
