//! Why a task failed: the code whose text becomes the task's `error_msg`
//! (protocol.md, section 2, codes 9 and 14 to 26), and the cause for the log.

use std::fmt;

use wpk_api::ProviderError;
use wpk_wire::UpgradeCode;

/// A failure that ends a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Which step failed.
    pub(crate) code: UpgradeCode,
    /// What happened, for the log and the administrator.
    pub(crate) cause: String,
}

impl Failure {
    pub(crate) fn new(code: UpgradeCode, cause: impl Into<String>) -> Self {
        Self {
            code,
            cause: cause.into(),
        }
    }

    /// A failure on this machine (a full disk, a file that cannot be read, a
    /// signature that does not hold) before anything was sent.
    pub(crate) fn local(cause: impl Into<String>) -> Self {
        Self::new(UpgradeCode::Unknown, cause)
    }

    /// The task's `error_msg`. The documented failures have their documented
    /// text and nothing else; what protocol.md has no word for says its cause.
    pub(crate) fn error_msg(&self) -> String {
        match self.code {
            UpgradeCode::Unknown => format!("{}: {}", self.code.text(), self.cause),
            code => code.text().to_owned(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.code.text(), self.cause)
    }
}

impl From<ProviderError> for Failure {
    fn from(error: ProviderError) -> Self {
        let code = match &error {
            ProviderError::NoPackage(_) => UpgradeCode::PlatformNotAvailable,
            ProviderError::NotReachable(_) => UpgradeCode::RepositoryUnreachable,
            ProviderError::NotListed(_) => UpgradeCode::VersionNotInRepository,
            ProviderError::NoFile(_) => UpgradeCode::FileNotFound,
        };
        Self::new(code, error.to_string())
    }
}
