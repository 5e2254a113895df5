//! Why a library is not loaded.

use std::path::PathBuf;
use std::time::Duration;

use wpk_abi::host::Refusal;

/// Why a library is not loaded. Every message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be opened or read.
    #[error("{path}: cannot be read: {cause}", path = .path.display())]
    Io {
        /// The library.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// It is a folder, a device, or whatever else.
    #[error("{path}: is no regular file", path = .0.display())]
    NotRegular(PathBuf),
    /// Larger than any library.
    #[error("{path}: is {length} bytes long; at most {limit} are loaded", path = .path.display())]
    TooLarge {
        /// The library.
        path: PathBuf,
        /// Its length in bytes.
        length: u64,
        /// The most allowed, in bytes.
        limit: u64,
    },
    /// Somebody else owns it.
    #[error(
        "{path}: belongs to user {uid}; a plugin and its folder must belong to root or to the user wpkd runs as: chown it",
        path = .path.display()
    )]
    Owner {
        /// The library or its folder.
        path: PathBuf,
        /// Its owner.
        uid: u32,
    },
    /// Others may change it.
    #[error(
        "{path}: may be written by its group or by anybody (mode {mode:04o}); chmod go-w it",
        path = .path.display()
    )]
    Writable {
        /// The library or its folder.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The bytes are not those that were meant.
    #[error(
        "{path}: its SHA-256 is {found}, the configuration wants {wanted}; install the right file or correct `sha256`",
        path = .path.display()
    )]
    Digest {
        /// The library.
        path: PathBuf,
        /// What it has.
        found: String,
        /// What was wanted.
        wanted: String,
    },
    /// The dynamic linker refuses it.
    #[error("{path}: cannot be loaded: {cause}", path = .path.display())]
    Linker {
        /// The library.
        path: PathBuf,
        /// The linker's words.
        cause: String,
    },
    /// It is no plugin for this version.
    #[error(
        "{path}: does not export `wpk_plugin_entry_v1`, so it is no plugin for this version of wpkd",
        path = .0.display()
    )]
    NoEntry(PathBuf),
    /// It was loaded and did not come back.
    #[error("{path}: did not initialise within {limit:?}", path = .path.display())]
    Hangs {
        /// The library.
        path: PathBuf,
        /// How long it was waited for.
        limit: Duration,
    },
    /// Its table is none this version can use.
    #[error("{path}: {cause}", path = .path.display())]
    Refused {
        /// The library.
        path: PathBuf,
        /// Why.
        cause: Refusal,
    },
    /// Its description makes no sense.
    #[error("{path}: its description {cause}", path = .path.display())]
    Description {
        /// The library.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
}
