//! The numbers that stand for what went wrong, and their texts, which are
//! bytes of the wire: the upgrade socket's (section 2), the task socket's
//! (section 3) and the agent's (section 7).

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $number:literal $text:literal,)* })*) => {$(
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name {
            $(#[doc = $text] $(#[$doc])* $variant = $number,)*
        }

        impl $name {
            /// Every code, in the order of the numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The number on the wire.
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The text on the wire.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }

            /// The code with that number.
            pub const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.text())
            }
        }
    )*};
}

codes! {
    /// Codes of the upgrade socket, and of the `error_msg` of a failed task
    /// (section 2). 14 to 25 never answer a request.
    UpgradeCode {
        Success = 0 "Success",
        ParsingError = 1 "Could not parse message JSON",
        RequiredParameters = 2 "Required parameters in json message where not found",
        NotRecognized = 3 "JSON parameter not recognized",
        TaskManagerCommunication = 4 "Task manager communication error",
        /// On the wire the task manager's own text takes its place.
        TaskManagerFailure = 5 "Task manager failure",
        AgentNotFound = 6 "Agent information not found in database",
        ActionNotAvailable = 7 "Action not available for Manager (agent 000)",
        AgentNotActive = 8 "Agent is not active",
        PlatformNotAvailable = 9 "The WPK for this platform is not available",
        AlreadyUpgrading = 10 "Upgrade procedure could not start. Agent already upgrading",
        VersionNotAvailable = 11 "Remote upgrade is not available for this agent version",
        VersionNotGreater = 12 "Current agent version is greater or equal",
        AboveManager = 13 "Upgrading an agent to a version higher than the manager requires the force flag",
        RepositoryUnreachable = 14 "The repository is not reachable",
        VersionNotInRepository = 15 "The version of the WPK does not exist in the repository",
        FileNotFound = 16 "The WPK file does not exist",
        Sha1Mismatch = 17 "The WPK sha1 of the file is not valid",
        SendLockRestart = 18 "Send lock restart error",
        SendOpen = 19 "Send open file error",
        SendWrite = 20 "Send write file error",
        SendClose = 21 "Send close file error",
        SendSha1 = 22 "Send verify sha1 error",
        SendUpgrade = 23 "Send upgrade command error",
        UpgradeFailed = 24 "Upgrade procedure exited with error code",
        MissingDependency = 25 "Upgrade procedure exited with error code, missing dependency in agent",
        Unknown = 26 "Upgrade procedure could not start",
    }

    /// Codes of the task socket (section 3).
    TaskCode {
        Success = 0 "Success",
        InvalidMessage = 1 "Invalid message",
        InvalidCommand = 2 "Invalid command",
        NoTask = 3 "No task in DB",
        Database = 4 "Database error",
        DatabaseResponse = 5 "Parse DB response error",
        DatabaseRequest = 6 "Error in DB request",
        Unknown = 7 "Unknown error",
    }

    /// Codes of the agent's upgrade socket (section 7).
    AgentCode {
        Ok = 0 "ok",
        Disabled = 1 "Upgrade module is disabled or not ready yet",
        CommandNotFound = 2 "Command not found",
        ParametersNotFound = 3 "Required parameters were not found",
        FileMode = 4 "Unsupported file mode",
        FileName = 5 "Invalid file name",
        /// The reason follows on the wire.
        FileOpen = 6 "File Open Error: ",
        FileNotOpened = 7 "File not opened. Agent might have been auto-restarted during upgrade",
        NoFileOpened = 8 "No file opened",
        OtherFile = 9 "The target file doesn't match the opened file",
        Write = 10 "Cannot write file",
        Close = 11 "Cannot close file",
        Sha1 = 12 "Cannot generate SHA1",
        Signature = 13 "Could not verify signature",
        Uncompress = 14 "Could not uncompress package",
        CleanUp = 15 "Could not clean up upgrade directory",
        Unmerge = 16 "Error unmerging file",
        Chmod = 17 "Could not chmod",
        Execute = 18 "Error executing command",
        EraseResult = 19 "Could not erase upgrade_result file",
    }
}

/// A code as an answer has it. Which table it belongs to only the asked command
/// knows, and a peer may send numbers that no table has.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Code(u8);

impl Code {
    /// The number on the wire.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// 0, which is success in every table.
    pub const fn is_success(self) -> bool {
        self.0 == UpgradeCode::Success.code()
    }

    /// Its meaning on the upgrade socket.
    pub const fn upgrade(self) -> Option<UpgradeCode> {
        UpgradeCode::from_code(self.0)
    }

    /// Its meaning on the task socket, and in answers to `upgrade_result` and
    /// `upgrade_update_status` on the upgrade socket.
    pub const fn task(self) -> Option<TaskCode> {
        TaskCode::from_code(self.0)
    }
}

impl From<UpgradeCode> for Code {
    fn from(code: UpgradeCode) -> Self {
        Self(code.code())
    }
}

impl From<TaskCode> for Code {
    fn from(code: TaskCode) -> Self {
        Self(code.code())
    }
}

impl PartialEq<UpgradeCode> for Code {
    fn eq(&self, code: &UpgradeCode) -> bool {
        self.0 == code.code()
    }
}

impl PartialEq<TaskCode> for Code {
    fn eq(&self, code: &TaskCode) -> bool {
        self.0 == code.code()
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
