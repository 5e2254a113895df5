//! The agent's identity on its disk: key, certificate, and the CAs of its manager.
//!
//! A new identity is written beside the one in use (`agent.key.next`, `agent.pem.next`) and
//! takes its place once it has proved good: key first, certificate last, each by one
//! rename, and the one before is kept aside (`.old`). Killed between any two writes, there is a certificate whose key is there too:
//! [`Store::pairs`] finds what belongs together, the newest first. The CAs of an enrolment
//! wait as `ca.pem.next`; they count from the moment its certificate is there. Enrolment,
//! renewal and the channel enter.

mod certificate;
mod files;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

pub(crate) use certificate::{Life, digest, hexadecimal, is_authority, new_key};
pub(crate) use files::{Owner, put};

use files::{read, remove, rename};

/// An identity that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialsError {
    #[error("{path}: {source}; enroll the agent again: wpk-agent enroll")]
    File { path: PathBuf, source: io::Error },
    #[error("{path}: {reason}; enroll the agent again: wpk-agent enroll")]
    Pem { path: PathBuf, reason: String },
}

/// Where it lies.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    pub(crate) ca: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// A certificate and its key.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) certified: Arc<CertifiedKey>,
    /// From when to when it is good.
    pub(crate) life: Life,
    pub(crate) age: Age,
}

/// Which one of those that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    /// It has not proved good yet.
    Next,
    /// The one in use.
    Current,
    /// The one before, which a manager may know that was put back from a backup.
    Old,
}

impl Age {
    /// Where the file of that age lies, beside the one in use.
    fn of(self, path: &Path) -> PathBuf {
        let ending = match self {
            Self::Next => return next(path),
            Self::Current => return path.to_owned(),
            Self::Old => ".old",
        };
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        name.into()
    }
}

impl Store {
    /// Whether there is any of an identity, usable or not.
    pub(crate) fn is_there(&self) -> bool {
        self.certificate.exists() || self.key.exists()
    }

    /// The CAs that are trusted.
    pub(crate) fn authorities(&self) -> Result<Vec<CertificateDer<'static>>, CredentialsError> {
        certificates(&self.ca)
    }

    /// What belongs together, the newest first; at least one.
    pub(crate) fn pairs(&self) -> Result<Vec<Pair>, CredentialsError> {
        let mut pairs = Vec::new();
        let mut reason = None;
        let ages = [Age::Next, Age::Current, Age::Old];
        for age in ages {
            let certificate = age.of(&self.certificate);
            if age != Age::Current && !certificate.exists() {
                continue;
            }
            let mut keys = ages.iter().map(|age| age.of(&self.key));
            let fitting = keys.find_map(|key| {
                if key != self.key && !key.exists() {
                    return None;
                }
                pair(&certificate, &key, age)
                    .map_err(|error| reason = Some(error))
                    .ok()
            });
            pairs.extend(fitting);
        }
        match (pairs.is_empty(), reason) {
            (true, Some(reason)) => Err(reason),
            _ => Ok(pairs),
        }
    }

    /// Puts a new identity beside the one in use. `authorities` comes with an enrolment,
    /// which needs no proof.
    pub(crate) fn stage(
        &self,
        key: &str,
        certificate: &str,
        authorities: Option<&str>,
    ) -> io::Result<()> {
        // Without its certificate nothing of an earlier one counts.
        remove(&next(&self.certificate))?;
        self.stage_key(key)?;
        match authorities {
            Some(text) => put(&next(&self.ca), text.as_bytes(), 0o644, Owner::Folder)?,
            None => remove(&next(&self.ca))?,
        }
        let path = next(&self.certificate);
        put(&path, certificate.as_bytes(), 0o644, Owner::Folder)
    }

    /// Puts a new key beside the one in use, which shows that the folder can be written.
    pub(crate) fn stage_key(&self, key: &str) -> io::Result<()> {
        put(&next(&self.key), key.as_bytes(), 0o600, Owner::Folder)
    }

    /// Has the CAs of an enrolment count whose certificate is there.
    pub(crate) fn settle(&self) -> io::Result<()> {
        let waiting = next(&self.ca);
        if !waiting.exists() {
            return Ok(());
        }
        match next(&self.certificate).exists() {
            true => rename(&waiting, &self.ca),
            false => remove(&waiting),
        }
    }

    /// The new identity has proved good; the one before is kept aside.
    pub(crate) fn promote(&self) -> io::Result<()> {
        let (key, certificate) = (next(&self.key), next(&self.certificate));
        if !certificate.exists() {
            return Ok(());
        }
        // The key is gone already where an earlier promotion was cut short.
        if key.exists() {
            for (path, mode) in [(&self.key, 0o600), (&self.certificate, 0o644)] {
                match read(path) {
                    Ok(text) => put(&Age::Old.of(path), &text, mode, Owner::Folder)?,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            rename(&key, &self.key)?;
        }
        rename(&certificate, &self.certificate)
    }

    /// The new identity has proved bad: the one before is there still.
    pub(crate) fn drop_next(&self) -> io::Result<()> {
        remove(&next(&self.certificate))?;
        remove(&next(&self.key))
    }

    /// What was before an enrolment is another identity.
    pub(crate) fn forget_old(&self) -> io::Result<()> {
        remove(&Age::Old.of(&self.certificate))?;
        remove(&Age::Old.of(&self.key))
    }

    /// Trusts these CAs from now on.
    pub(crate) fn trust(&self, authorities: &str) -> io::Result<()> {
        put(&self.ca, authorities.as_bytes(), 0o644, Owner::Folder)
    }
}

/// Where the one that comes after `path` waits.
pub(crate) fn next(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".next");
    name.into()
}

fn pair(certificate: &Path, key: &Path, age: Age) -> Result<Pair, CredentialsError> {
    let chain = certificates(certificate)?;
    let bad = |path: &Path, reason: String| CredentialsError::Pem {
        path: path.to_owned(),
        reason,
    };
    let life = chain
        .first()
        .and_then(|first| Life::of(first))
        .ok_or_else(|| bad(certificate, "holds no certificate".to_owned()))?;
    let text = read(key).map_err(|source| CredentialsError::File {
        path: key.to_owned(),
        source,
    })?;
    let der = PrivateKeyDer::from_pem_slice(&text).map_err(|error| bad(key, error.to_string()))?;
    let provider = rustls::crypto::ring::default_provider();
    // This also compares the key with the certificate.
    let certified = CertifiedKey::from_der(chain, der, &provider).map_err(|error| {
        bad(
            key,
            format!("does not go with {}: {error}", certificate.display()),
        )
    })?;
    Ok(Pair {
        certified: Arc::new(certified),
        life,
        age,
    })
}

/// The certificates of a PEM file, at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CredentialsError> {
    let text = read(path).map_err(|source| CredentialsError::File {
        path: path.to_owned(),
        source,
    })?;
    certificate::from_pem(&text).map_err(|reason| CredentialsError::Pem {
        path: path.to_owned(),
        reason,
    })
}

/// The certificates of a PEM text that came from elsewhere, at least one.
pub(crate) fn certificates_in(text: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    certificate::from_pem(text.as_bytes())
}

#[cfg(test)]
mod tests;
