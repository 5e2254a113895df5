//! Requests that sources behind the border hand to the engine.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::warn;
use wpk_abi::codes::status;
use wpk_api::border::Envelope;
use wpk_api::{Request, RequestService};

/// Requests of one plugin that are open at the same time.
const MOST: usize = 1024;

/// The sources of one library that are being served, by the token of `serve`.
#[derive(Default)]
pub(crate) struct Serving(Mutex<HashMap<u64, Service>>);

#[derive(Clone)]
struct Service {
    engine: Arc<dyn RequestService>,
    runtime: Handle,
    slots: Arc<Semaphore>,
}

/// The way back to the plugin that a request came from.
pub(crate) trait Back: Sync {
    /// The plugin's name.
    fn name(&self) -> &str;
    /// Brings an answer; `sent` is dropped once the plugin has it.
    fn answer(&'static self, token: u64, status: i32, body: Bytes, sent: Option<Slot>);
    /// It did something wrong.
    fn broke_a_rule(&'static self, rule: &str);
}

/// One of the requests that may be open at the same time.
pub(crate) type Slot = OwnedSemaphorePermit;

impl Serving {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Service>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on requests of `serve` go to `engine`. Inside a tokio runtime.
    pub(crate) fn begin(&self, serve: u64, engine: Arc<dyn RequestService>) {
        let service = Service {
            engine,
            runtime: Handle::current(),
            slots: Arc::new(Semaphore::new(MOST)),
        };
        self.lock().insert(serve, service);
    }

    /// They do no longer.
    pub(crate) fn end(&self, serve: u64) {
        self.lock().remove(&serve);
    }

    /// Takes one request; its answer goes back in any case.
    pub(crate) fn take(
        &self,
        back: &'static dyn Back,
        serve: u64,
        json: &[u8],
        payload: &[u8],
        token: u64,
    ) {
        let refuse = || back.answer(token, status::UNAVAILABLE, Bytes::new(), None);
        let Some(service) = self.lock().get(&serve).cloned() else {
            return refuse();
        };
        let envelope: Envelope = match serde_json::from_slice(json) {
            Ok(envelope) => envelope,
            Err(error) => {
                back.broke_a_rule(&format!(
                    "a request with an envelope that is wrong: {error}"
                ));
                return refuse();
            }
        };
        let Ok(slot) = service.slots.try_acquire_owned() else {
            warn!(
                plugin = back.name(),
                "{MOST} requests are open; another one is refused"
            );
            return refuse();
        };
        let request = Request {
            endpoint: envelope.endpoint,
            peer: envelope.peer,
            payload: Bytes::copy_from_slice(payload),
        };
        let engine = service.engine;
        service.runtime.spawn(async move {
            let answer = engine.call(request).await;
            match answer {
                Some(answer) => back.answer(token, status::OK, answer, Some(slot)),
                None => back.answer(token, status::END, Bytes::new(), Some(slot)),
            }
        });
    }
}
