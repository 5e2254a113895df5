//! The daemon's side: publishing the host's functions, and looking at the table
//! of a plugin.
//!
//! Unsafe, because pointers and functions of a foreign library are followed
//! here. The one promise asked for is that of [`PluginView::enter`]: that the
//! symbol really is a plugin's entry.
#![allow(unsafe_code)]

use std::mem::offset_of;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::bytes::{BadBytes, BufferCount, Received};
use crate::codes::feature;
use crate::tables::{
    AnswerFn, Buffer, CallFn, EntryFn, Header, Host, NextFn, NumberFn, Plugin, Slice,
};
use crate::{MAJOR, MINOR};

/// The largest description, in bytes.
const MAX_DESCRIPTION: usize = 1 << 20;
/// No table of any version is larger, in bytes.
const MAX_TABLE: u32 = 4096;

/// What the host does when a plugin calls it. Called from any thread; what
/// panics inside is caught and lost, so it should not.
pub trait HostCalls: Send + Sync + 'static {
    /// A plugin completes an operation.
    fn complete(&self, token: u64, status: i32, handle: u64, json: Received, body: Received);
    /// A source hands over a request; what is borrowed ends with the call.
    fn request(
        &self,
        serve: u64,
        json: Result<&[u8], BadBytes>,
        payload: Result<&[u8], BadBytes>,
        token: u64,
    );
    /// A log line.
    fn log(&self, level: u32, message: Result<&[u8], BadBytes>);
    /// Whether a log line of this level would be written.
    fn log_enabled(&self, level: u32) -> bool;
    /// The largest request payload and log line that are read, in bytes.
    fn limits(&self) -> ReadLimits;
}

/// How much of a plugin's borrowed bytes is read at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// JSON, in bytes.
    pub json: usize,
    /// Payload of a request, in bytes.
    pub payload: usize,
    /// A log line, in bytes.
    pub log: usize,
}

#[repr(C)]
struct Published {
    table: Host,
    calls: Arc<dyn HostCalls>,
    count: Arc<BufferCount>,
}

/// A published table of host functions. It is never taken back: a plugin may
/// keep its pointer for as long as the process lives.
#[derive(Clone)]
pub struct HostTable {
    published: &'static Published,
}

impl HostTable {
    /// Publishes `calls` for one library.
    pub fn publish(calls: Arc<dyn HostCalls>) -> Self {
        let table = Host {
            header: Header {
                size: size_of::<Host>() as u32,
                major: MAJOR,
                minor: MINOR,
                features: feature::ALL,
            },
            complete: Some(complete),
            request: Some(request),
            log: Some(log),
            log_enabled: Some(log_enabled),
        };
        Self {
            published: Box::leak(Box::new(Published {
                table,
                calls,
                count: Arc::default(),
            })),
        }
    }

    /// The buffers of this library's plugins that came and went.
    pub fn buffers(&self) -> &BufferCount {
        &self.published.count
    }

    fn pointer(&self) -> *const Host {
        (&raw const *self.published).cast()
    }
}

/// # Safety
/// `host` is null or the pointer of a [`HostTable`].
unsafe fn published<'a>(host: *const Host) -> Option<&'a Published> {
    // SAFETY: the table is the first field of what was leaked, and the pointer
    // was made from the whole.
    unsafe { host.cast::<Published>().as_ref() }
}

unsafe extern "C" fn complete(
    host: *const Host,
    token: u64,
    status: i32,
    handle: u64,
    json: Buffer,
    body: Buffer,
) {
    // SAFETY: the header has the plugin pass the pointer it was given.
    let Some(host) = (unsafe { published(host) }) else {
        return;
    };
    // SAFETY: the header has the plugin give both away with this call.
    let (json, body) = unsafe {
        (
            Received::take(json, &host.count),
            Received::take(body, &host.count),
        )
    };
    let _ = catch_unwind(AssertUnwindSafe(|| {
        host.calls.complete(token, status, handle, json, body);
    }));
}

unsafe extern "C" fn request(
    host: *const Host,
    serve: u64,
    json: Slice,
    payload: Slice,
    token: u64,
) {
    // SAFETY: as in `complete`; both slices live until this returns.
    let Some(host) = (unsafe { published(host) }) else {
        return;
    };
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let limits = host.calls.limits();
        // SAFETY: the header has both live until this returns.
        let (json, payload) = unsafe { (json.read(limits.json), payload.read(limits.payload)) };
        host.calls.request(serve, json, payload, token);
    }));
}

unsafe extern "C" fn log(host: *const Host, level: u32, message: Slice) {
    // SAFETY: as in `complete`.
    let Some(host) = (unsafe { published(host) }) else {
        return;
    };
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the header has it live until this returns.
        let message = unsafe { message.read(host.calls.limits().log) };
        host.calls.log(level, message);
    }));
}

unsafe extern "C" fn log_enabled(host: *const Host, level: u32) -> i32 {
    // SAFETY: as in `complete`.
    let Some(host) = (unsafe { published(host) }) else {
        return 0;
    };
    catch_unwind(AssertUnwindSafe(|| host.calls.log_enabled(level))).map_or(0, i32::from)
}

/// Why a plugin's table is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The entry returned null.
    Declined,
    /// It speaks another major version.
    Major(u16),
    /// The table's size cannot be right.
    Size(u32),
    /// It needs features this host does not have (the bits).
    Features(u64),
    /// A function that must be there is null.
    Missing(&'static str),
    /// Its description cannot be read.
    Description(BadBytes),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Declined => {
                f.write_str("its entry function returned nothing; its log lines above may say why")
            }
            Self::Major(major) => write!(
                f,
                "it speaks version {major} of the plugin interface, this wpkd speaks {MAJOR}; rebuild it"
            ),
            Self::Size(size) => write!(
                f,
                "its table claims a size of {size} bytes, which cannot be right; rebuild it with this version's header"
            ),
            Self::Features(bits) => write!(
                f,
                "it needs features (bits {bits:#x}) that this wpkd does not have; use a newer wpkd"
            ),
            Self::Missing(function) => write!(f, "its function `{function}` is missing"),
            Self::Description(cause) => write!(f, "its description cannot be read: {cause}"),
        }
    }
}

impl std::error::Error for Refusal {}

/// A plugin as the host sees it. Every call runs foreign code and may block for
/// ever, so it belongs on a thread that may be lost.
#[derive(Clone, Copy)]
pub struct PluginView {
    raw: *const Plugin,
    header: Header,
    description: &'static [u8],
    call: CallFn,
    next: Option<NextFn>,
    cancel: NumberFn,
    close_stream: Option<NumberFn>,
    close: NumberFn,
    answer: Option<AnswerFn>,
}

// SAFETY: the header demands that every function may be called from any thread,
// and the table never changes.
unsafe impl Send for PluginView {}
// SAFETY: as above.
unsafe impl Sync for PluginView {}

impl PluginView {
    /// Calls the entry of a library and negotiates. Blocks as long as the
    /// library likes.
    ///
    /// # Safety
    /// `entry` is the [`ENTRY`](crate::ENTRY) of a plugin that obeys the header,
    /// in a library that is never unloaded.
    ///
    /// # Errors
    /// [`Refusal`] if the table is none this host can use.
    pub unsafe fn enter(entry: EntryFn, host: &HostTable) -> Result<Self, Refusal> {
        // SAFETY: promised by the caller.
        let raw = unsafe { entry(host.pointer()) };
        if raw.is_null() {
            return Err(Refusal::Declined);
        }
        // SAFETY: every table, of whatever version, starts with a header.
        let header = unsafe { raw.cast::<Header>().read() };
        if header.major != MAJOR {
            return Err(Refusal::Major(header.major));
        }
        let needed = offset_of!(Plugin, answer) as u32;
        if !(needed..=MAX_TABLE).contains(&header.size) {
            return Err(Refusal::Size(header.size));
        }
        if header.features & !feature::ALL != 0 {
            return Err(Refusal::Features(header.features & !feature::ALL));
        }
        let inside = |offset: usize, length: usize| offset + length <= header.size as usize;
        // SAFETY: each field is read only if it lies inside `size`.
        let table = unsafe {
            let mut table = Plugin {
                header,
                description: (&raw const (*raw).description).read(),
                call: (&raw const (*raw).call).read(),
                next: (&raw const (*raw).next).read(),
                cancel: (&raw const (*raw).cancel).read(),
                close_stream: (&raw const (*raw).close_stream).read(),
                close: (&raw const (*raw).close).read(),
                answer: None,
            };
            if inside(offset_of!(Plugin, answer), size_of::<Option<AnswerFn>>()) {
                table.answer = (&raw const (*raw).answer).read();
            }
            table
        };
        // SAFETY: the header has the description live as long as the table.
        let description = unsafe { table.description.read(MAX_DESCRIPTION) };
        Ok(Self {
            raw,
            header,
            description: description.map_err(Refusal::Description)?,
            call: table.call.ok_or(Refusal::Missing("call"))?,
            next: table.next,
            cancel: table.cancel.ok_or(Refusal::Missing("cancel"))?,
            close_stream: table.close_stream,
            close: table.close.ok_or(Refusal::Missing("close"))?,
            answer: table.answer,
        })
    }

    /// Its header.
    pub fn header(&self) -> Header {
        self.header
    }

    /// Its description, JSON.
    pub fn description(&self) -> &'static [u8] {
        self.description
    }

    /// Whether it can stream.
    pub fn streams(&self) -> bool {
        self.next.is_some() && self.close_stream.is_some()
    }

    /// Whether it can be a source.
    pub fn takes_answers(&self) -> bool {
        self.answer.is_some()
    }

    /// Begins an operation.
    pub fn call(&self, instance: u64, operation: u32, json: &[u8], body: &[u8], token: u64) {
        let (json, body) = (Slice::of(json), Slice::of(body));
        // SAFETY: promised at `enter`; both slices live until this returns.
        unsafe { (self.call)(self.raw, instance, operation, json, body, token) }
    }

    /// Asks for the next bytes of a stream. Nothing, if it has no streams.
    pub fn next(&self, stream: u64, max_bytes: u64, token: u64) {
        if let Some(next) = self.next {
            // SAFETY: promised at `enter`.
            unsafe { next(self.raw, stream, max_bytes, token) }
        }
    }

    /// Takes an operation back; it is completed all the same.
    pub fn cancel(&self, token: u64) {
        // SAFETY: promised at `enter`.
        unsafe { (self.cancel)(self.raw, token) }
    }

    /// The host is done with a stream.
    pub fn close_stream(&self, stream: u64) {
        if let Some(close_stream) = self.close_stream {
            // SAFETY: promised at `enter`.
            unsafe { close_stream(self.raw, stream) }
        }
    }

    /// The host is done with an instance.
    pub fn close(&self, instance: u64) {
        // SAFETY: promised at `enter`.
        unsafe { (self.close)(self.raw, instance) }
    }

    /// Answers a request.
    pub fn answer(&self, token: u64, status: i32, body: &[u8]) {
        if let Some(answer) = self.answer {
            // SAFETY: promised at `enter`; the slice lives until this returns.
            unsafe { answer(self.raw, token, status, Slice::of(body)) }
        }
    }
}
