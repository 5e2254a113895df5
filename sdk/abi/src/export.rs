//! A plugin's side: publishing a plugin, and talking to the host. Authors use
//! `wpk-plugin`, which stands on this.
//!
//! Unsafe, because pointers of the host are followed here. What is offered is
//! safe: a [`HostPointer`] can only be made by the host that calls the entry.
#![allow(unsafe_code)]

use std::mem::offset_of;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use crate::bytes::{BACK, GIVEN, give};
use crate::codes::status;
use crate::tables::{Buffer, Header, Host, Plugin, Slice};
use crate::{MAJOR, MINOR};

/// What the host passes to the entry function.
#[repr(transparent)]
#[derive(Debug, Clone, Copy)]
pub struct HostPointer(*const Host);

/// What a plugin does when the host calls it. Called from any thread, several
/// at once. What panics inside is caught: the operation ends as
/// [`status::PANICKED`].
pub trait PluginCalls: Send + Sync + 'static {
    /// Begins an operation; it is completed through [`HostView::complete`].
    fn call(&self, instance: u64, operation: u32, json: &[u8], body: &[u8], token: u64);
    /// Asks for the next bytes of a stream.
    fn next(&self, stream: u64, max_bytes: u64, token: u64);
    /// Takes an operation back.
    fn cancel(&self, token: u64);
    /// The host is done with a stream.
    fn close_stream(&self, stream: u64);
    /// The host is done with an instance.
    fn close(&self, instance: u64);
    /// The host answers a request.
    fn answer(&self, token: u64, status: i32, body: &[u8]);
}

/// What the entry publishes.
pub struct Export {
    /// JSON, as in the header.
    pub description: Vec<u8>,
    /// What it cannot do without ([`crate::codes::feature`]).
    pub features: u64,
    /// What it does.
    pub calls: Box<dyn PluginCalls>,
}

#[repr(C)]
struct Exported {
    table: Plugin,
    host: HostView,
    export: Export,
}

/// The body of the entry function: `make` gets the host and returns the plugin,
/// or nothing after it has logged why. Null if the host is none this crate knows.
pub fn enter(host: HostPointer, make: impl FnOnce(HostView) -> Option<Export>) -> *const Plugin {
    let made = catch_unwind(AssertUnwindSafe(|| {
        let host = HostView::new(host)?;
        let export = make(host)?;
        let exported: &'static mut Exported = Box::leak(Box::new(Exported {
            table: Plugin {
                header: Header {
                    size: size_of::<Plugin>() as u32,
                    major: MAJOR,
                    minor: MINOR,
                    features: export.features,
                },
                description: Slice::of(&[]),
                call: Some(call),
                next: Some(next),
                cancel: Some(cancel),
                close_stream: Some(close_stream),
                close: Some(close),
                answer: Some(answer),
            },
            host,
            export,
        }));
        exported.table.description = Slice::of(&exported.export.description);
        Some((&raw const *exported).cast::<Plugin>())
    }));
    made.ok().flatten().unwrap_or(std::ptr::null())
}

/// # Safety
/// `plugin` is null or a pointer returned by [`enter`].
unsafe fn exported<'a>(plugin: *const Plugin) -> Option<&'a Exported> {
    // SAFETY: the table is the first field of what was leaked, and the pointer
    // was made from the whole.
    unsafe { plugin.cast::<Exported>().as_ref() }
}

/// Runs one call of the host; a panic completes `token`, if there is one.
///
/// # Safety
/// As [`exported`].
unsafe fn guarded(plugin: *const Plugin, token: Option<u64>, work: impl FnOnce(&dyn PluginCalls)) {
    // SAFETY: passed on.
    let Some(exported) = (unsafe { exported(plugin) }) else {
        return;
    };
    let calls = &*exported.export.calls;
    if catch_unwind(AssertUnwindSafe(|| work(calls))).is_err()
        && let Some(token) = token
    {
        let message = br#"{"message":"the plugin panicked","causes":[]}"#;
        exported
            .host
            .complete(token, status::PANICKED, 0, message.to_vec(), []);
    }
}

unsafe extern "C" fn call(
    plugin: *const Plugin,
    instance: u64,
    operation: u32,
    json: Slice,
    body: Slice,
    token: u64,
) {
    // SAFETY: the host passes the pointer it was given, and both slices live
    // until this returns.
    unsafe {
        let (json, body) = (json.read(usize::MAX), body.read(usize::MAX));
        guarded(plugin, Some(token), |calls| {
            let (json, body) = (json.unwrap_or_default(), body.unwrap_or_default());
            calls.call(instance, operation, json, body, token);
        });
    }
}

unsafe extern "C" fn next(plugin: *const Plugin, stream: u64, max_bytes: u64, token: u64) {
    // SAFETY: as in `call`.
    unsafe {
        guarded(plugin, Some(token), |calls| {
            calls.next(stream, max_bytes, token)
        })
    }
}

unsafe extern "C" fn cancel(plugin: *const Plugin, token: u64) {
    // SAFETY: as in `call`.
    unsafe { guarded(plugin, None, |calls| calls.cancel(token)) }
}

unsafe extern "C" fn close_stream(plugin: *const Plugin, stream: u64) {
    // SAFETY: as in `call`.
    unsafe { guarded(plugin, None, |calls| calls.close_stream(stream)) }
}

unsafe extern "C" fn close(plugin: *const Plugin, instance: u64) {
    // SAFETY: as in `call`.
    unsafe { guarded(plugin, None, |calls| calls.close(instance)) }
}

unsafe extern "C" fn answer(plugin: *const Plugin, token: u64, status: i32, body: Slice) {
    // SAFETY: as in `call`.
    unsafe {
        let body = body.read(usize::MAX).unwrap_or_default();
        guarded(plugin, None, |calls| calls.answer(token, status, body));
    }
}

/// The host as a plugin sees it. May be used from any thread at any time.
#[derive(Debug, Clone, Copy)]
pub struct HostView {
    raw: *const Host,
    table: Host,
}

// SAFETY: the host's functions may be called from any thread, and its table
// lives as long as the process.
unsafe impl Send for HostView {}
// SAFETY: as above.
unsafe impl Sync for HostView {}

impl HostView {
    fn new(host: HostPointer) -> Option<Self> {
        let raw = host.0;
        if raw.is_null() {
            return None;
        }
        // SAFETY: every table starts with a header.
        let header = unsafe { raw.cast::<Header>().read() };
        let needed = offset_of!(Host, log_enabled) + size_of::<usize>();
        if header.major != MAJOR || (header.size as usize) < needed {
            return None;
        }
        // SAFETY: the whole of version 1.0 lies inside `size`.
        let table = unsafe { raw.read() };
        table.complete?;
        Some(Self { raw, table })
    }

    /// Completes an operation; exactly once for every token the host gave.
    pub fn complete(
        &self,
        token: u64,
        status: i32,
        handle: u64,
        json: impl AsRef<[u8]> + Send + 'static,
        body: impl AsRef<[u8]> + Send + 'static,
    ) {
        let (json, body): (Buffer, Buffer) = (give(Box::new(json)), give(Box::new(body)));
        if let Some(complete) = self.table.complete {
            // SAFETY: the host's own pointer; both buffers are given away.
            unsafe { complete(self.raw, token, status, handle, json, body) }
        }
    }

    /// Hands a request to the engine; the answer comes to [`PluginCalls::answer`].
    pub fn request(&self, serve: u64, json: &[u8], payload: &[u8], token: u64) {
        if let Some(request) = self.table.request {
            let (json, payload) = (Slice::of(json), Slice::of(payload));
            // SAFETY: the host's own pointer; both slices live until this returns.
            unsafe { request(self.raw, serve, json, payload, token) }
        }
    }

    /// Writes a log line.
    pub fn log(&self, level: u32, message: &str) {
        if let Some(log) = self.table.log {
            // SAFETY: as in `request`.
            unsafe { log(self.raw, level, Slice::of(message.as_bytes())) }
        }
    }

    /// Whether a log line of this level would be written.
    pub fn log_enabled(&self, level: u32) -> bool {
        match self.table.log_enabled {
            // SAFETY: as in `request`.
            Some(log_enabled) => unsafe { log_enabled(self.raw, level) != 0 },
            None => false,
        }
    }
}

/// Buffers this library has given to the host, and those it got back.
pub fn buffers() -> (u64, u64) {
    (GIVEN.load(Ordering::SeqCst), BACK.load(Ordering::SeqCst))
}
