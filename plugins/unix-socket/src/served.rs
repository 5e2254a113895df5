//! The sockets that a section serves on this node.

use std::path::PathBuf;

use wpk_api::Endpoint;

/// A socket that is served.
#[derive(Debug, Clone)]
pub(crate) struct Served {
    pub(crate) endpoint: Endpoint,
    pub(crate) path: PathBuf,
}

impl Served {
    /// Its key in the section.
    pub(crate) const fn key(&self) -> &'static str {
        match self.endpoint {
            Endpoint::Upgrade => "upgrade",
            Endpoint::Task => "task",
        }
    }

    /// What people call it.
    pub(crate) const fn name(&self) -> &'static str {
        match self.endpoint {
            Endpoint::Upgrade => "upgrade socket",
            Endpoint::Task => "task socket",
        }
    }
}
