//! How one CA takes the place of another without cutting anyone off.
//!
//! 1. [`Step::Replace`] makes the new CA (`ca-next.key`, `ca-next.pem`). It signs agents'
//!    certificates from now on, and is announced to agents, which renew theirs; the manager's
//!    own certificate stays that of the CA in use.
//! 2. [`Step::Switch`] has it sign the manager's certificate as well: it is the CA in use,
//!    and the one before is trusted still (`ca-old.pem`); its key goes.
//! 3. [`Step::Finish`] ends the trust in the one before.
//!
//! Each step is taken by the last of its writes, and [`Authorities::open`] goes on from
//! wherever a crash left them.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::error::PkiError;
use super::signer::Signer;
use super::vault::Vault;
use crate::certificate::own_certificate;
use crate::files;

/// A step of a replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Replace,
    Switch,
    Finish,
}

/// The CAs of a manager.
pub(crate) struct Authorities {
    /// Signs the manager's certificate.
    pub(crate) current: Arc<Signer>,
    /// Signs agents' certificates, where it is there.
    pub(crate) next: Option<Arc<Signer>>,
    /// Signs nothing any more, and is trusted: certificate and PEM.
    pub(crate) old: Option<(CertificateDer<'static>, String)>,
}

impl Authorities {
    /// Opens the CA in `folder`, or makes one where there is none.
    pub(super) fn open(folder: &Path, vault: &Vault) -> Result<Self, PkiError> {
        let [ca, key] = ["ca.pem", "ca.key"].map(|name| folder.join(name));
        let [next, next_key] = ["ca-next.pem", "ca-next.key"].map(|name| folder.join(name));
        finish_switch((&ca, &key), (&next, &next_key), vault)?;
        let current = match Signer::open(&ca, &key, vault)? {
            Some(current) => current,
            None => {
                let made = Signer::make(&ca, &key, vault)?;
                tracing::info!(folder = %folder.display(), "made a new CA for agents");
                made
            }
        };
        let next = Signer::open(&next, &next_key, vault)?.map(Arc::new);
        let path = folder.join("ca-old.pem");
        let old = match files::read_text(&path).map_err(PkiError::at(&path))? {
            None => None,
            Some(pem) => {
                let found = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| {
                    PkiError::Damaged {
                        path: path.clone(),
                        reason: error.to_string(),
                    }
                })?;
                // A switch writes it first.
                (found != current.certificate).then_some((found, pem))
            }
        };
        Ok(Self {
            current: Arc::new(current),
            next,
            old,
        })
    }

    /// Who signs agents' certificates.
    pub(crate) fn signer(&self) -> &Signer {
        self.next.as_ref().unwrap_or(&self.current)
    }

    /// All of them, that in use first.
    pub(crate) fn certificates(&self) -> Vec<CertificateDer<'static>> {
        let next = self.next.iter().map(|next| next.certificate.clone());
        let old = self.old.iter().map(|(certificate, _)| certificate.clone());
        let current = self.current.certificate.clone();
        std::iter::once(current).chain(next).chain(old).collect()
    }

    /// The same as PEM.
    pub(crate) fn pem(&self) -> String {
        let next = self.next.iter().map(|next| next.pem.as_str());
        let old = self.old.iter().map(|(_, pem)| pem.as_str());
        let all = std::iter::once(self.current.pem.as_str())
            .chain(next)
            .chain(old);
        all.map(|pem| format!("{}\n", pem.trim_end())).collect()
    }

    /// Whether this step is the one to take.
    pub(super) fn may(&self, step: Step) -> Result<(), PkiError> {
        let text = match (step, &self.next, &self.old) {
            (Step::Replace, None, None)
            | (Step::Switch, Some(_), _)
            | (Step::Finish, _, Some(_)) => {
                return Ok(());
            }
            (Step::Replace, Some(_), _) => {
                "a new CA is announced already: `switch` is the next step"
            }
            (Step::Replace, None, Some(_)) => {
                "the CA before is trusted still: `finish` is the next step"
            }
            (Step::Switch, None, _) => "there is no new CA: `replace` makes one",
            (Step::Finish, _, None) => {
                "no CA but the one in use is trusted: there is nothing to finish"
            }
        };
        Err(PkiError::Step(text.to_owned()))
    }

    /// What they are after a step.
    pub(super) fn step(&self, step: Step, folder: &Path, vault: &Vault) -> Result<Self, PkiError> {
        self.may(step)?;
        let [ca, key] = ["ca.pem", "ca.key"].map(|name| folder.join(name));
        let [next, next_key] = ["ca-next.pem", "ca-next.key"].map(|name| folder.join(name));
        let old = folder.join("ca-old.pem");
        match step {
            Step::Replace => {
                Signer::make(&next, &next_key, vault)?;
            }
            Step::Switch => {
                files::write_private(&old, self.current.pem.as_bytes())
                    .map_err(PkiError::at(&old))?;
                // From here on it is taken: what is left is done by the next start.
                files::rename(&next_key, &key).map_err(PkiError::at(&key))?;
                files::rename(&next, &ca).map_err(PkiError::at(&ca))?;
            }
            Step::Finish => match std::fs::remove_file(&old) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(PkiError::at(&old)(error));
                }
                _ => {}
            },
        }
        Self::open(folder, vault)
    }
}

/// A crash between the two renames of a switch left the new key with the old certificate.
fn finish_switch(
    (ca, key): (&Path, &Path),
    (next, next_key): (&Path, &Path),
    vault: &Vault,
) -> Result<(), PkiError> {
    if next_key.exists() || !next.exists() {
        return Ok(());
    }
    let read = |path: &Path| files::read_text(path).map_err(PkiError::at(path));
    let (Some(text), Some(certificate)) = (read(key)?, read(next)?) else {
        return Ok(());
    };
    match vault.read(&text, key) {
        Ok((key, _)) if own_certificate(&certificate, &key).is_ok() => {
            files::rename(next, ca).map_err(PkiError::at(ca))
        }
        _ => Ok(()),
    }
}
