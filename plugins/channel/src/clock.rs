//! The time of this machine, as certificates and the registry state it.

use std::time::{SystemTime, UNIX_EPOCH};

use wpk_api::UnixTime;

/// Seconds since 1970 on this machine's clock.
pub(crate) fn now() -> UnixTime {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    // Beyond the year 2200 certificate dates could overflow; no clock is there.
    i64::try_from(seconds).unwrap_or(0).min(7_258_118_400)
}
