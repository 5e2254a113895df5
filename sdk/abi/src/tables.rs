//! The tables and the two views of bytes, laid out as in `include/wpk_plugin.h`.
//! A test compares every size and offset with what a C compiler makes of the
//! header. Fields are only ever appended.

use std::ffi::c_void;

/// The start of every table.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the whole table; a field is used only if it lies inside.
    pub size: u32,
    /// Major version; must be that of the entry symbol.
    pub major: u16,
    /// Minor version, for messages only.
    pub minor: u16,
    /// What the host offers, or what the plugin cannot do without ([`crate::codes::feature`]).
    pub features: u64,
}

/// Borrowed bytes, valid until the call they are passed to returns.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Slice {
    /// First byte; may be null if `length` is 0.
    pub data: *const u8,
    /// How many.
    pub length: usize,
}

/// Owned bytes. Whoever receives one calls `release` exactly once.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Buffer {
    /// First byte; may be null if `length` is 0.
    pub data: *const u8,
    /// How many.
    pub length: usize,
    /// Whatever `release` needs.
    pub owner: *mut c_void,
    /// Gives the bytes back; null if there is nothing to give back.
    pub release: Option<ReleaseFn>,
}

/// `wpk_buffer.release`.
pub type ReleaseFn = unsafe extern "C" fn(owner: *mut c_void, data: *const u8, length: usize);

/// What the host offers (`wpk_host`).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Host {
    /// Size, version, what is offered.
    pub header: Header,
    /// Completes an operation.
    pub complete: Option<
        unsafe extern "C" fn(
            host: *const Host,
            token: u64,
            status: i32,
            handle: u64,
            json: Buffer,
            body: Buffer,
        ),
    >,
    /// Hands a request to the engine.
    pub request: Option<
        unsafe extern "C" fn(
            host: *const Host,
            serve: u64,
            json: Slice,
            payload: Slice,
            token: u64,
        ),
    >,
    /// Writes a log line.
    pub log: Option<unsafe extern "C" fn(host: *const Host, level: u32, message: Slice)>,
    /// Whether a log line would be written: 1 or 0.
    pub log_enabled: Option<unsafe extern "C" fn(host: *const Host, level: u32) -> i32>,
}

/// `wpk_plugin.call`.
pub type CallFn = unsafe extern "C" fn(
    plugin: *const Plugin,
    instance: u64,
    operation: u32,
    json: Slice,
    body: Slice,
    token: u64,
);
/// `wpk_plugin.next`.
pub type NextFn =
    unsafe extern "C" fn(plugin: *const Plugin, stream: u64, max_bytes: u64, token: u64);
/// `wpk_plugin.cancel`, `close_stream` and `close`.
pub type NumberFn = unsafe extern "C" fn(plugin: *const Plugin, number: u64);
/// `wpk_plugin.answer`.
pub type AnswerFn =
    unsafe extern "C" fn(plugin: *const Plugin, token: u64, status: i32, body: Slice);

/// What a plugin offers (`wpk_plugin`).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Plugin {
    /// Size, version, what is needed.
    pub header: Header,
    /// What is inside, JSON; valid as long as the table.
    pub description: Slice,
    /// Begins an operation.
    pub call: Option<CallFn>,
    /// Asks for the next bytes of a stream; may be null in a plugin without streams.
    pub next: Option<NextFn>,
    /// Takes an operation back.
    pub cancel: Option<NumberFn>,
    /// The host is done with a stream; may be null in a plugin without streams.
    pub close_stream: Option<NumberFn>,
    /// The host is done with an instance.
    pub close: Option<NumberFn>,
    /// Answers a request; may be null in a plugin without sources.
    pub answer: Option<AnswerFn>,
}

/// `wpk_plugin_entry_v1`.
pub type EntryFn = unsafe extern "C" fn(host: *const Host) -> *const Plugin;
