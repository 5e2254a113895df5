//! The CA store (`ca_store` of sections 8 and 11): the certificates an
//! administrator trusts to issue signing certificates. Loaded from files and
//! folders, entered by everybody who verifies a package.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::certificate::{self, CertificateSummary};

/// Greatest size of one file of the store, in bytes.
const FILE_LIMIT: u64 = 1024 * 1024;
/// Greatest number of files read from one folder.
const FOLDER_LIMIT: usize = 1_000;
/// Greatest number of certificates of one store.
const CERTIFICATE_LIMIT: usize = 1_000;

/// No usable CA certificate.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// None of the files and folders gave a certificate.
    #[error(
        "no CA certificate could be loaded from {paths}; set ca_store to a PEM file or a folder \
         of certificates{}", because(.problems)
    )]
    Empty {
        /// The configured files and folders, with commas.
        paths: String,
        /// What was wrong with each, by path.
        problems: Vec<String>,
    },
}

fn because(problems: &[String]) -> String {
    problems
        .iter()
        .map(|problem| format!("; {problem}"))
        .collect()
}

/// The trusted CA certificates.
#[derive(Debug, Clone)]
pub struct CaStore {
    certificates: Vec<Vec<u8>>,
    problems: Vec<String>,
}

impl CaStore {
    /// Loads PEM (several certificates in a file are fine) or DER
    /// certificates from files and folders. A folder gives every certificate
    /// file directly inside it, under a hashed name or any other; files in
    /// it that hold no certificate are passed over. What could not be read
    /// is kept in [`CaStore::problems`]: one bad path must not take the
    /// trust away from the others.
    ///
    /// # Errors
    /// [`StoreError::Empty`] when there is not one certificate in the end.
    pub fn load<P: AsRef<Path>>(paths: &[P]) -> Result<Self, StoreError> {
        let mut store = Self {
            certificates: Vec::new(),
            problems: Vec::new(),
        };
        for path in paths {
            let path = path.as_ref();
            match fs::metadata(path) {
                Ok(meta) if meta.is_dir() => store.add_folder(path),
                Ok(_) => store.add_file(path),
                Err(error) => store.problem(path, &error.to_string()),
            }
        }
        if store.certificates.is_empty() {
            let paths: Vec<_> = paths
                .iter()
                .map(|p| p.as_ref().display().to_string())
                .collect();
            return Err(StoreError::Empty {
                paths: paths.join(", "),
                problems: store.problems,
            });
        }
        Ok(store)
    }

    /// Takes the certificates of a PEM text.
    ///
    /// # Errors
    /// [`StoreError::Empty`] when the text holds no usable certificate.
    pub fn from_pem(text: &[u8]) -> Result<Self, StoreError> {
        match certificate::from_pem(text, CERTIFICATE_LIMIT) {
            Ok(certificates) => Ok(Self {
                certificates,
                problems: Vec::new(),
            }),
            Err(reason) => Err(StoreError::Empty {
                paths: "a PEM text".to_owned(),
                problems: vec![reason],
            }),
        }
    }

    /// The certificates as a PEM text.
    #[must_use]
    pub fn to_pem(&self) -> String {
        let ders = self.certificates.iter();
        ders.map(|der| pem::encode(&pem::Pem::new("CERTIFICATE", der.clone())))
            .collect()
    }

    /// What there is to tell about each trusted certificate.
    #[must_use]
    pub fn certificates(&self) -> Vec<CertificateSummary> {
        certificate::summaries(&self.certificates)
    }

    /// Paths that could not be used, and why; worth a warning in a log.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// The DER of the certificates; each of them parses.
    pub(crate) fn ders(&self) -> &[Vec<u8>] {
        &self.certificates
    }

    fn problem(&mut self, path: &Path, reason: &str) {
        self.problems.push(format!("{}: {reason}", path.display()));
    }

    fn add_folder(&mut self, folder: &Path) {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return self.problem(folder, &error.to_string()),
        };
        let mut files: Vec<PathBuf> = entries
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .take(FOLDER_LIMIT + 1)
            .collect();
        if files.len() > FOLDER_LIMIT {
            self.problem(
                folder,
                &format!("more than {FOLDER_LIMIT} files; the rest is not read"),
            );
            files.truncate(FOLDER_LIMIT);
        }
        files.sort();
        for file in files {
            // Follows links: hashed names usually are links. Anything but a
            // regular file (a pipe would block) is passed over.
            if fs::metadata(&file).is_ok_and(|meta| meta.is_file()) {
                self.add_file(&file);
            }
        }
    }

    fn add_file(&mut self, path: &Path) {
        match read_certificates(path) {
            Ok(found) => {
                for der in found {
                    if self.certificates.contains(&der) {
                        continue;
                    }
                    if self.certificates.len() == CERTIFICATE_LIMIT {
                        let reason = format!("more than {CERTIFICATE_LIMIT} certificates");
                        return self.problem(path, &reason);
                    }
                    self.certificates.push(der);
                }
            }
            Err(reason) => self.problem(path, &reason),
        }
    }
}

fn read_certificates(path: &Path) -> Result<Vec<Vec<u8>>, String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    if !file.metadata().map_err(|e| e.to_string())?.is_file() {
        return Err("no regular file".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(FILE_LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| e.to_string())?;
    if bytes.len() as u64 > FILE_LIMIT {
        return Err(format!("longer than {FILE_LIMIT} bytes"));
    }
    // DER of a certificate starts with a SEQUENCE; PEM is text.
    if bytes.first() == Some(&0x30) {
        certificate::parse(&bytes)?;
        return Ok(vec![bytes]);
    }
    certificate::from_pem(&bytes, CERTIFICATE_LIMIT)
}
