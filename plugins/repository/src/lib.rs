//! `type = "repository"`: WPK files of releases from HTTPS and HTTP repositories
//! (protocol.md, section 4).
//!
//! Where things lie in a repository is pure and has two rooms: [`base`] (which
//! repository) and [`layout`] (which folder and file in it); [`versions`] reads
//! its list. `provider` asks for that list and makes an offer of it, `download`
//! streams the file and goes on where a broken connection stopped, `client`
//! holds what both need from HTTP and TLS, `settings` the section of the
//! configuration.

pub mod base;
mod client;
mod download;
pub mod layout;
mod provider;
mod settings;
pub mod versions;

pub use provider::RepositoryFactory;
pub use settings::Settings;
