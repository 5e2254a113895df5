//! `type = "repository"`: WPK files of releases from HTTPS and HTTP repositories
//! (PROTOCOL.md, section 4).
//!
//! Where things lie in a repository is not known here but in
//! [`wpk_api::repository`], where authors of other providers find it too.
//! `serve` is what the engine asks; `provider` asks for a list of versions (`list`) and makes
//! an offer of it, `download` streams the file and goes on where a broken connection stopped,
//! `client` holds what both need from HTTP, `tls` whom we trust, `proxy` the way there,
//! `login` who we are, `hosts` which hosts a request may name, `settings` the section of the
//! configuration, of which `factory` makes a provider. `stock` tells which versions there
//! are; `examine` looks at a repository, and at the `clock` against it, for `wpkctl doctor`.

mod causes;
mod client;
mod clock;
mod download;
mod examine;
mod factory;
mod hosts;
mod list;
mod login;
mod provider;
mod proxy;
mod serve;
mod settings;
mod stock;
mod tls;

pub use factory::plugin;
pub use settings::Settings;
