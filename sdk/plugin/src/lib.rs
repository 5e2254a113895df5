//! Write a plugin for `wpkd` in Rust.
//!
//! A plugin is written as the built-in ones are: a struct for its section of the
//! configuration ([`Section`]), a function that opens it, and one of the traits of
//! [`api`]. Name the function in [`export_plugin!`]; the crate's type is `cdylib`.
//! What is unsafe about a C ABI stays in `wpk-abi`.
//!
//! ```no_run
//! use wpk_plugin::api::{
//!     BuildError, ByteStream, Context, Offer, ProviderError, Wanted, WpkProvider,
//! };
//! use wpk_plugin::async_trait;
//!
//! /// The section `[[provider]] type = "shelf"`.
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct ShelfSettings {
//!     /// The folder the files lie in.
//!     folder: std::path::PathBuf,
//! }
//! impl wpk_plugin::Section for ShelfSettings {}
//!
//! struct Shelf(std::path::PathBuf);
//! impl Shelf {
//!     fn open(settings: ShelfSettings, context: &Context) -> Result<Self, BuildError> {
//!         Ok(Self(context.path(settings.folder)))
//!     }
//! }
//!
//! #[async_trait]
//! impl WpkProvider for Shelf {
//!     fn serves(&self, wanted: &Wanted) -> bool {
//!         matches!(wanted, Wanted::Release(_))
//!     }
//!     async fn resolve(&self, _: &Wanted) -> Result<Offer, ProviderError> {
//!         Err(ProviderError::NotListed(self.0.display().to_string()))
//!     }
//!     async fn fetch(&self, offer: &Offer) -> Result<ByteStream, ProviderError> {
//!         Err(ProviderError::NoFile(offer.file_name.clone()))
//!     }
//! }
//!
//! wpk_plugin::export_plugin! {
//!     provider "shelf" = Shelf::open;
//! }
//! # fn main() {}
//! ```
//!
//! What the SDK does for the author: it runs the plugin on a small tokio runtime
//! of its own (two threads, named for the plugin; `tokio::spawn` works
//! everywhere), turns panics into errors, sends `tracing` events and panic
//! messages to the daemon's log, publishes the JSON schema of the settings where
//! there is one ([`schema_of`]), and completes every operation exactly once. Where things are: what an author
//! writes is collected in [`Exports`]; `calls` is entered by the host;
//! `operations` reads questions and asks the traits; `streams`, `source`, `log`
//! and `failure` do what their names say.

#[cfg(panic = "abort")]
compile_error!(
    "a plugin must not be built with `panic = \"abort\"`: a panic would end the daemon instead \
     of one operation; remove it from the profile"
);

mod calls;
mod core;
mod exchange;
mod exports;
mod failure;
mod log;
mod operations;
mod shared_store;
mod source;
mod streams;

pub use exports::Exports;

/// What a section publishes of its settings, with `schemars`.
pub use wpk_api::settings::schema_of;

/// How a plugin is written; see [`api::section`].
pub use wpk_api::section::{NoSettings, Section, plugin};

/// Written above an `impl` of one of the traits.
pub use async_trait::async_trait;

/// What a JSON schema is made of, for [`Section::schema`].
pub use serde_json::Value;

/// The traits and domain types, those a built-in plugin sees.
pub use wpk_api as api;

/// What [`export_plugin!`] expands to needs these; authors do not.
#[doc(hidden)]
pub mod border {
    pub use wpk_abi::export::HostPointer;
    pub use wpk_abi::tables::Plugin;

    pub use crate::calls::enter;
}

/// Exports a library's plugins; written once, in the root of a `cdylib`.
///
/// Each line names a kind (`source`, `directory`, `provider`, `transport`, `store`
/// or `observer`), the `type` of its section in the configuration, and a function
/// `fn(Settings, &Context) -> Result<Plugin, BuildError>` that makes it, where
/// `Settings` is a [`Section`]. It runs inside the plugin's tokio runtime and
/// should not block for long.
///
/// Each line adds what [`plugin`] makes of it to the [`Exports`]. Where plugins
/// share something, or are [factories](api::Factory) already, the other form does
/// that by hand:
///
/// ```ignore
/// wpk_plugin::export_plugin!(|exports| exports.provider(wpk_plugin::plugin("shelf", open)));
/// ```
#[macro_export]
macro_rules! export_plugin {
    (|$exports:ident| $body:expr) => {
        /// The entry of this library's plugins.
        #[allow(unsafe_code)]
        #[unsafe(no_mangle)]
        pub extern "C" fn wpk_plugin_entry_v1(
            host: $crate::border::HostPointer,
        ) -> *const $crate::border::Plugin {
            $crate::border::enter(
                host,
                |$exports: $crate::Exports| -> $crate::Exports { $body },
                env!("CARGO_PKG_NAME"),
                env!("CARGO_PKG_VERSION"),
            )
        }
    };
    ($($kind:ident $type:literal = $open:expr;)+) => {
        $crate::export_plugin!(|exports| exports$(.$kind($crate::plugin($type, $open)))+);
    };
}
