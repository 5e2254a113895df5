//! An engine with everything it needs, in memory.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use wpk_api::{
    AgentId, CancellationToken, Endpoint, NodeInfo, Peer, Request, RequestService, Role, Status,
    StoreError, Task, TaskId, TaskStore, TimelineEntry, Version,
};
use wpk_config::{
    CacheSettings, DeliverySettings, LogSettings, Settings, TaskSettings, TelemetrySettings,
};
use wpk_runtime::{Clock, Components, Control, Engine, EngineError, NamedObserver, TimerClock};
use wpk_testkit::memory::{
    Carried, Gate, Lossy, MemoryDirectory, MemoryObserver, MemoryProvider, MemoryStore,
    MemoryTransport, Say, StoreAround, Waiting, agent,
};

/// The newest release.
pub const NEWEST: Version = Version::new(4, 14, 9);
/// The manager's version.
pub const MANAGER: Version = Version::new(4, 14, 9);
/// Where the stories begin.
pub const EPOCH: i64 = 1_700_000_000;
/// Long enough for everything but what never comes; costs nothing.
const PATIENCE: Duration = Duration::from_secs(6 * 3_600);

pub fn id(id: u32) -> AgentId {
    AgentId::new(id.into()).unwrap()
}

/// What the store says instead of doing it: for each operation an error, and how
/// often.
#[derive(Default)]
pub struct Faults(
    Mutex<Vec<(&'static str, usize, StoreError)>>,
    /// What is lost on the wire.
    pub Lossy,
);

impl Faults {
    pub fn add(&self, operation: &'static str, times: usize, error: StoreError) {
        self.0.lock().unwrap().push((operation, times, error));
    }
}

#[async_trait::async_trait]
impl Gate for Faults {
    async fn pass(&self, operation: &'static str) -> Result<(), StoreError> {
        let mut faults = self.0.lock().unwrap();
        let due =
            |fault: &&mut (&'static str, usize, StoreError)| fault.0 == operation && fault.1 > 0;
        match faults.iter_mut().find(due) {
            Some((_, times, error)) => {
                *times -= 1;
                Err(error.clone())
            }
            None => Ok(()),
        }
    }

    async fn carry<T: Send>(
        &self,
        operation: &'static str,
        call: Carried<'_, T>,
    ) -> Result<T, StoreError> {
        self.1.carry(operation, call).await
    }
}

/// A clock that a test sets.
pub struct SetClock {
    timer: TimerClock,
    step: Mutex<i64>,
}

impl Clock for SetClock {
    fn now(&self) -> i64 {
        self.timer.now() + *self.step.lock().unwrap()
    }
}

/// A running engine.
pub struct Stand {
    parts: Parts,
    service: Arc<dyn RequestService>,
    /// What changes it while it runs.
    pub control: Control,
    stop: CancellationToken,
    run: JoinHandle<Result<(), EngineError>>,
}

impl std::ops::Deref for Stand {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

/// What an embedded manager has by default, and one slot.
pub fn settings(home: &TempDir) -> Settings {
    Settings {
        home: home.path().to_owned(),
        dialect: wpk_api::Dialect::Documented,
        node: NodeInfo {
            name: "node01".into(),
            role: Role::Master,
            version: Some(MANAGER),
        },
        sources: Vec::new(),
        directory: None,
        transport: None,
        providers: Vec::new(),
        store: None,
        observers: Vec::new(),
        cache: CacheSettings::default(),
        delivery: DeliverySettings::default(),
        tasks: TaskSettings::default(),
        log: LogSettings::default(),
        telemetry: TelemetrySettings::default(),
        releases: Vec::new(),
        plugins: Vec::new(),
        ossec: None,
    }
}

impl Stand {
    /// Agents 1 to 9 run v4.7.0, 10 runs v4.0.9 and takes plain-text commands.
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::over(MemoryTransport::default(), change).await
    }

    pub async fn over(transport: MemoryTransport, change: impl FnOnce(&mut Settings)) -> Self {
        Self::parts_over(transport, change).start().await
    }

    /// One whose observers are told.
    pub async fn watched_by(observers: Vec<Arc<MemoryObserver>>) -> Self {
        let mut parts = Self::parts_over(MemoryTransport::default(), |_| {});
        parts.observers = observers;
        parts.start().await
    }

    pub fn parts_over(transport: MemoryTransport, change: impl FnOnce(&mut Settings)) -> Parts {
        let home = Arc::new(TempDir::new().unwrap());
        let mut settings = settings(&home);
        change(&mut settings);
        let agents = (1..=9).map(|id| agent(id, "Wazuh v4.7.0"));
        let directory = MemoryDirectory::of(agents.chain([agent(10, "Wazuh v4.0.9")]));
        let provider = MemoryProvider::default();
        provider.publish(NEWEST, vec![7; 100_000]);
        let clock = SetClock {
            timer: TimerClock::starting_at(EPOCH),
            step: Mutex::new(0),
        };
        Parts {
            store: Arc::default(),
            faults: Arc::default(),
            transport: Arc::new(transport),
            provider: Arc::new(provider),
            directory: Arc::new(directory),
            observers: Vec::new(),
            settings,
            clock: Arc::new(clock),
            home,
        }
    }

    /// Puts the machine's clock forward or back.
    pub fn step_clock(&self, seconds: i64) {
        *self.clock.step.lock().unwrap() += seconds;
    }

    /// Tells the engine that somebody else may have answered meanwhile.
    pub fn was_away(&self) {
        self.service.was_away();
    }

    pub async fn call(&self, endpoint: Endpoint, peer: Peer, request: &Value) -> Value {
        let request = Request {
            endpoint,
            peer,
            payload: request.to_string().into(),
        };
        let answer = self.service.call(request).await.expect("an answer");
        serde_json::from_slice(&answer).unwrap()
    }

    /// A local client's request at the upgrade socket.
    pub async fn ask(&self, command: &str, parameters: Value) -> Value {
        let request = json!({
            "origin": {"module": "api"}, "command": command, "parameters": parameters,
        });
        let root = Peer::Local { uid: 0 };
        self.call(Endpoint::Upgrade, root, &request).await
    }

    /// A manager's request at the task socket.
    pub async fn ask_task(&self, node: &str, command: &str, parameters: Value) -> Value {
        let request = json!({
            "origin": {"name": node, "module": "upgrade_module"},
            "command": command, "parameters": parameters,
        });
        let root = Peer::Local { uid: 0 };
        self.call(Endpoint::Task, root, &request).await
    }

    /// The items of an answer.
    pub async fn items(&self, command: &str, parameters: Value) -> Vec<Value> {
        let answer = self.ask(command, parameters).await;
        answer["data"].as_array().unwrap().clone()
    }

    /// Asks for the newest version; the answer's codes in order.
    pub async fn upgrade(&self, agents: &[u32]) -> Vec<i64> {
        self.codes(json!({"agents": agents})).await
    }

    pub async fn codes(&self, parameters: Value) -> Vec<i64> {
        let items = self.items("upgrade", parameters).await;
        items
            .iter()
            .map(|item| item["error"].as_i64().unwrap())
            .collect()
    }

    /// An agent's word, as it comes over a socket.
    pub async fn word(&self, agent: u32, error: i64, status: &str) -> i64 {
        let word = json!({
            "agents": [agent], "error": error, "status": status, "message": "as it went",
        });
        let items = self.items("upgrade_update_status", word).await;
        items[0]["error"].as_i64().unwrap()
    }

    /// An agent's word that names the task it is about.
    pub async fn word_about(&self, agent: u32, task: TaskId, error: i64, status: &str) -> i64 {
        let word = json!({
            "agents": [agent], "error": error, "status": status, "message": "as it went",
            "task_id": task,
        });
        let word = json!({"command": "upgrade_update_status", "parameters": word});
        let peer = Peer::Agent(id(agent));
        let answer = self.call(Endpoint::Upgrade, peer, &word).await;
        answer["data"][0]["error"].as_i64().unwrap()
    }

    /// The newest task of an agent.
    pub fn task(&self, agent: u32) -> Task {
        let found = self.store.tables().latest(&[id(agent)]).pop();
        found.flatten().expect("a task")
    }

    pub fn timeline(&self, agent: u32) -> Vec<TimelineEntry> {
        let task = self.task(agent).id;
        self.store.tables().timeline(task)
    }

    /// Waits until the newest task of an agent has this status.
    pub async fn until(&self, agent: u32, status: Status) -> Task {
        let shown = status.clone();
        let waits = async {
            while self.task(agent).status != status {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, waits).await.is_err() {
            panic!("agent {agent} is not {shown}: {:?}", self.task(agent));
        }
        self.task(agent)
    }

    /// Waits until an agent was asked `nth` times for a step.
    pub async fn came(&self, agent: u32, step: &str, nth: usize) {
        let came = self.transport.came(id(agent), step, nth);
        let came = tokio::time::timeout(PATIENCE, came).await;
        came.unwrap_or_else(|_| panic!("{step} of {agent}: {:?}", self.steps(agent)));
    }

    /// What an agent was asked for, repeated steps once.
    pub fn steps(&self, agent: u32) -> Vec<String> {
        let mut steps = self.transport.steps(id(agent));
        steps.dedup();
        steps
    }

    pub fn rule(&self, agent: u32, step: &'static str, say: Say) {
        self.transport.rule(id(agent), step, say, usize::MAX);
    }

    pub fn rule_times(&self, agent: u32, step: &'static str, say: Say, times: usize) {
        self.transport.rule(id(agent), step, say, times);
    }

    /// A stand on which agent 1 runs its installer.
    pub async fn installing() -> Self {
        let stand = Self::new().await;
        stand.upgrade(&[1]).await;
        stand.delivered(1).await;
        stand
    }

    /// The agent was told to run the installer, and the delivery is over.
    pub async fn delivered(&self, agent: u32) {
        self.came(agent, "upgrade", 1).await;
        let begun = self.transport.begun(id(agent));
        assert_eq!(begun, 1, "an installer is begun once");
        // The delivery writes down that it is over.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }

    /// Stops the engine in order.
    pub async fn stop(self) -> Parts {
        self.stop.cancel();
        self.run.await.unwrap().unwrap();
        self.parts
    }

    /// Waits for the end of an engine that was not told to stop.
    pub async fn ended(self) -> Result<(), EngineError> {
        let ended = tokio::time::timeout(PATIENCE, self.run).await;
        ended.expect("the engine ends").unwrap()
    }

    /// Ends the engine in the middle of whatever it does.
    pub async fn kill(self) -> Parts {
        self.run.abort();
        let _ = self.run.await;
        self.parts
    }
}

/// What outlives an engine.
pub struct Parts {
    pub store: Arc<MemoryStore>,
    pub faults: Arc<Faults>,
    pub transport: Arc<MemoryTransport>,
    pub provider: Arc<MemoryProvider>,
    pub directory: Arc<MemoryDirectory>,
    pub observers: Vec<Arc<MemoryObserver>>,
    pub settings: Settings,
    pub clock: Arc<SetClock>,
    pub home: Arc<TempDir>,
}

impl Parts {
    /// Starts an engine over them.
    pub async fn start(self) -> Stand {
        self.start_after(None).await
    }

    /// The same, after a run that ended with this crash.
    pub async fn start_after(self, crash: Option<&str>) -> Stand {
        let store: Arc<dyn TaskStore> = Arc::new(StoreAround {
            gate: self.faults.clone(),
            inside: self.store.clone(),
        });
        let components = Components {
            sources: vec![Arc::new(Waiting)],
            directory: self.directory.clone(),
            providers: vec![self.provider.clone()],
            transport: self.transport.clone(),
            store,
            observers: (self.observers.iter().enumerate())
                .map(|(n, observer)| NamedObserver {
                    name: format!("observer-{n}"),
                    observer: observer.clone(),
                })
                .collect(),
        };
        let mut engine =
            Engine::with_clock(self.settings.clone(), components, self.clock.clone()).unwrap();
        if let Some(report) = crash {
            engine = engine.after_crash(report);
        }
        let (service, stop) = (engine.service(), CancellationToken::new());
        let control = engine.control();
        self.transport.goes_with(&stop);
        let run = tokio::spawn(engine.run(stop.clone()));
        // It recovers before it serves.
        tokio::time::sleep(Duration::from_millis(10)).await;
        Stand {
            parts: self,
            service,
            control,
            stop,
            run,
        }
    }
}
