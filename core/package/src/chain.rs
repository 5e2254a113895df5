//! The certificate chain check: from the signer's certificate by way of the
//! package's further certificates to one of the administrator's CAs.
//! Entered by `verify`; pure apart from the arithmetic: certificates and a
//! point in time in, verdict out.

use x509_parser::oid_registry::{
    OID_PKCS1_SHA1WITHRSA, OID_SHA1_WITH_RSA, OID_X509_EXT_BASIC_CONSTRAINTS,
    OID_X509_EXT_CERTIFICATE_POLICIES, OID_X509_EXT_EXTENDED_KEY_USAGE, OID_X509_EXT_KEY_USAGE,
    OID_X509_EXT_SUBJECT_ALT_NAME,
};
use x509_parser::prelude::{X509Certificate, X509Version};

use crate::certificate::{date, name};

/// Greatest number of certificates between the signer and the CA.
const DEPTH: usize = 8;
/// Greatest number of signatures computed for one package: a hostile set of
/// certificates with equal names must not keep us busy.
const SIGNATURES: usize = 64;

/// Why the signer's certificate is not trusted. `subject` is always the
/// certificate the complaint is about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// Past the end of its validity.
    #[error("the certificate \"{subject}\" expired at {not_after}")]
    Expired {
        /// Which certificate.
        subject: String,
        /// Since when, `YYYY-MM-DD HH:MM:SS UTC`.
        not_after: String,
    },
    /// Before the start of its validity.
    #[error("the certificate \"{subject}\" is not valid before {not_before}; check the clock")]
    NotYetValid {
        /// Which certificate.
        subject: String,
        /// Until when, `YYYY-MM-DD HH:MM:SS UTC`.
        not_before: String,
    },
    /// It issued a certificate without being a CA.
    #[error("the certificate \"{subject}\" is not a CA and cannot issue certificates")]
    NotAnAuthority {
        /// Which certificate.
        subject: String,
    },
    /// Its key usage does not allow to sign certificates.
    #[error("the key usage of the CA \"{subject}\" does not allow to sign certificates")]
    MayNotSign {
        /// Which certificate.
        subject: String,
    },
    /// Nobody in the package or the store is its issuer.
    #[error(
        "the issuer \"{issuer}\" of the certificate \"{subject}\" is neither in the CA store nor \
         in the package"
    )]
    UnknownIssuer {
        /// Which certificate.
        subject: String,
        /// Whose certificate is missing.
        issuer: String,
    },
    /// The signature on it was not made with its issuer's key.
    #[error("the certificate \"{subject}\" was not signed with the key of \"{issuer}\"")]
    BadSignature {
        /// Which certificate.
        subject: String,
        /// Whose key was tried.
        issuer: String,
    },
    /// Signed with an algorithm that proves nothing, or that we do not know.
    #[error("the certificate \"{subject}\" is signed with an unacceptable algorithm ({algorithm})")]
    BadAlgorithm {
        /// Which certificate.
        subject: String,
        /// Object identifier of the algorithm.
        algorithm: String,
    },
    /// More certificates below this CA than it allows.
    #[error("the CA \"{subject}\" allows a path of {allowed} CAs below it, the chain has more")]
    PathTooLong {
        /// Which certificate.
        subject: String,
        /// Its path length constraint.
        allowed: u32,
    },
    /// The chain does not end.
    #[error("the chain above \"{subject}\" is longer than {limit} certificates")]
    TooDeep {
        /// The last certificate looked at.
        subject: String,
        /// The limit.
        limit: usize,
    },
    /// A critical extension that we do not understand, or a malformed one.
    #[error("the certificate \"{subject}\" has an extension we cannot honour: {extension}")]
    Extension {
        /// Which certificate.
        subject: String,
        /// Object identifier or kind of the extension.
        extension: String,
    },
    /// Too many certificates of the same name.
    #[error("the certificates of the package lead to more than {limit} signature checks")]
    TooMuchWork {
        /// The limit.
        limit: usize,
    },
}

impl ChainError {
    /// Of several dead ends the most telling one is reported.
    fn telling(&self) -> u8 {
        match self {
            Self::UnknownIssuer { .. } => 0,
            Self::BadSignature { .. } => 1,
            Self::TooMuchWork { .. } => 3,
            _ => 2,
        }
    }
}

/// Checks that `chain` (the signer first, then candidates for intermediate
/// CAs in any order) leads to one of `anchors` at time `at` (unix seconds).
pub(crate) fn check(
    chain: &[X509Certificate<'_>],
    anchors: &[X509Certificate<'_>],
    at: i64,
) -> Result<(), ChainError> {
    let Some((leaf, intermediates)) = chain.split_first() else {
        return Ok(());
    };
    usable(leaf, at)?;
    let itself = anchors
        .iter()
        .find(|anchor| anchor.as_raw() == leaf.as_raw());
    // A signer that the administrator put into the store himself.
    if itself.is_some_and(|anchor| self_issued(anchor) || authority(anchor, true, 0).is_ok()) {
        return Ok(());
    }
    let mut search = Search {
        anchors,
        intermediates,
        used: vec![false; intermediates.len()],
        at,
        signatures: 0,
    };
    search.climb(leaf, 0, 0)
}

struct Search<'a, 'c> {
    anchors: &'a [X509Certificate<'c>],
    intermediates: &'a [X509Certificate<'c>],
    used: Vec<bool>,
    at: i64,
    signatures: usize,
}

impl<'a, 'c> Search<'a, 'c> {
    /// Looks for a way from `child` to an anchor. `below` is the number of
    /// CAs under the issuer that count for path lengths.
    fn climb(
        &mut self,
        child: &X509Certificate<'c>,
        below: u32,
        depth: usize,
    ) -> Result<(), ChainError> {
        if depth > DEPTH {
            return Err(ChainError::TooDeep {
                subject: name(child.subject()),
                limit: DEPTH,
            });
        }
        let mut failure = ChainError::UnknownIssuer {
            subject: name(child.subject()),
            issuer: name(child.issuer()),
        };
        let mut keep = |error: ChainError| {
            if error.telling() > failure.telling() {
                failure = error;
            }
        };
        let (anchors, intermediates) = (self.anchors, self.intermediates);
        for anchor in anchors.iter().filter(|ca| names_match(child, ca)) {
            match self.issued(child, anchor, true, below) {
                Ok(()) => return Ok(()),
                Err(error) => keep(error),
            }
        }
        for (index, ca) in intermediates.iter().enumerate() {
            let used = self.used.get(index).copied().unwrap_or(true);
            // A self-issued certificate of the package leads nowhere new.
            if used || !names_match(child, ca) || ca.as_raw() == child.as_raw() {
                continue;
            }
            if let Some(flag) = self.used.get_mut(index) {
                *flag = true;
            }
            let more = below + u32::from(!self_issued(ca));
            let way = self
                .issued(child, ca, false, below)
                .and_then(|()| self.climb(ca, more, depth + 1));
            if let Some(flag) = self.used.get_mut(index) {
                *flag = false;
            }
            match way {
                Ok(()) => return Ok(()),
                Err(error) => keep(error),
            }
        }
        Err(failure)
    }

    /// Whether `ca` really issued `child` and was allowed to.
    fn issued(
        &mut self,
        child: &X509Certificate<'_>,
        ca: &X509Certificate<'_>,
        anchor: bool,
        below: u32,
    ) -> Result<(), ChainError> {
        if self.signatures == SIGNATURES {
            return Err(ChainError::TooMuchWork { limit: SIGNATURES });
        }
        self.signatures += 1;
        signed_by(child, ca)?;
        usable(ca, self.at)?;
        authority(ca, anchor, below)
    }
}

fn names_match(child: &X509Certificate<'_>, ca: &X509Certificate<'_>) -> bool {
    child.issuer().as_raw() == ca.subject().as_raw()
}

fn self_issued(certificate: &X509Certificate<'_>) -> bool {
    names_match(certificate, certificate)
}

fn signed_by(child: &X509Certificate<'_>, ca: &X509Certificate<'_>) -> Result<(), ChainError> {
    let algorithm = &child.signature_algorithm.algorithm;
    let weak = *algorithm == OID_PKCS1_SHA1WITHRSA || *algorithm == OID_SHA1_WITH_RSA;
    if weak || child.signature_algorithm != child.signature {
        return Err(ChainError::BadAlgorithm {
            subject: name(child.subject()),
            algorithm: algorithm.to_id_string(),
        });
    }
    child
        .verify_signature(Some(ca.public_key()))
        .map_err(|error| match error {
            x509_parser::error::X509Error::SignatureUnsupportedAlgorithm => {
                ChainError::BadAlgorithm {
                    subject: name(child.subject()),
                    algorithm: algorithm.to_id_string(),
                }
            }
            _ => ChainError::BadSignature {
                subject: name(child.subject()),
                issuer: name(ca.subject()),
            },
        })
}

/// What every certificate of a chain must satisfy: the time, and no critical
/// extension that we do not understand.
fn usable(certificate: &X509Certificate<'_>, at: i64) -> Result<(), ChainError> {
    let subject = || name(certificate.subject());
    let validity = certificate.validity();
    if at < validity.not_before.timestamp() {
        let not_before = date(validity.not_before);
        return Err(ChainError::NotYetValid {
            subject: subject(),
            not_before,
        });
    }
    if at > validity.not_after.timestamp() {
        let not_after = date(validity.not_after);
        return Err(ChainError::Expired {
            subject: subject(),
            not_after,
        });
    }
    for extension in certificate
        .extensions()
        .iter()
        .filter(|extension| extension.critical)
    {
        let known = [
            OID_X509_EXT_BASIC_CONSTRAINTS,
            OID_X509_EXT_KEY_USAGE,
            OID_X509_EXT_EXTENDED_KEY_USAGE,
            OID_X509_EXT_SUBJECT_ALT_NAME,
            OID_X509_EXT_CERTIFICATE_POLICIES,
        ];
        if !known.contains(&extension.oid) {
            let extension = format!("critical {}", extension.oid.to_id_string());
            return Err(ChainError::Extension {
                subject: subject(),
                extension,
            });
        }
    }
    Ok(())
}

/// Whether a certificate may issue others with `below` CAs under it. X.509
/// v1 knows no CA flag: such a certificate is a CA only where the
/// administrator says so by putting a self-signed one into the store.
fn authority(ca: &X509Certificate<'_>, anchor: bool, below: u32) -> Result<(), ChainError> {
    let subject = || name(ca.subject());
    let malformed = |what: &str| ChainError::Extension {
        subject: name(ca.subject()),
        extension: format!("malformed {what}"),
    };
    if ca.version() != X509Version::V3 && ca.extensions().is_empty() {
        return if anchor && self_issued(ca) && signed_by(ca, ca).is_ok() {
            Ok(())
        } else {
            Err(ChainError::NotAnAuthority { subject: subject() })
        };
    }
    let constraints = ca
        .basic_constraints()
        .map_err(|_| malformed("basic constraints"))?;
    let constraints = match constraints {
        Some(extension) if extension.value.ca => extension.value,
        _ => return Err(ChainError::NotAnAuthority { subject: subject() }),
    };
    if let Some(allowed) = constraints.path_len_constraint
        && below > allowed
    {
        return Err(ChainError::PathTooLong {
            subject: subject(),
            allowed,
        });
    }
    let usage = ca.key_usage().map_err(|_| malformed("key usage"))?;
    if usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
        return Err(ChainError::MayNotSign { subject: subject() });
    }
    Ok(())
}
