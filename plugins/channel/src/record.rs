//! One agent as the registry keeps it: what it is called, how it is known, what
//! it said of itself when it last connected.

use wpk_api::{AgentId, DirectoryError, Platform, UnixTime};
use wpk_wire::Hello;

use crate::certificate::Fingerprint;

/// Longest name of an agent, in characters.
const LONGEST_NAME: usize = 128;

/// One agent as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) id: AgentId,
    pub(crate) name: String,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) revoked: bool,
    pub(crate) platform: Platform,
    pub(crate) os_version: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) last_seen: Option<UnixTime>,
}

impl Record {
    /// An agent that has never connected.
    pub(crate) fn new(id: AgentId, name: &str, fingerprint: Fingerprint) -> Self {
        Self {
            id,
            name: name.to_owned(),
            fingerprint,
            revoked: false,
            platform: Platform::default(),
            os_version: None,
            version: None,
            last_seen: None,
        }
    }

    /// Takes over what the agent says of itself.
    pub(crate) fn greet(&mut self, hello: &Hello, now: UnixTime) {
        let (major, minor) = os_numbers(hello);
        self.platform = Platform {
            name: some(&hello.platform),
            major,
            minor,
            arch: hello.arch.as_deref().and_then(some),
        };
        self.os_version = hello.os_version.as_deref().and_then(some);
        self.version = some(&hello.version);
        self.last_seen = Some(now);
    }
}

/// Whether an agent may have this name.
///
/// # Errors
/// [`DirectoryError::Refused`] with the rule.
pub(crate) fn check_name(name: &str) -> Result<(), DirectoryError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(allowed) {
        let shown: String = name.chars().take(LONGEST_NAME).collect();
        return Err(DirectoryError::Refused(format!(
            "{shown:?} is no name for an agent: use 1 to {LONGEST_NAME} letters, digits, '.', '_' or '-'"
        )));
    }
    Ok(())
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// Major and minor version of the operating system; read out of the whole
/// version text where the agent does not give them apart.
fn os_numbers(hello: &Hello) -> (Option<String>, Option<String>) {
    let major = hello.os_major.as_deref().and_then(some);
    let minor = hello.os_minor.as_deref().and_then(some);
    if major.is_some() {
        return (major, minor);
    }
    let mut parts = hello
        .os_version
        .as_deref()
        .unwrap_or_default()
        .split(|c: char| !c.is_ascii_digit());
    (
        parts.next().and_then(some),
        minor.or_else(|| parts.next().and_then(some)),
    )
}
