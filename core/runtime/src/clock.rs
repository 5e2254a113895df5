//! The wall clock, in the unit of the task table.

use std::time::{SystemTime, UNIX_EPOCH};

use wpk_api::UnixTime;

/// Now, in seconds since 1970 UTC; 0 on a machine whose clock is before that.
pub(crate) fn now() -> UnixTime {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    UnixTime::try_from(since.as_secs()).unwrap_or(UnixTime::MAX)
}
