//! The engine of wpkd.
//!
//! Where things are: requests enter in [`intake`]; what may be upgraded is
//! decided in [`rules`]; bytes leave to agents in [`delivery`]; WPKs lie in
//! `cache`; time-outs and clean-up are in `housekeeping`; settings in
//! [`config`]; plugins are named in [`registry`], and those that are dynamic
//! libraries are loaded in [`plugin`]. The engine knows plugins only through the
//! traits of `wpk-api`.

mod bandwidth;
mod cache;
mod clock;
pub mod config;
mod delivery;
mod engine;
mod failure;
mod housekeeping;
mod intake;
pub mod plugin;
mod progress;
pub mod registry;
mod resolver;
pub mod rules;
mod single_flight;
mod trust;

pub use engine::{Engine, EngineError};
pub use registry::{Components, Registry, StartError};
