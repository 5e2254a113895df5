//! Time, as tasks and their stores state it.

/// Seconds since 1970-01-01 00:00:00 UTC.
pub type UnixTime = i64;
