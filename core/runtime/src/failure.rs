//! Why a task failed: the code whose text becomes the task's `error_msg`
//! (PROTOCOL.md, section 2, codes 9 and 14 to 26), and the cause for the log.

use std::fmt;

use wpk_api::words::{LONGEST_CAUSE, clean};
use wpk_api::{Cause, ProviderError, Sha256, TimelineEntry, TimelineStep, UnixTime, Version};
use wpk_wire::UpgradeCode;

/// In every cause of a file that its release is not pinned to.
const NOT_LISTED: &str = "is not a file that is listed of release";
/// Failures of this manager that are about no file: the next try would meet them, too.
const OF_NO_FILE: [&str; 2] = [Failure::CRASHED, Failure::UNREADABLE];

/// A failure that ends a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Which step failed.
    pub(crate) code: UpgradeCode,
    /// What happened, for the log and the administrator.
    pub(crate) cause: String,
}

impl Failure {
    /// A failure; the words are mostly those of somebody else, and are made fit for
    /// log, store and answers here.
    pub(crate) fn new(code: UpgradeCode, cause: impl Into<String>) -> Self {
        Self {
            code,
            cause: clean(&cause.into(), LONGEST_CAUSE),
        }
    }

    /// A failure on this machine (a full disk, a file that cannot be read, a
    /// signature that does not hold) before anything was sent.
    pub(crate) fn local(cause: impl Into<String>) -> Self {
        Self::new(UpgradeCode::Unknown, cause)
    }

    /// With what the cause begins where the daemon crashed in a delivery.
    pub(crate) const CRASHED: &str = "the daemon crashed twice during this delivery";
    /// With what the cause begins where a task's order means nothing here.
    pub(crate) const UNREADABLE: &str = "what was stored with the task cannot be read";

    /// A file that its release is not pinned to.
    pub(crate) fn not_listed(file: &str, version: Version, found: Sha256, whose: &str) -> Self {
        Self::local(format!(
            "{file} {NOT_LISTED} {version}: its SHA-256 is {found}, which `sha256` of [[release]] \
             in {whose} does not have; put the listed file into the repository, or correct `sha256`"
        ))
    }

    /// Whether it is one of [`not_listed`](Self::not_listed).
    pub(crate) fn is_not_listed(&self) -> bool {
        self.code == UpgradeCode::Unknown && self.cause.contains(NOT_LISTED)
    }

    /// Whether a task that ended with this `error_msg` before its installer was begun did so
    /// for want of its file: the repository's or this manager's failure, not the agent's.
    pub(crate) fn is_of_source(error_msg: &str) -> bool {
        let documented = [
            UpgradeCode::RepositoryUnreachable,
            UpgradeCode::VersionNotInRepository,
            UpgradeCode::FileNotFound,
            UpgradeCode::Sha1Mismatch,
        ];
        let own = error_msg.strip_prefix(UpgradeCode::Unknown.text());
        documented.iter().any(|code| code.text() == error_msg)
            || own
                .and_then(|own| own.strip_prefix(": "))
                .is_some_and(|cause| !OF_NO_FILE.iter().any(|other| cause.starts_with(other)))
    }

    /// The task's `error_msg`. The documented failures have their documented
    /// text and nothing else; what PROTOCOL.md has no word for says its cause.
    pub(crate) fn error_msg(&self) -> String {
        match self.code {
            UpgradeCode::Unknown => format!("{}: {}", self.code.text(), self.cause),
            code => code.text().to_owned(),
        }
    }
}

impl Failure {
    /// The same for the task's timeline.
    pub(crate) fn entry(&self, at: UnixTime) -> TimelineEntry {
        let cause = Cause::new(self.code.code().into(), &self.cause, self.advice());
        TimelineEntry::new(at, self.step()).failed(cause)
    }

    /// The step that fails with this code.
    const fn step(&self) -> TimelineStep {
        use UpgradeCode as Code;
        match self.code {
            Code::PlatformNotAvailable
            | Code::RepositoryUnreachable
            | Code::VersionNotInRepository => TimelineStep::Resolve,
            Code::FileNotFound | Code::Sha1Mismatch => TimelineStep::Download,
            Code::SendLockRestart => TimelineStep::LockRestart,
            Code::SendOpen => TimelineStep::Open,
            Code::SendWrite => TimelineStep::Write,
            Code::SendClose => TimelineStep::Close,
            Code::SendSha1 => TimelineStep::Sha1,
            Code::SendUpgrade => TimelineStep::Upgrade,
            Code::UpgradeFailed | Code::MissingDependency => TimelineStep::Report,
            _ => TimelineStep::Other,
        }
    }

    /// What to do about it.
    const fn advice(&self) -> &'static str {
        use UpgradeCode as Code;
        match self.code {
            Code::PlatformNotAvailable => "name a package_type, or another repository",
            Code::RepositoryUnreachable => "check the repository's address, `wpkctl doctor`",
            Code::VersionNotInRepository => "ask for a version that is in the list `versions`",
            Code::FileNotFound => "check the file, its rights and the repository",
            Code::Sha1Mismatch => "mirror the file again, or correct the list `versions`",
            Code::SendLockRestart
            | Code::SendOpen
            | Code::SendWrite
            | Code::SendClose
            | Code::SendSha1 => "look into the agent's log, then ask again",
            Code::SendUpgrade => "look at the agent's words; its log may say more",
            Code::UpgradeFailed | Code::MissingDependency => {
                "look into the installer's log at the agent"
            }
            _ => "",
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

#[cfg(test)]
mod tests {
    use super::*;
    use wpk_api::words::steers;

    #[test]
    fn the_words_of_others_are_fit_for_every_place_they_reach() {
        let evil = format!(
            "\u{1b}[2Jno\r\nERROR all is lost\u{202e}{}",
            "x".repeat(100_000)
        );
        for failure in [
            Failure::local(evil.clone()),
            Failure::new(UpgradeCode::SendUpgrade, evil.clone()),
            ProviderError::NoFile(evil).into(),
        ] {
            for text in [failure.to_string(), failure.error_msg(), failure.cause] {
                assert!(text.len() < 2 * LONGEST_CAUSE, "{} bytes", text.len());
                assert!(!text.contains(steers), "{text:?}");
            }
        }
    }
}
