//! What a plugin would meet if it were made now: what `wpkd check` says of the world
//! beside the mistakes in the settings. [`examine`](crate::examine) looks at far more
//! and takes longer; this is for what would stop the start.

use crate::settings::Problem;

/// What a plugin would meet if it were made now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outlook {
    /// What is good to know, a line each.
    pub notes: Vec<String>,
    /// What would stop the start, each with the key of the section that is concerned.
    pub problems: Vec<Problem>,
}
