//! What a library calls: the host's functions, each for the border of the
//! library that was given the table.

use std::sync::Arc;

use bytes::Bytes;
use wpk_abi::codes::status;
use wpk_abi::host::{HostCalls, HostTable, ReadLimits};
use wpk_abi::{BadBytes, Operation, Received};

use crate::border::Border;
use crate::failure::CallError;
use crate::handles::{Handle, InstanceHandle, StreamHandle};
use crate::logs;
use crate::operation::{Asked, Completed, MAX_BODY, MAX_JSON, Open, PIECE};

/// How the host's functions reach the border they belong to.
struct Calls(&'static Border);

/// The table for the entry of a border's library.
pub(crate) fn publish(border: &'static Border) -> HostTable {
    HostTable::publish(Arc::new(Calls(border)))
}

/// What a completion says, or why it makes no sense.
fn read(
    border: &'static Border,
    open: &Open,
    status: i32,
    handle: u64,
    json: &Received,
    body: &Received,
) -> Result<Completed, BadBytes> {
    let most = if open.what == Asked::Next {
        PIECE
    } else {
        MAX_BODY
    };
    let json = json.bytes(MAX_JSON)?.to_vec();
    let body = Bytes::copy_from_slice(body.bytes(most)?);
    let handle = match (&open.about, open.what) {
        (_, Asked::Operation(Operation::Open)) if status == status::OK => {
            Handle::Instance(InstanceHandle::new(border, handle))
        }
        (Handle::Instance(instance), Asked::Operation(Operation::Fetch))
            if status == status::OK =>
        {
            Handle::Stream(StreamHandle::new(instance.clone(), handle))
        }
        _ => Handle::None,
    };
    Ok(Completed {
        status,
        json,
        body,
        handle,
    })
}

impl HostCalls for Calls {
    fn complete(&self, token: u64, status: i32, handle: u64, json: Received, body: Received) {
        let border = self.0;
        let Some(open) = border.complete(token) else {
            return;
        };
        let read = read(border, &open, status, handle, &json, &body);
        // Given back before anybody goes on: whoever sees the end finds them gone.
        drop((json, body));
        match read {
            Ok(completed) => border.end(open, Ok(completed)),
            Err(bad) => {
                let what = open.what;
                border.isolate(&format!("`{what}` was completed with {bad}"));
                let error = CallError::Quarantined(border.reason());
                border.end(open, Err(error));
            }
        }
    }

    fn request(
        &self,
        serve: u64,
        json: Result<&[u8], BadBytes>,
        payload: Result<&[u8], BadBytes>,
        token: u64,
    ) {
        match (json, payload) {
            (Ok(json), Ok(payload)) => self.0.serving().take(self.0, serve, json, payload, token),
            (Err(bad), _) | (_, Err(bad)) => {
                self.0.isolate(&format!("a request came with {bad}"));
            }
        }
    }

    fn log(&self, level: u32, message: Result<&[u8], BadBytes>) {
        match message {
            Ok(line) => self.0.log(level, line),
            Err(bad) => self.0.broke_a_rule(&format!("a log line of {bad}")),
        }
    }

    fn log_enabled(&self, level: u32) -> bool {
        logs::is_enabled(level)
    }

    fn limits(&self) -> ReadLimits {
        ReadLimits {
            json: 64 << 10,
            payload: 64 << 20,
            log: 8 << 10,
        }
    }
}
