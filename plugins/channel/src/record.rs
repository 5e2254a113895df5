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
    /// The CA that issued it; `None` where that was not written down: the first there was.
    pub(crate) issuer: Option<Fingerprint>,
    /// A newer certificate that it has not shown yet.
    pub(crate) next: Option<Next>,
    /// Whether it said that it renews its certificate.
    pub(crate) renews: bool,
    /// The CAs that it said it trusts, SHA-256 in hexadecimal.
    pub(crate) trusts: Vec<String>,
    pub(crate) platform: Platform,
    pub(crate) os_version: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) last_seen: Option<UnixTime>,
    /// The node that it last connected to, where several keep their agents together.
    pub(crate) node: Option<String>,
    /// That node said that it is connected.
    pub(crate) connected: bool,
}

/// A certificate that was issued and not shown yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Next {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) end: UnixTime,
    pub(crate) issuer: Fingerprint,
}

/// How an agent dialled in: what the connection says, not the agent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dialled {
    /// The certificate that was shown.
    pub(crate) shown: Fingerprint,
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
            issuer: None,
            next: None,
            renews: false,
            trusts: Vec::new(),
            platform: Platform::default(),
            os_version: None,
            version: None,
            last_seen: None,
            node: None,
            connected: false,
        }
    }

    /// What was known of it is forgotten, but that its id and its certificates were there.
    pub(crate) fn forget(&mut self, now: UnixTime) {
        let mut left = Self::new(self.id, "", self.fingerprint, self.enrolled);
        left.next = self.next.take();
        left.revoked = self.revoked.or(Some(now));
        left.removed = true;
        *self = left;
    }

    /// The lines of the list of revoked agents about it.
    pub(crate) fn revocations(&self, at: UnixTime) -> Vec<Revocation> {
        let one = |fingerprint: Fingerprint| Revocation {
            agent: self.id,
            fingerprint,
            at,
        };
        self.fingerprints().map(one).collect()
    }

    /// The certificates by which it is known.
    pub(crate) fn fingerprints(&self) -> impl Iterator<Item = Fingerprint> + use<> {
        let next = self.next.as_ref().map(|next| next.fingerprint);
        std::iter::once(self.fingerprint).chain(next)
    }

    /// It has shown the newer certificate: the one before is worth nothing any more.
    pub(crate) fn take_next(&mut self) {
        if let Some(next) = self.next.take() {
            self.fingerprint = next.fingerprint;
            self.certificate_end = Some(next.end);
            self.issuer = Some(next.issuer);
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
        self.renews = hello.renews;
        self.trusts.clone_from(&hello.trusts);
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
