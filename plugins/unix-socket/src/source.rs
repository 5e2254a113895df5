//! The source as the daemon sees it: made from settings, served once.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, Semaphore};
use tokio_util::task::TaskTracker;
use wpk_api::section;
use wpk_api::{
    BuildError, CancellationToken, Context, Endpoint, Factory, RequestService, RequestSource,
    SourceError,
};
use wpk_socket_file::{Names, SocketError, SocketFile, Wanted, group_id};

use crate::busy;
use crate::client::ServedSocket;
use crate::listener::{self, Listener};
use crate::memory::Memory;
use crate::settings::Settings;

/// How long requests that are being answered may go on after the stop signal.
const GRACE: Duration = Duration::from_secs(5);

/// `[[source]] type = "unix-socket"`.
pub fn plugin() -> impl Factory<dyn RequestSource> {
    section::plugin("unix-socket", UnixSocketSource::open)
}

/// The two sockets, bound and ready to serve. They are removed when this is
/// dropped or has been served to its end.
pub struct UnixSocketSource {
    /// Taken by `serve`, which is called once.
    sockets: Mutex<Vec<(Endpoint, SocketFile)>>,
    paths: Vec<PathBuf>,
    allow_uids: Option<Arc<[u32]>>,
    max_frame: usize,
    max_connections: usize,
    idle_timeout: Duration,
    memory: Arc<Memory>,
}

impl UnixSocketSource {
    /// Binds the sockets. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`BuildError::Failed`] if a path cannot be used; the text names it and
    /// says what to do.
    pub fn open(settings: Settings, context: &Context) -> Result<Self, BuildError> {
        let failed = |error: SocketError| BuildError::Failed(error.to_string());
        let group = settings.group.as_deref().map(group_id).transpose();
        let group = group.map_err(failed)?;
        let mut sockets = Vec::new();
        let mut paths = Vec::new();
        for served in settings.served(context) {
            let socket = SocketFile::open(Wanted {
                path: served.path.clone(),
                mode: settings.mode.0,
                group,
                take_over: settings.take_over,
                names: Names::MANAGER,
            })
            .map_err(failed)?;
            tracing::info!("{} {}", served.name(), socket.told());
            sockets.push((served.endpoint, socket));
            paths.push(served.path);
        }
        if settings.leaves_tasks_alone(context) {
            tracing::info!("task socket: not served on a worker, the task manager is the master's");
        }
        Ok(Self {
            sockets: Mutex::new(sockets),
            paths,
            allow_uids: settings.allow_uids.as_deref().map(Arc::from),
            max_frame: settings.max_frame.as_usize(),
            max_connections: settings.max_connections,
            idle_timeout: settings.idle_timeout.0,
            memory: Arc::new(Memory::new(settings.memory())),
        })
    }

    /// Where the sockets are: upgrade, then task, without those switched off.
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }
}

#[async_trait]
impl RequestSource for UnixSocketSource {
    async fn serve(
        &self,
        service: Arc<dyn RequestService>,
        stop: CancellationToken,
    ) -> Result<(), SourceError> {
        let sockets =
            std::mem::take(&mut *self.sockets.lock().unwrap_or_else(PoisonError::into_inner));
        if sockets.is_empty() {
            return Err(SourceError {
                source_name: "unix-socket".to_owned(),
                message: "is served already; a source can be served only once".to_owned(),
            });
        }
        // If one socket breaks, the other must end too: a source serves both or none.
        let asked_to_stop = stop;
        let stop = asked_to_stop.child_token();
        // Whoever drops this future stops accepting, too.
        let _stop_with_us = stop.clone().drop_guard();
        let tracker = TaskTracker::new();
        let threads = Arc::new(Semaphore::new(busy::THREADS));
        // Also where this future is dropped: a thread would go on.
        let over = CancellationToken::new();
        let _over = over.clone().drop_guard();
        let accept = |endpoint: Endpoint, file: SocketFile| {
            let socket = ServedSocket {
                endpoint,
                service: Arc::clone(&service),
                stop: stop.clone(),
                crowded: Notify::new(),
                memory: Arc::clone(&self.memory),
                threads: Arc::clone(&threads),
                over: over.clone(),
                max_frame: self.max_frame,
                idle_timeout: self.idle_timeout,
            };
            let listener = Arc::new(Listener {
                socket: Arc::new(socket),
                allow_uids: self.allow_uids.clone(),
                places: Arc::new(Semaphore::new(self.max_connections)),
                tracker: tracker.clone(),
                asked_to_stop: asked_to_stop.clone(),
            });
            let stop = stop.clone();
            tokio::spawn(async move {
                let _stop_the_other = stop.drop_guard();
                listener::run(listener, file).await
            })
        };
        let accepting: Vec<_> = sockets
            .into_iter()
            .map(|(endpoint, file)| accept(endpoint, file))
            .collect();
        let mut outcome = Ok(());
        for task in accepting {
            let ended = task.await.unwrap_or_else(|error| {
                Err(SourceError {
                    source_name: "unix-socket".to_owned(),
                    message: format!("accepting connections failed: {error}; restart the daemon"),
                })
            });
            outcome = outcome.and(ended);
        }
        tracker.close();
        if tokio::time::timeout(GRACE, tracker.wait()).await.is_err() {
            tracing::warn!(
                requests = tracker.len(),
                "requests are still being answered; not waiting for them any longer"
            );
        }
        outcome
    }
}
