//! What the host calls: every operation becomes a task on the plugin's own
//! runtime and is completed exactly once, whatever becomes of the task.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::FutureExt;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use wpk_abi::Operation;
use wpk_abi::codes::{feature, level, status};
use wpk_abi::export::{self, Export, HostPointer, PluginCalls};
use wpk_abi::tables::Plugin;

use crate::core::{Core, Running, lock};
use crate::exchange::{Answer, Question};
use crate::exports::Exports;
use crate::failure::Failure;

/// Threads of a plugin's runtime.
const THREADS: usize = 2;

/// The body of the entry function.
pub fn enter(
    host: HostPointer,
    make: impl FnOnce(Exports) -> Exports,
    name: &'static str,
    version: &'static str,
) -> *const Plugin {
    export::enter(host, |host| {
        crate::log::start(host);
        let exports = make(Exports::new());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name(name)
            .enable_all()
            .build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => {
                host.log(level::ERROR, &format!("the runtime cannot start: {error}"));
                return None;
            }
        };
        let description = match serde_json::to_vec(&exports.description(name, version)) {
            Ok(description) => description,
            Err(error) => {
                host.log(level::ERROR, &format!("it cannot be described: {error}"));
                return None;
            }
        };
        let core = Core {
            host,
            runtime,
            exports,
            instances: Mutex::default(),
            streams: Mutex::default(),
            running: Mutex::default(),
            requests: Mutex::default(),
            last: AtomicU64::new(0),
        };
        Some(Export {
            description,
            features: feature::ALL,
            calls: Box::new(Calls(Arc::new(core))),
        })
    })
}

impl Core {
    /// Runs `work` as the operation `token`. Work that ends in order gets the
    /// signal and is dropped only when it is cancelled again.
    fn run<W>(
        self: &Arc<Self>,
        token: u64,
        in_order: bool,
        work: impl FnOnce(Arc<Self>, CancellationToken) -> W,
    ) where
        W: Future<Output = Result<Answer, Failure>> + Send + 'static,
    {
        let running = Running::default();
        let Running { stop, abort } = running.clone();
        if !in_order {
            stop.cancel();
        }
        lock(&self.running).insert(token, running);
        let mut reply = Reply {
            core: self.clone(),
            token,
            done: false,
        };
        let work = AssertUnwindSafe(work(self.clone(), stop)).catch_unwind();
        self.runtime.spawn(async move {
            let ended = tokio::select! {
                biased;
                ended = work => ended,
                () = abort.cancelled() => {
                    return reply.fail(Failure::new(status::CANCELLED, "cancelled"));
                }
            };
            match ended {
                Ok(Ok(answer)) => reply.send(answer),
                Ok(Err(failure)) => reply.fail(failure),
                Err(panic) => reply.fail(Failure::new(
                    status::PANICKED,
                    format!("the plugin panicked: {}", said(&*panic)),
                )),
            }
        });
    }
}

/// What a panic said.
fn said(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

/// Completes one operation, at the latest when it is dropped.
struct Reply {
    core: Arc<Core>,
    token: u64,
    done: bool,
}

impl Reply {
    fn send(&mut self, answer: Answer) {
        let Answer {
            status,
            handle,
            json,
            body,
        } = answer;
        let json = if json.is_null() {
            Vec::new()
        } else {
            json.to_string().into_bytes()
        };
        self.complete(status, handle, json, body);
    }

    fn fail(&mut self, failure: Failure) {
        let json = serde_json::to_vec(&failure.words).unwrap_or_default();
        self.complete(failure.status, 0, json, Bytes::new());
    }

    fn complete(&mut self, status: i32, handle: u64, json: Vec<u8>, body: Bytes) {
        self.done = true;
        lock(&self.core.running).remove(&self.token);
        self.core
            .host
            .complete(self.token, status, handle, json, body);
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if !self.done {
            self.fail(Failure::new(status::FAILED, "the plugin gave it up"));
        }
    }
}

struct Calls(Arc<Core>);

impl PluginCalls for Calls {
    fn call(&self, instance: u64, operation: u32, json: &[u8], body: &[u8], token: u64) {
        let question = Question {
            instance,
            operation,
            token,
            json: if json.is_empty() {
                Ok(Value::Null)
            } else {
                serde_json::from_slice(json)
            },
            body: Bytes::copy_from_slice(body),
        };
        let in_order = operation == Operation::Serve.code();
        self.0.run(token, in_order, |core, stop| async move {
            core.answer(question, stop).await
        });
    }

    fn next(&self, stream: u64, max_bytes: u64, token: u64) {
        let open = lock(&self.0.streams).get(&stream).cloned();
        let max = usize::try_from(max_bytes).unwrap_or(usize::MAX);
        self.0.run(token, false, |core, _| async move {
            let open = open.ok_or_else(|| Failure::malformed("there is no such stream"))?;
            let mut open = open.lock().await;
            // A stream that panics once is not asked again.
            let pulled = AssertUnwindSafe(open.pull(max)).catch_unwind().await;
            match pulled {
                Ok(Ok(Some(bytes))) => Ok(Answer::bytes(bytes)),
                Ok(Ok(None)) => Ok(Answer::end()),
                Ok(Err(error)) => Err(error.into()),
                Err(panic) => {
                    lock(&core.streams).remove(&stream);
                    std::panic::resume_unwind(panic)
                }
            }
        });
    }

    fn cancel(&self, token: u64) {
        let running = lock(&self.0.running).get(&token).cloned();
        if let Some(Running { stop, abort }) = running {
            // What does not end in order is stopped from the start.
            if stop.is_cancelled() {
                abort.cancel();
            }
            stop.cancel();
        }
    }

    fn close_stream(&self, stream: u64) {
        let closed = lock(&self.0.streams).remove(&stream);
        // Here and now, so that it is gone when this returns.
        let _inside = self.0.runtime.enter();
        drop(closed);
    }

    fn close(&self, instance: u64) {
        let closed = lock(&self.0.instances).remove(&instance);
        let _inside = self.0.runtime.enter();
        drop(closed);
    }

    fn answer(&self, token: u64, status: i32, body: &[u8]) {
        let waiting = lock(&self.0.requests).remove(&token);
        if let Some(waiting) = waiting {
            let answer = (status == status::OK).then(|| Bytes::copy_from_slice(body));
            // Nobody may wait any more: a client that hung up.
            let _ = waiting.send(answer);
        }
    }
}
