//! Which contracts of stores there are.

/// The version of the contract of [`TaskStore`](crate::TaskStore). A store plugin states the one it was built
/// for.
pub const STORE_CONTRACT: u32 = 3;

/// The oldest contract whose stores are still opened: one built for an older contract
/// is refused when the settings are checked. A store of contract 2 is one daemon's,
/// and knows nothing of what "One store, several daemons" says.
pub const OLDEST_STORE_CONTRACT: u32 = 2;
