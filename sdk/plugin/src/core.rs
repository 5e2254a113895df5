//! Everything a library knows while it is loaded: its plugins, their open streams,
//! the operations that run, the requests that wait for the engine. The calls of
//! the host and the plugins' operations meet here; nothing is done here.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use wpk_abi::export::HostView;
use wpk_api::{AgentDirectory, RequestSource, TaskObserver, TaskStore, Transport, WpkProvider};

use crate::exports::Exports;
use crate::streams::Pulled;

/// One plugin that was made from its settings.
#[derive(Clone)]
pub(crate) enum Instance {
    Source(Arc<dyn RequestSource>),
    Directory(Arc<dyn AgentDirectory>),
    Provider(Arc<dyn WpkProvider>),
    Transport(Arc<dyn Transport>),
    Store(Arc<dyn TaskStore>),
    Observer(Arc<dyn TaskObserver>),
}

/// One open stream. Locked while it is pulled.
pub(crate) type Stream = Arc<tokio::sync::Mutex<Pulled>>;

/// Everything a library knows.
pub(crate) struct Core {
    pub(crate) host: HostView,
    pub(crate) runtime: Runtime,
    pub(crate) exports: Exports,
    pub(crate) instances: Mutex<HashMap<u64, Instance>>,
    pub(crate) streams: Mutex<HashMap<u64, Stream>>,
    /// The signals of the operations that run.
    pub(crate) running: Mutex<HashMap<u64, Running>>,
    /// Requests of sources that wait for the engine's answer.
    pub(crate) requests: Mutex<HashMap<u64, oneshot::Sender<Option<Bytes>>>>,
    pub(crate) last: AtomicU64,
}

/// The signals of one operation.
#[derive(Clone, Default)]
pub(crate) struct Running {
    /// It is to end in order.
    pub(crate) stop: CancellationToken,
    /// It is to end at once.
    pub(crate) abort: CancellationToken,
}

impl Core {
    /// A number never used before for an instance, a stream or a request.
    pub(crate) fn number(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Locks for a moment; nothing here panics while it holds a lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
