//! One agent as the registry keeps it: what it is called, how it is known, what
//! it said of itself when it last connected.

use wpk_api::{AgentDetails, AgentId, DirectoryError, Labels, Platform, UnixTime};
use wpk_wire::Hello;

use crate::certificate::Fingerprint;
use crate::revocations::Revocation;

/// Longest name of an agent, in characters.
const LONGEST_NAME: usize = 128;

/// One agent as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) id: AgentId,
    pub(crate) name: String,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) enrolled: UnixTime,
    pub(crate) revoked: Option<UnixTime>,
    /// Removed as well: nothing of it is shown.
    pub(crate) removed: bool,
    pub(crate) labels: Labels,
    pub(crate) address: Option<String>,
    /// When the certificate that it last showed, or was given, ends.
    pub(crate) certificate_end: Option<UnixTime>,
    pub(crate) platform: Platform,
    pub(crate) os_version: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) last_seen: Option<UnixTime>,
}

/// How an agent dialled in: what the connection says, not the agent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dialled {
    pub(crate) address: Option<String>,
    pub(crate) certificate_end: Option<UnixTime>,
}

impl Record {
    /// An agent that has never connected.
    pub(crate) fn new(
        id: AgentId,
        name: &str,
        fingerprint: Fingerprint,
        enrolled: UnixTime,
    ) -> Self {
        Self {
            id,
            name: name.to_owned(),
            fingerprint,
            enrolled,
            revoked: None,
            removed: false,
            labels: Labels::new(),
            address: None,
            certificate_end: None,
            platform: Platform::default(),
            os_version: None,
            version: None,
            last_seen: None,
        }
    }

    /// The line of the list of revoked agents about it.
    pub(crate) fn revocation(&self, at: UnixTime) -> Revocation {
        Revocation {
            agent: self.id,
            fingerprint: self.fingerprint,
            at,
        }
    }

    /// What is known of it besides what the rules need.
    pub(crate) fn details(&self) -> AgentDetails {
        AgentDetails {
            id: self.id,
            name: Some(self.name.clone()),
            labels: self.labels.clone(),
            address: self.address.clone(),
            last_seen: self.last_seen,
            enrolled: Some(self.enrolled),
            revoked: self.revoked,
            certificate_end: self.certificate_end,
        }
    }

    /// Takes over what the agent says of itself, and how it came.
    pub(crate) fn greet(&mut self, hello: &Hello, dialled: Dialled, now: UnixTime) {
        self.address = dialled.address;
        self.certificate_end = dialled.certificate_end;
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
    // Names become names of folders, where these two are no names.
    let dots = matches!(name, "." | "..");
    if dots || name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(allowed) {
        let shown: String = name.chars().take(LONGEST_NAME).collect();
        return Err(DirectoryError::Refused(format!(
            "{shown:?} is no name for an agent: use 1 to {LONGEST_NAME} letters, digits, '.', '_' or '-' \
             (not \".\" or \"..\")"
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
