//! The exit statuses that are more than well or not.

/// After wrong settings, as `wpkd`'s: another start goes no better.
pub(super) const WRONG_SETTINGS: u8 = 2;

/// Of `status`: it does not run, as LSB has it.
pub(super) const NOT_RUNNING: u8 = 3;
