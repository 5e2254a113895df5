//! Who signed a package, and whether the bytes are the signed ones: the
//! chain check, then RSA PKCS#1 v1.5 over the SHA-256 of the payload
//! (section 8). The result, [`Verified`], is the only key to the payload.

use std::io::{Read, Seek, SeekFrom};
use std::time::SystemTime;

use rsa::pkcs8::DecodePublicKey;
use rsa::{Pkcs1v15Sign, PublicKey};
use sha2::{Digest, Sha256};
use x509_parser::prelude::X509Certificate;
use x509_parser::public_key::PublicKey as ParsedKey;

use crate::certificate::{self, CertificateSummary, unix_seconds};
use crate::chain;
use crate::digest::pump;
use crate::error::{PackageError, SignatureError};
use crate::file::FileError;
use crate::reader::{Package, SIGNATURE};
use crate::store::CaStore;

/// Whom to believe.
#[derive(Debug, Clone, Copy)]
pub enum Trust<'a> {
    /// Signers whose certificate chains to a CA of the store.
    Store(&'a CaStore),
    /// Anybody: the signature must fit the package's own certificate, but no
    /// CA vouches for it. For `ca_verification` switched off.
    AnySigner,
}

/// A package whose signature was found good, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    signer: CertificateSummary,
    pub(crate) payload_sha256: [u8; 32],
}

impl Verified {
    /// The signer's certificate.
    #[must_use]
    pub fn signer(&self) -> &CertificateSummary {
        &self.signer
    }
}

impl<R: Read> Package<R> {
    /// Verifies a package that can be read only once; nothing of it can be
    /// unpacked afterwards (see [`unpack_from`](crate::unpack_from)).
    ///
    /// # Errors
    /// Stage [`Signature`](crate::Stage::Signature).
    pub fn verify_stream(
        mut self,
        trust: Trust<'_>,
        at: SystemTime,
    ) -> Result<Verified, PackageError> {
        self.check(trust, at)
            .map_err(|error| PackageError::signature(&self.label, error))
    }

    /// The chain first, because it is cheap, then one pass over the payload,
    /// which must be next in the reader.
    pub(crate) fn check(
        &mut self,
        trust: Trust<'_>,
        at: SystemTime,
    ) -> Result<Verified, SignatureError> {
        let (signer, key) = self.signer(trust, at)?;
        let mut hash = Sha256::new();
        pump(&mut self.payload, |chunk| hash.update(chunk))
            .map_err(|error| FileError::labelled("read", &self.label, error))?;
        let payload_sha256: [u8; 32] = hash.finalize().into();
        key.verify(
            Pkcs1v15Sign::new::<Sha256>(),
            &payload_sha256,
            &self.signature,
        )
        .map_err(|_| SignatureError::Mismatch {
            subject: signer.subject.clone(),
        })?;
        Ok(Verified {
            signer,
            payload_sha256,
        })
    }

    /// The signer and its key, the chain checked as `trust` asks.
    pub(crate) fn signer(
        &self,
        trust: Trust<'_>,
        at: SystemTime,
    ) -> Result<(CertificateSummary, PublicKey), SignatureError> {
        let bad = |reason| SignatureError::BadCertificate { reason };
        let chain = parse_all(&self.certificates).map_err(bad)?;
        if let Trust::Store(store) = trust {
            let anchors = parse_all(store.ders()).map_err(bad)?;
            chain::check(&chain, &anchors, unix_seconds(at))?;
        }
        let leaf = chain
            .first()
            .ok_or_else(|| bad("there is none".to_owned()))?;
        Ok((certificate::summary(leaf), rsa_key(leaf)?))
    }
}

impl<R: Read + Seek> Package<R> {
    /// Verifies the package: certificate chain at time `at`, then the
    /// signature over the whole payload. May be called again.
    ///
    /// # Errors
    /// Stage [`Signature`](crate::Stage::Signature); the message says which
    /// certificate is at fault and why.
    pub fn verify(&mut self, trust: Trust<'_>, at: SystemTime) -> Result<Verified, PackageError> {
        self.rewind()?;
        self.check(trust, at)
            .map_err(|error| PackageError::signature(&self.label, error))
    }

    /// Goes to the first byte of the payload.
    pub(crate) fn rewind(&mut self) -> Result<(), PackageError> {
        let start = SeekFrom::Start(self.payload_start);
        self.payload.seek(start).map(drop).map_err(|error| {
            PackageError::signature(
                &self.label,
                FileError::labelled("seek in", &self.label, error),
            )
        })
    }
}

fn parse_all(ders: &[Vec<u8>]) -> Result<Vec<X509Certificate<'_>>, String> {
    ders.iter().map(|der| certificate::parse(der)).collect()
}

/// The RSA key of a certificate, if it can make signatures of 256 bytes.
pub(crate) fn rsa_key(certificate: &X509Certificate<'_>) -> Result<PublicKey, SignatureError> {
    let subject = || certificate::name(certificate.subject());
    let Ok(ParsedKey::RSA(parsed)) = certificate.public_key().parsed() else {
        return Err(SignatureError::KeyNotRsa { subject: subject() });
    };
    let digits = parsed.modulus.iter().skip_while(|byte| **byte == 0);
    let bits = digits.clone().count() * 8
        - digits
            .clone()
            .next()
            .map_or(0, |first| first.leading_zeros() as usize);
    if bits.div_ceil(8) != SIGNATURE {
        return Err(SignatureError::KeySize {
            subject: subject(),
            bits,
        });
    }
    PublicKey::from_public_key_der(certificate.public_key().raw)
        .map_err(|_| SignatureError::KeyNotRsa { subject: subject() })
}
