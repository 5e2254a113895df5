//! A manager: the engine over the real store, killed by dropping all of it.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use wpk_api::settings::Span;
use wpk_api::{
    AgentId, CancellationToken, Endpoint, NodeInfo, Peer, Request, RequestService, Role,
    StoreError, TaskStore,
};
use wpk_config::{
    CacheSettings, DeliverySettings, LogSettings, Settings, TaskSettings, TelemetrySettings,
};
use wpk_plugin_sqlite::SqliteStore;
use wpk_runtime::{Clock, Components, Engine, EngineError};
use wpk_testkit::memory::{Carried, Gate, MemoryProvider, StoreAround, Waiting};

use crate::agents::{Agents, TARGET};

fn settings(home: &Path) -> Settings {
    Settings {
        home: home.to_owned(),
        dialect: wpk_api::Dialect::Documented,
        node: NodeInfo {
            name: "node01".into(),
            role: Role::Master,
            version: Some(TARGET),
        },
        sources: Vec::new(),
        directory: None,
        transport: None,
        providers: Vec::new(),
        store: None,
        observers: Vec::new(),
        cache: CacheSettings::default(),
        delivery: DeliverySettings::default(),
        tasks: TaskSettings {
            confirm_within: Span::seconds(60),
            ..TaskSettings::default()
        },
        log: LogSettings::default(),
        telemetry: TelemetrySettings::default(),
        releases: Vec::new(),
        plugins: Vec::new(),
        ossec: None,
    }
}

/// While the store works, time stands still: it is asked on threads of its own, of which a
/// runtime whose time is paused knows nothing.
struct StandStill;

#[async_trait]
impl Gate for StandStill {
    async fn pass(&self, _: &'static str) -> Result<(), StoreError> {
        Ok(())
    }

    async fn carry<T: Send>(&self, _: &'static str, call: Carried<'_, T>) -> Result<T, StoreError> {
        let (done, until_done) = std::sync::mpsc::channel::<()>();
        // Time does not pass while a thread of the runtime's own is at work.
        tokio::task::spawn_blocking(move || until_done.recv());
        let answer = call.await;
        drop(done);
        answer
    }
}

/// One that runs.
pub struct Manager {
    service: Arc<dyn RequestService>,
    pub store: Arc<dyn TaskStore>,
    _run: tokio::task::JoinHandle<Result<(), EngineError>>,
}

impl Manager {
    /// Opens the store of this home and begins. It ends with its runtime.
    pub fn start(home: &Path, agents: &Arc<Agents>, clock: Arc<dyn Clock>) -> Self {
        let store = SqliteStore::open(home.join("tasks.db")).expect("the store opens");
        let store = StoreAround {
            gate: StandStill,
            inside: Arc::new(store),
        };
        Self::over(home, Arc::new(store), agents, clock)
    }

    /// Over this store.
    pub fn over(
        home: &Path,
        store: Arc<dyn TaskStore>,
        agents: &Arc<Agents>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let provider = MemoryProvider::default();
        provider.publish(TARGET, vec![7; 2_000]);
        let parts = Components {
            sources: vec![Arc::new(Waiting)],
            directory: agents.directory.clone(),
            providers: vec![Arc::new(provider)],
            transport: agents.clone(),
            store: store.clone(),
            observers: Vec::new(),
        };
        let engine = Engine::with_clock(settings(home), parts, clock).unwrap();
        let service = engine.service();
        let run = tokio::spawn(engine.run(CancellationToken::new()));
        Self {
            service,
            store,
            _run: run,
        }
    }

    /// The items of an answer.
    pub async fn ask(&self, command: &str, parameters: Value) -> Vec<Value> {
        let request = json!({
            "origin": {"module": "api"}, "command": command, "parameters": parameters,
        });
        let request = Request {
            endpoint: Endpoint::Upgrade,
            peer: Peer::Local { uid: 0 },
            payload: request.to_string().into(),
        };
        let answer = self.service.call(request).await.expect("an answer");
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(answer["error"], 0, "{command}: {answer}");
        answer["data"].as_array().unwrap().clone()
    }

    /// Plans and applies.
    pub async fn apply(&self, definition: &str) {
        let planned = self
            .ask("rollout_plan", json!({"definition": definition}))
            .await;
        let digest = &planned[0]["digest"];
        let asked = json!({"definition": definition, "digest": digest});
        self.ask("rollout_apply", asked).await;
    }

    pub async fn status(&self, name: &str) -> Value {
        self.ask("rollout_status", json!({"name": name}))
            .await
            .remove(0)
    }

    /// An agent's word.
    pub async fn word(&self, agent: AgentId, error: i64, status: &str) {
        let word = json!({
            "agents": [agent], "error": error, "status": status, "message": "as it went",
        });
        self.ask("upgrade_update_status", word).await;
    }
}
