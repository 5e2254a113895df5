//! The WPK file of PROTOCOL.md, section 8: open, verify, unpack, build, sign
//! and look into. This crate is a leaf: it knows files and certificates,
//! nothing of agents, tasks or sockets. It is synchronous (`std::io`);
//! callers in an async runtime enter it through their blocking pool.
//!
//! Nothing here grows with the size of a file: every step streams through
//! buffers of fixed size, and every length, count and depth that a package
//! states is held against [`Limits`].
//!
//! The agent's upgrade command (section 7) goes step by step:
//! [`Package::open`], [`Package::verify`], [`Package::gunzip_to`],
//! [`check_merged`], [`unmerge`]; each error names its [`Stage`]. The
//! administrator's tool uses [`unpack()`], [`inspect()`] and [`build()`].
//!
//! What a file claims to be, without believing it:
//!
//! ```no_run
//! use std::time::SystemTime;
//!
//! let path = "wazuh_agent_v4.14.9_linux_amd64.deb.wpk".as_ref();
//! let limits = wpk_package::Limits::default();
//! let summary = wpk_package::inspect(path, None, SystemTime::now(), &limits)?;
//! println!("{} bytes, {} files", summary.size, summary.contents.entries.len());
//! # Ok::<(), wpk_package::PackageError>(())
//! ```

pub mod authority;
mod build;
mod certificate;
mod chain;
mod digest;
mod error;
mod file;
mod folder;
mod gunzip;
mod inspect;
mod limits;
mod merged;
mod name;
mod reader;
mod signer;
mod store;
mod unpack;
mod verify;

pub use build::{BuildOptions, Built, Source, build, collect_folder};
pub use certificate::CertificateSummary;
pub use chain::ChainError;
pub use digest::{sha1_hex, sha1_of_file};
pub use error::{
    BuildError, PackageError, SignatureError, SignerError, Stage, UncompressError, UnmergeError,
};
pub use file::FileError;
pub use inspect::{Summary, inspect};
pub use limits::Limits;
pub use merged::{Contents, Entry, check_merged};
pub use name::NameError;
pub use reader::Package;
pub use signer::Signer;
pub use store::{CaStore, StoreError};
pub use unpack::{Modes, UnpackOptions, Unpacked, unmerge, unpack, unpack_from};
pub use verify::{Trust, Verified};
