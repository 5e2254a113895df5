//! One life of the daemon: an engine over the real store, in a runtime of its own.
//! A kill drops that runtime with all that is in it, wherever it was; what is left
//! is the store's file, the cache's folder and the world.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use wpk_api::settings::Span;
use wpk_api::{
    CancellationToken, Dialect, NodeInfo, RequestService, RequestSource, Role, SourceError,
    TaskStore, Version,
};
use wpk_config::{CacheSettings, DeliverySettings, OnRestart, Settings, TaskSettings};
use wpk_plugin_sqlite::SqliteStore;
use wpk_runtime::{Components, Engine, EngineError};
use wpk_testkit::memory::StoreAround;

use crate::book::{Desk, close, look, remember};
use crate::channel::{Channel, Lie};
use crate::dice::Dice;
use crate::oracle::Fault;
use crate::requests::{self, Service, pass_on};
use crate::story::Until;
use crate::world::World;

/// The node's name.
pub const NODE: &str = "node01";
/// How long a stop in order may take.
const STOP_WITHIN: Duration = Duration::from_secs(60);

/// What is different from life to life.
#[derive(Debug, Clone)]
pub struct Life {
    pub lasts: Duration,
    pub killed: bool,
    pub on_restart: OnRestart,
    pub dialect: Dialect,
    pub slots: usize,
    pub attempts: u32,
    pub task_timeout: Duration,
    /// Calls of the store in a thousand that fail.
    pub trouble: u32,
    /// The last life: everything goes well, and it lasts until all is quiet.
    pub last: bool,
    pub lie: Lie,
}

impl Life {
    /// The nth life. The first is short and killed, the second stops in order: no
    /// story is without both.
    pub fn throw(nth: usize, dice: &mut Dice, lie: Lie) -> Self {
        let killed = dice.per_mille(600);
        Self {
            lasts: match dice.below(4) {
                _ if nth == 0 => dice.seconds(600, 1_800),
                0 => dice.seconds(1, 120),
                1 | 2 => dice.seconds(120, 3_600),
                _ => dice.seconds(3_600, 4 * 3_600),
            },
            killed: match nth {
                0 => true,
                1 => false,
                _ => killed,
            },
            on_restart: match dice.per_mille(300) {
                true => OnRestart::Cancel,
                false => OnRestart::Resume,
            },
            dialect: dice.pick(&[Dialect::Documented, Dialect::Wazuh4]),
            slots: dice.pick(&[1, 4, 8, 64]),
            attempts: dice.pick(&[1, 1, 2, 3]),
            task_timeout: dice.pick(&[300, 900].map(Duration::from_secs)),
            trouble: dice.pick(&[0, 0, 5, 50]),
            last: false,
            lie,
        }
    }

    /// The life at whose end everything is told.
    pub fn last(lie: Lie) -> Self {
        Self {
            lasts: Duration::from_secs(24 * 3_600),
            killed: false,
            on_restart: OnRestart::Resume,
            dialect: Dialect::Documented,
            slots: 32,
            attempts: 1,
            task_timeout: Duration::from_secs(900),
            trouble: 0,
            last: true,
            lie,
        }
    }

    fn settings(&self, home: &Path) -> Settings {
        Settings {
            home: home.to_owned(),
            dialect: self.dialect,
            node: NodeInfo {
                name: NODE.to_owned(),
                role: Role::Master,
                version: Some(Version::new(4, 14, 9)),
            },
            sources: Vec::new(),
            directory: None,
            transport: None,
            providers: Vec::new(),
            store: None,
            observers: Vec::new(),
            cache: CacheSettings::default(),
            delivery: DeliverySettings {
                max_concurrent: self.slots.into(),
                attempts: self.attempts,
                ..DeliverySettings::default()
            },
            tasks: TaskSettings {
                task_timeout: Span(self.task_timeout),
                on_restart: self.on_restart,
                ..TaskSettings::default()
            },
            plugins: Vec::new(),
            log: wpk_config::LogSettings::default(),
            telemetry: wpk_config::TelemetrySettings::default(),
            releases: Vec::new(),
            ossec: None,
        }
    }

    /// Lives it.
    pub fn run(&self, world: &Arc<World>, home: &Path, dice: &mut Dice, until: Until) {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .max_blocking_threads(1)
            .build()
            .unwrap();
        runtime.block_on(self.daemon(world, home, dice, until));
        // What was under way ends here, in the middle.
        drop(runtime);
    }

    async fn daemon(&self, world: &Arc<World>, home: &Path, dice: &mut Dice, until: Until) {
        world.daemon_starts();
        let store = SqliteStore::open(home.join("tasks.db")).expect("the store opens");
        let store: Arc<dyn TaskStore> = Arc::new(store);
        remember(world, &*store);
        {
            let now = world.time();
            let mut book = world.book();
            (book.since, book.task_timeout) = (now, self.task_timeout);
        }
        let (opens, opened) = oneshot::channel();
        let desk = Desk {
            world: world.clone(),
            store: store.clone(),
            dice: Mutex::new(Dice::of(dice.throw(), 1)),
            trouble: self.trouble,
            queue: tokio::sync::Mutex::new(()),
        };
        let parts = Components {
            sources: vec![Arc::new(Door(Mutex::new(Some(opens))))],
            directory: world.directory.clone(),
            providers: vec![world.provider.clone()],
            transport: Arc::new(Channel {
                world: world.clone(),
                lie: self.lie,
            }),
            store: Arc::new(StoreAround {
                gate: desk,
                inside: store.clone(),
            }),
            observers: Vec::new(),
        };
        let engine =
            Engine::with_clock(self.settings(home), parts, world.clone()).expect("an engine");
        let stop = CancellationToken::new();
        let run = tokio::spawn(engine.run(stop.clone()));
        let Ok(service) = opened.await else {
            did_not_start(run.await.expect("no crash"), self.trouble);
            return world.daemon_ends(Duration::from_secs(5));
        };
        let service = Service {
            world: world.clone(),
            calls: service,
        };
        let pump = tokio::spawn(agents_go_on(service.clone()));
        match self.last {
            true => requests::finale(&service, &*store).await,
            false => {
                let asking = requests::ask_around(service, Dice::of(dice.throw(), 2), until);
                // Whatever they are about when the life ends.
                let _ = tokio::time::timeout(self.lasts, asking).await;
            }
        }
        assert!(
            !run.is_finished(),
            "the daemon ended by itself: {:?}",
            run.await
        );
        if !self.killed {
            self.stops(world, &stop, run).await;
        }
        assert!(!pump.is_finished(), "the agents go on");
        look(world, &*store);
        if self.last {
            close(world, &*store);
        }
        let away = dice.pick(&[0, 1, 30, 600]);
        world.daemon_ends(Duration::from_secs(away));
    }

    async fn stops(
        &self,
        world: &World,
        stop: &CancellationToken,
        run: JoinHandle<Result<(), EngineError>>,
    ) {
        stop.cancel();
        match tokio::time::timeout(STOP_WITHIN, run).await {
            Ok(ended) => ended.expect("no crash").expect("an end in order"),
            Err(_) => world
                .book()
                .fault(Fault::Stuck, "the daemon does not stop".to_owned()),
        }
    }
}

/// Only a store that gives no answer keeps a daemon from starting.
fn did_not_start(ended: Result<(), EngineError>, trouble: u32) {
    let excused = matches!(ended, Err(EngineError::Recovery(_))) && trouble > 0;
    assert!(excused, "the daemon did not start: {ended:?}");
}

/// Agents do what is due, and their words are passed on.
async fn agents_go_on(service: Service) {
    loop {
        for word in service.world.goes_on() {
            tokio::spawn(pass_on(service.clone(), word));
        }
        let next = service.world.next().unwrap_or(Duration::from_secs(3_600));
        tokio::select! {
            biased;
            () = tokio::time::sleep(next) => {}
            () = service.world.news.notified() => {}
        }
    }
}

/// The source of requests: it opens when the engine serves.
struct Door(Mutex<Option<oneshot::Sender<Arc<dyn RequestService>>>>);

#[async_trait]
impl RequestSource for Door {
    async fn serve(
        &self,
        service: Arc<dyn RequestService>,
        stop: CancellationToken,
    ) -> Result<(), SourceError> {
        let opens = self.0.lock().unwrap().take();
        opens.map(|opens| opens.send(service));
        stop.cancelled().await;
        Ok(())
    }
}
