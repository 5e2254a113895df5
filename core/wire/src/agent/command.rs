//! The steps of a delivery as bytes (section 5): what follows the address.

use bytes::{BufMut, BytesMut};
use wpk_api::{AgentId, TaskId, Version};

use crate::codes::UpgradeCode;
use crate::frame::PEER_MAX_PAYLOAD;
use crate::json;
use crate::parameters::TASK_ID;
use crate::remoted;
use crate::word::words;

/// How an agent wants its commands, which its version decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CommandForm {
    /// `upgrade {...}`, from v4.1.0 on.
    Json,
    /// `com ...`, below.
    Com,
}

impl CommandForm {
    /// The form for an agent of that version.
    pub fn for_version(version: Version) -> Self {
        if version >= Version::new(4, 1, 0) {
            Self::Json
        } else {
            Self::Com
        }
    }
}

words! {
    /// The steps of a delivery, and what follows an acknowledgement.
    Step {
        /// Keep the agent from restarting in between.
        LockRestart = "lock_restart",
        /// Open the file in the agent's incoming folder.
        Open = "open",
        /// Append a chunk.
        Write = "write",
        /// Close the file.
        Close = "close",
        /// Ask for the digest of what arrived.
        Sha1 = "sha1",
        /// Unpack and run the installer.
        Upgrade = "upgrade",
        /// Stop the agent's acknowledgements.
        ClearUpgradeResult = "clear_upgrade_result",
    }
}

impl Step {
    /// The code of the task when this step fails; none for the last, which
    /// changes no task.
    pub fn failure(self) -> Option<UpgradeCode> {
        match self {
            Self::LockRestart => Some(UpgradeCode::SendLockRestart),
            Self::Open => Some(UpgradeCode::SendOpen),
            Self::Write => Some(UpgradeCode::SendWrite),
            Self::Close => Some(UpgradeCode::SendClose),
            Self::Sha1 => Some(UpgradeCode::SendSha1),
            Self::Upgrade => Some(UpgradeCode::SendUpgrade),
            Self::ClearUpgradeResult => None,
        }
    }
}

/// One command. `file` is always a bare name.
///
/// The `com` form knows no quoting: names with spaces or line ends are for the
/// caller to refuse before they reach an agent that would misread them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentCommand<'a> {
    /// `com lock_restart -1` in both forms.
    LockRestart,
    /// Opens for writing from the start.
    Open {
        /// The file.
        file: &'a str,
    },
    /// Appends.
    Write {
        /// The file.
        file: &'a str,
        /// At most [`max_chunk`] bytes.
        chunk: &'a [u8],
    },
    /// Closes.
    Close {
        /// The file.
        file: &'a str,
    },
    /// Asks for the digest.
    Sha1 {
        /// The file.
        file: &'a str,
    },
    /// Runs the installer.
    Upgrade {
        /// The file.
        file: &'a str,
        /// The installer inside it.
        installer: &'a str,
        /// The task, for an agent that names it in its acknowledgement (section
        /// 16); `None` for all others, whose bytes are those of section 5. The
        /// `com` form has no place for it.
        task: Option<TaskId>,
    },
    /// JSON in both forms: only agents that acknowledge understand it.
    ClearUpgradeResult {
        /// The task that the agent named; `None` where it named none.
        task: Option<TaskId>,
    },
}

const WRITE_HEAD: &[u8] = br#"upgrade {"command":"write","parameters":{"buffer":""#;
const WRITE_LENGTH: &[u8] = br#"","length":"#;
const WRITE_FILE: &[u8] = br#","file":"#;
const WRITE_TAIL: &[u8] = b"}}";

impl AgentCommand<'_> {
    /// Which step this is.
    pub fn step(&self) -> Step {
        match self {
            Self::LockRestart => Step::LockRestart,
            Self::Open { .. } => Step::Open,
            Self::Write { .. } => Step::Write,
            Self::Close { .. } => Step::Close,
            Self::Sha1 { .. } => Step::Sha1,
            Self::Upgrade { .. } => Step::Upgrade,
            Self::ClearUpgradeResult { .. } => Step::ClearUpgradeResult,
        }
    }

    /// Appends the bytes that follow the address. Base64 goes straight into
    /// the buffer.
    pub fn encode(&self, form: CommandForm, out: &mut BytesMut) {
        match (self, form) {
            (Self::LockRestart, _) => out.put_slice(b"com lock_restart -1"),
            (Self::ClearUpgradeResult { .. }, _) => out.put_slice(self.small_json().as_bytes()),
            (Self::Write { file, chunk }, CommandForm::Json) => encode_write(file, chunk, out),
            (Self::Write { file, chunk }, CommandForm::Com) => {
                out.put_slice(format!("com write {} {file} ", chunk.len()).as_bytes());
                out.put_slice(chunk);
            }
            (_, CommandForm::Json) => out.put_slice(self.small_json().as_bytes()),
            (_, CommandForm::Com) => out.put_slice(self.small_com().as_bytes()),
        }
    }

    fn small_json(&self) -> String {
        let name = self.step().as_str();
        let parameters = match self {
            Self::Open { file } => format!("\"mode\":\"wb\",\"file\":{}", json::quote(file)),
            Self::Close { file } | Self::Sha1 { file } => {
                format!("\"file\":{}", json::quote(file))
            }
            Self::Upgrade {
                file,
                installer,
                task,
            } => format!(
                "\"file\":{},\"installer\":{}{}",
                json::quote(file),
                json::quote(installer),
                task.map_or_else(String::new, |task| format!(",{}", named(task)))
            ),
            Self::ClearUpgradeResult { task } => task.map_or_else(String::new, named),
            Self::LockRestart | Self::Write { .. } => String::new(),
        };
        format!("upgrade {{\"command\":\"{name}\",\"parameters\":{{{parameters}}}}}")
    }

    fn small_com(&self) -> String {
        let name = self.step().as_str();
        match self {
            Self::Open { file } => format!("com {name} wb {file}"),
            Self::Close { file } | Self::Sha1 { file } => format!("com {name} {file}"),
            Self::Upgrade {
                file, installer, ..
            } => format!("com {name} {file} {installer}"),
            Self::LockRestart | Self::Write { .. } | Self::ClearUpgradeResult { .. } => {
                format!("com {name}")
            }
        }
    }
}

/// The member that names a task.
fn named(task: TaskId) -> String {
    format!("\"{TASK_ID}\":{task}")
}

fn encode_write(file: &str, chunk: &[u8], out: &mut BytesMut) {
    use base64_simd::AsOut as _;

    let encoded = base64_simd::STANDARD.encoded_length(chunk.len());
    out.reserve(WRITE_HEAD.len() + encoded + file.len() + 64);
    out.put_slice(WRITE_HEAD);
    let start = out.len();
    out.resize(start + encoded, 0);
    if let Some(room) = out.get_mut(start..) {
        // The room has exactly the length asked for just above.
        let _ = base64_simd::STANDARD.encode(chunk, room.as_out());
    }
    out.put_slice(WRITE_LENGTH);
    out.put_slice(chunk.len().to_string().as_bytes());
    out.put_slice(WRITE_FILE);
    out.put_slice(json::quote(file).as_bytes());
    out.put_slice(WRITE_TAIL);
}

/// The most bytes of a file that one `write` may carry so that the whole
/// payload, address included, fits [`PEER_MAX_PAYLOAD`]; 0 for a name that
/// leaves no room at all.
pub fn max_chunk(form: CommandForm, file: &str, agent: AgentId) -> usize {
    // Room for the digits of the length: no chunk has more than five.
    const LENGTH_DIGITS: usize = 5;
    let address = remoted::address(agent).len();
    match form {
        CommandForm::Json => {
            let fixed = address
                + WRITE_HEAD.len()
                + WRITE_LENGTH.len()
                + LENGTH_DIGITS
                + WRITE_FILE.len()
                + json::quote(file).len()
                + WRITE_TAIL.len();
            PEER_MAX_PAYLOAD.saturating_sub(fixed) / 4 * 3
        }
        CommandForm::Com => {
            let fixed = address + "com write ".len() + LENGTH_DIGITS + file.len() + 2;
            PEER_MAX_PAYLOAD.saturating_sub(fixed)
        }
    }
}
