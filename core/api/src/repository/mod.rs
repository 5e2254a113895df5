//! A repository of WPK files: what is where, and under which name
//! (PROTOCOL.md, section 4). Start here to write a provider that reads one, or
//! a tool that fills one.
//!
//! A repository is a tree of folders with files, behind HTTP, in a bucket, or
//! on a disk. Nothing here reads any of it: this room knows *names*, and the
//! caller brings the bytes. One file per question:
//!
//! - Which repository? [`Base`]: what a request or a configuration wrote, made
//!   complete, or the public one.
//! - Which folder in it, and which file? [`Place`], found by a row of the table
//!   of section 4, a [`Layout`].
//! - What is listed there? [`Versions`] reads the folder's `versions`;
//!   [`add_version`] writes it.
//! - Whose packages are `deb`, whose `rpm`? [`PackageType`].
//! - The other way round, what does a file's name tell? [`ReleaseName`], and
//!   [`platform`] for platforms in the words of people.
//!
//! The words that make up a path come from agents and requests, and end up in
//! URLs and in file names of this machine. So they are taken only where they
//! look like such words ([`is_word`]): what a [`Place`] answers is always
//! relative, leads to no folder above, and is safe to append to a base.
//!
//! # A provider's `resolve`
//!
//! All that a provider has to add is how a file is read. Errors turn into
//! [`ProviderError`](crate::ProviderError) by `?`, each with the code of
//! section 2 that belongs to it.
//!
//! ```
//! use wpk_api::repository::{Layout, Place, Versions};
//! use wpk_api::{Offer, OfferSource, Platform, ProviderError, Target, Version, WantedRelease};
//!
//! /// Stands for the bucket, the share or the server: the bytes at a path.
//! fn read(path: &str) -> Result<Vec<u8>, ProviderError> {
//!     match path {
//!         "linux/deb/amd64/versions" => Ok(b"v4.14.1 4f2d06a2af3802730ed038e5a070815a525afdc4\n\
//!             v4.14.0 da39a3ee5e6b4b0d3255bfef95601890afd80709\n".to_vec()),
//!         _ => Err(ProviderError::NotReachable(format!("{path}: no such file"))),
//!     }
//! }
//!
//! fn resolve(release: &WantedRelease) -> Result<Offer, ProviderError> {
//!     let (platform, kind) = (&release.platform, release.package_type);
//!     // Each version lies where its number puts it; the newest lies in the current layout.
//!     let place = match &release.target {
//!         Target::Exactly(version) => Place::of(platform, kind, *version)?,
//!         Target::Latest => Layout::current(platform).place(platform, kind)?,
//!         Target::Invalid(text) => return Err(ProviderError::NotListed(text.clone())),
//!     };
//!     let versions = Versions::parse(&read(&place.versions())?)?;
//!     let listed = match &release.target {
//!         Target::Exactly(version) => versions.find(*version).map(|sha1| (*version, sha1)),
//!         _ => versions.latest(),
//!     };
//!     let not_listed = || ProviderError::NotListed(format!("not in {}", place.versions()));
//!     let (version, sha1) = listed.ok_or_else(not_listed)?;
//!     Ok(Offer {
//!         file_name: place.file_name(version),
//!         version: Some(version),
//!         sha1: Some(sha1),
//!         source: OfferSource::Download(place.file(version)),
//!     })
//! }
//!
//! # fn main() -> Result<(), ProviderError> {
//! let mut wanted = WantedRelease {
//!     platform: Platform {
//!         name: Some("ubuntu".into()),
//!         arch: Some("x86_64".into()),
//!         ..Platform::default()
//!     },
//!     target: Target::Latest,
//!     repository: None,
//!     use_http: false,
//!     package_type: wpk_api::PackageType::of_platform("ubuntu"),
//! };
//! assert_eq!(resolve(&wanted)?.file_name, "wazuh_agent_v4.14.1_linux_amd64.deb.wpk");
//!
//! wanted.target = Target::Exactly(Version::new(4, 14, 0));
//! let path = "linux/deb/amd64/wazuh_agent_v4.14.0_linux_amd64.deb.wpk";
//! assert_eq!(resolve(&wanted)?.source, OfferSource::Download(path.into()));
//!
//! wanted.target = Target::Exactly(Version::new(4, 13, 0));
//! assert!(matches!(resolve(&wanted), Err(ProviderError::NotListed(_))));
//! # Ok(())
//! # }
//! ```
//!
//! `examples/provider-rust` is a whole provider that starts from here, and
//! `plugins/repository` the built-in one.

mod arch;
mod base;
mod edit;
mod layout;
mod line;
mod login;
mod names;
mod package_type;
mod versions;
mod word;

pub use base::{Base, BaseError, MAX_BASE, UNKNOWN_MANAGER};
pub use edit::{EditError, Edited, add_version};
pub use layout::{Layout, Place};
pub use line::{MAX_BYTES, MAX_LINES, VersionsError};
pub use login::{Login, shown};
pub use names::{ReleaseName, platform};
pub use package_type::{PackageType, UnknownPackageType};
pub use versions::{Entry, Versions};
pub use word::{LayoutError, MAX_WORD, Part, is_word};
