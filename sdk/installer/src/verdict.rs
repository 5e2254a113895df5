//! How an upgrade ended, and the points on the way to it.

/// What is written to `var/upgrade/upgrade_result` (PROTOCOL.md, section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// `0`: the new version is in place and healthy.
    Installed,
    /// `1`: something that must be there is missing; nothing was changed.
    MissingDependency,
    /// `2`: it failed, and the old version is back.
    Failed,
}

impl Verdict {
    /// The digit of the result file.
    #[must_use]
    pub fn digit(self) -> char {
        match self {
            Self::Installed => '0',
            Self::MissingDependency => '1',
            Self::Failed => '2',
        }
    }

    pub(crate) fn from_digit(text: &str) -> Option<Self> {
        match text {
            "0" => Some(Self::Installed),
            "1" => Some(Self::MissingDependency),
            "2" => Some(Self::Failed),
            _ => None,
        }
    }
}

/// A point of the sequence that was just passed, for [`Installer::observe`].
///
/// [`Installer::observe`]: crate::Installer::observe
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// The lock is held.
    Locked,
    /// An unfinished upgrade was set aside.
    SetAside,
    /// The digit's file is prepared, not yet in its place.
    ResultPrepared,
    /// The journal is on disk: from here on a result is owed.
    Begun,
    /// An unfinished upgrade was undone or tidied up.
    PreviousEnded,
    /// What is required is there.
    Required,
    /// What will be changed is in the journal.
    Planned,
    /// A folder was made.
    FolderMade,
    /// A new file lies beside its target.
    Staged,
    /// An old file was backed up.
    BackedUp,
    /// All of them are; from here on targets change.
    Ready,
    /// The stop command ended.
    Stopped,
    /// A target was changed.
    Changed,
    /// The start command ended.
    Started,
    /// A health check was passed.
    Healthy,
    /// The verdict is in the journal.
    Decided,
    /// A target is as it was before.
    Restored,
    /// The old version is back as a whole.
    RolledBack,
    /// Backups and staged files are gone.
    Tidied,
    /// The result is in its place.
    Reported,
    /// The journal is gone; nothing is left to do.
    Ended,
}
