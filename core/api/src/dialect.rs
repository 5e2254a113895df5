//! Which of two manners of speaking the software uses (PROTOCOL.md, section 12).
//!
//! The dialect changes texts, times, the default target and whether `origin`
//! and `file_path` are asked for. It never changes a safety rule.

use serde::{Deserialize, Serialize};

/// The manner of speaking on the two sockets; `documented` unless set otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Dialect {
    /// As the published documentation has it: the **doc** column.
    #[default]
    #[serde(rename = "documented")]
    Documented,
    /// As a running 4.14 manager does it: the **4.x** column.
    #[serde(rename = "wazuh-4")]
    Wazuh4,
}

impl Dialect {
    /// The name used in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Documented => "documented",
            Self::Wazuh4 => "wazuh-4",
        }
    }
}

impl std::fmt::Display for Dialect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
