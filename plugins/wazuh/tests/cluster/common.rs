//! A home, a master and a store, as every test here needs them.

use std::sync::Arc;

use serde_json::{Value, json};
use wpk_api::{
    AgentId, AgentInfo, Command, ConnectionStatus, Created, Factory, NewTask, Order, Platform,
    Role, Selector, Status, Task, TaskId, TaskStore, Transition, Wanted, WantedFile,
};
use wpk_plugin_wazuh::cluster;
use wpk_testkit::Home;
use wpk_testkit::cluster::{FakeCluster, TaskTable};

pub(crate) const NODE: &str = "worker1";
/// What the fake master shows for every time.
pub(crate) const NOW: i64 = 1_700_000_000;

pub(crate) fn id(id: i64) -> AgentId {
    AgentId::new(id).unwrap()
}

pub(crate) fn order(agent: i64) -> Order {
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

pub(crate) fn upgrade(agent: i64) -> NewTask {
    NewTask {
        agent: id(agent),
        node: NODE.into(),
        module: "upgrade_module".into(),
        command: Command::UpgradeCustom,
        created: NOW,
        order: Some(order(agent)),
        exclusive: true,
    }
}

pub(crate) fn to(select: Selector, status: Status, error_msg: Option<&str>) -> Transition {
    Transition {
        select,
        to: status,
        node: NODE.into(),
        error_msg: error_msg.map(str::to_owned),
        at: NOW + 60,
        by: wpk_api::Mover::Delivery,
        entry: None,
        confirmation: None,
    }
}

/// A worker node and its master.
pub(crate) struct Stand {
    pub(crate) home: Home,
    pub(crate) table: TaskTable,
    pub(crate) cluster: Option<FakeCluster>,
    pub(crate) store: Arc<dyn TaskStore>,
}

impl Stand {
    pub(crate) fn new(table: TaskTable) -> Self {
        let home = Home::new().unwrap();
        let mut stand = Self {
            store: store(&home, &json!({})),
            home,
            table,
            cluster: None,
        };
        stand.come_back();
        stand
    }

    pub(crate) fn cluster(&self) -> &FakeCluster {
        self.cluster.as_ref().unwrap()
    }

    /// The master goes away: nobody listens at the socket.
    pub(crate) fn go_away(&mut self) {
        self.cluster = None;
    }

    /// The master is there again.
    pub(crate) fn come_back(&mut self) {
        let table = self.table.clone();
        let socket = self.home.path("queue/cluster/c-internal.sock");
        let cluster = FakeCluster::start(socket, move |message| table.answer(message)).unwrap();
        self.cluster = Some(cluster);
    }

    /// The same node after its program was started again, as far as the store
    /// can tell.
    pub(crate) fn restart(&mut self) {
        self.store = store(&self.home, &json!({}));
    }

    pub(crate) async fn create(&self, agent: i64) -> TaskId {
        match self.store.create(vec![upgrade(agent)]).await.unwrap()[..] {
            [Created::Task(task)] => task,
            ref other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn claim(&self) -> Vec<TaskId> {
        let claimed = self.store.claim(NODE, 100, NOW + 1).await.unwrap();
        claimed.into_iter().map(|claimed| claimed.task.id).collect()
    }

    pub(crate) async fn latest(&self, agent: i64) -> Option<Task> {
        let mut latest = self.store.latest(&[id(agent)]).await.unwrap();
        latest.pop().unwrap()
    }

    /// What the engine does once in a while.
    pub(crate) async fn settle(&self, now: i64) {
        assert_eq!(self.store.expire(&[], now).await.unwrap(), []);
    }
}

pub(crate) fn store(home: &Home, settings: &Value) -> Arc<dyn TaskStore> {
    let mut context = home.context();
    context.node.name = NODE.into();
    context.node.role = Role::Worker;
    cluster().build(settings, &context).unwrap()
}
