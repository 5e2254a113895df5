//! `type = "local-file"`: the WPK of an `upgrade_custom` request, a file on this
//! machine (PROTOCOL.md, section 2).
//!
//! `settings` is the section of the configuration, `locate` decides whether a
//! path leads to a file that may be sent, `provider` makes an offer of it. The
//! file is not copied: the engine reads it in place.

mod locate;
mod provider;
mod settings;

pub use provider::plugin;
pub use settings::Settings;
