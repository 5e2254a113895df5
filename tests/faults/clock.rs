//! The machine's clock is set. In process, because a test must not set the clock of
//! the machine it runs on: the engine is handed one of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde_json::json;
use wpk_api::{
    AgentId, CancellationToken, Endpoint, NodeInfo, Peer, Request, RequestService, Role, Version,
};
use wpk_config::{CacheSettings, DeliverySettings, Settings, TaskSettings};
use wpk_runtime::{Clock, Components, Engine, TimerClock};
use wpk_testkit::memory::{
    MemoryDirectory, MemoryProvider, MemoryStore, MemoryTransport, Say, Waiting, agent,
};

use crate::table::{Check, check};

pub const CHECKS: &[Check] = &[
    check!(
        a_clock_put_forward_ends_nothing_early,
        "clock",
        "+1 h while a task waits and one awaits its word",
        "Pending and In progress after 10 min, Timeout after 20"
    ),
    check!(
        a_clock_put_back_blocks_no_agent,
        "clock",
        "-30 d while a task awaits its word",
        "In progress after 10 min, Timeout after 20"
    ),
];

struct Stepped {
    timer: TimerClock,
    step: AtomicI64,
}

impl Clock for Stepped {
    fn now(&self) -> i64 {
        self.timer.now() + self.step.load(Ordering::SeqCst)
    }
}

/// An engine with one slot: agent 1 runs its installer, agent 2 holds the slot,
/// agent 3 waits.
struct Stand {
    clock: Arc<Stepped>,
    store: Arc<MemoryStore>,
    transport: Arc<MemoryTransport>,
    service: Arc<dyn RequestService>,
    _home: tempfile::TempDir,
}

const NEWEST: Version = Version::new(4, 14, 9);

impl Stand {
    async fn new() -> Self {
        tokio::time::pause();
        let home = tempfile::tempdir().unwrap();
        let provider = MemoryProvider::default();
        provider.publish(NEWEST, vec![7; 10_000]);
        let transport = Arc::new(MemoryTransport::default());
        let (store, clock) = (
            Arc::new(MemoryStore::new()),
            Arc::new(Stepped {
                timer: TimerClock::starting_at(1_700_000_000),
                step: AtomicI64::new(0),
            }),
        );
        let agents = (1..=3).map(|id| agent(id, "Wazuh v4.7.0"));
        let parts = Components {
            sources: vec![Arc::new(Waiting)],
            directory: Arc::new(MemoryDirectory::of(agents)),
            providers: vec![Arc::new(provider)],
            transport: transport.clone(),
            store: store.clone(),
            observers: Vec::new(),
        };
        let engine = Engine::with_clock(settings(&home), parts, clock.clone()).unwrap();
        let service = engine.service();
        tokio::spawn(engine.run(CancellationToken::new()));
        let stand = Self {
            clock,
            store,
            transport,
            service,
            _home: home,
        };
        stand.upgrade(1).await;
        stand.came(1, "upgrade").await;
        stand.transport.rule(id(2), "write", Say::Hang, 1);
        stand.upgrade(2).await;
        stand.came(2, "write").await;
        stand.upgrade(3).await;
        // The task manager has looked at what there is.
        minutes(1).await;
        stand
    }

    async fn upgrade(&self, agent: u32) {
        let request = json!({"origin": {"module": "api"}, "command": "upgrade",
            "parameters": {"agents": [agent]}});
        let request = Request {
            endpoint: Endpoint::Upgrade,
            peer: Peer::Local { uid: 0 },
            payload: request.to_string().into(),
        };
        self.service.call(request).await.expect("an answer");
    }

    async fn came(&self, agent: u32, step: &str) {
        let came = self.transport.came(id(agent), step, 1);
        let came = tokio::time::timeout(Duration::from_secs(600), came).await;
        came.expect("the delivery goes on");
    }

    fn status(&self, agent: u32) -> String {
        let found = self.store.tables().latest(&[id(agent)]).pop();
        found.flatten().expect("a task").status.to_string()
    }

    fn step(&self, seconds: i64) {
        self.clock.step.fetch_add(seconds, Ordering::SeqCst);
    }
}

fn id(id: u32) -> AgentId {
    AgentId::new(id.into()).unwrap()
}

/// Those of an embedded manager, with one slot.
fn settings(home: &tempfile::TempDir) -> Settings {
    Settings {
        home: home.path().to_owned(),
        dialect: wpk_api::Dialect::Documented,
        node: NodeInfo {
            name: "node01".into(),
            role: Role::Master,
            version: Some(NEWEST),
        },
        sources: Vec::new(),
        directory: None,
        transport: None,
        providers: Vec::new(),
        store: None,
        observers: Vec::new(),
        cache: CacheSettings::default(),
        delivery: DeliverySettings {
            max_concurrent: 1.into(),
            ..DeliverySettings::default()
        },
        tasks: TaskSettings::default(),
        log: wpk_config::LogSettings::default(),
        telemetry: wpk_config::TelemetrySettings::default(),
        releases: Vec::new(),
        plugins: Vec::new(),
        ossec: None,
    }
}

async fn minutes(minutes: u64) {
    tokio::time::sleep(Duration::from_secs(minutes * 60)).await;
}

async fn a_clock_put_forward_ends_nothing_early() -> String {
    let stand = Stand::new().await;
    stand.step(3_600);
    minutes(10).await;
    let before = (stand.status(3), stand.status(1));
    minutes(10).await;
    assert_eq!(stand.status(3), before.0, "it still waits");
    format!(
        "{} and {} after 10 min, {} after 20",
        before.0,
        before.1,
        stand.status(1)
    )
}

async fn a_clock_put_back_blocks_no_agent() -> String {
    let stand = Stand::new().await;
    stand.step(-30 * 86_400);
    minutes(10).await;
    let before = stand.status(1);
    minutes(10).await;
    format!("{before} after 10 min, {} after 20", stand.status(1))
}
