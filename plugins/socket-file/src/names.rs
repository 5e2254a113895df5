//! How the programs around a socket are called.

/// How the programs are called in what is logged and told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names {
    /// The program of ours.
    pub us: &'static str,
    /// Whose socket is taken over.
    pub them: &'static str,
}

impl Names {
    /// Beside a 4.x manager.
    pub const MANAGER: Self = Self {
        us: "wpkd",
        them: "the manager's own module",
    };
    /// Beside a 4.x agent.
    pub const AGENT: Self = Self {
        us: "wpk-agent",
        them: "the agent's own module",
    };
}
