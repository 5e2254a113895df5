//! The engine of wpkd.
//!
//! Where things are: requests enter in `intake`; what may be upgraded is
//! decided in [`rules`]; bytes leave to agents in `delivery`; WPKs lie in
//! `cache`; time-outs and clean-up are in `housekeeping`. Whatever all of them
//! need lies in `workshop`, the tasks that are being carried out in `in_hand`;
//! `limits` changes what can be changed while it runs, `metrics` counts. Its place in a store
//! that several managers share is in `membership`.
//! Settings come from `wpk-config`. The engine knows plugins only through the traits of `wpk-api`,
//! and is handed them ([`Components`]).
//!
//! An engine in memory, as the tests in `tests/engine` have it:
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use wpk_testkit::memory::{MemoryDirectory, MemoryStore, MemoryTransport};
//! # async fn example(settings: wpk_config::Settings) -> Result<(), Box<dyn std::error::Error>> {
//! let parts = wpk_runtime::Components {
//!     sources: Vec::new(),
//!     directory: Arc::new(MemoryDirectory::default()),
//!     providers: Vec::new(),
//!     transport: Arc::new(MemoryTransport::default()),
//!     store: Arc::new(MemoryStore::new()),
//!     observers: Vec::new(),
//! };
//! let engine = wpk_runtime::Engine::new(settings, parts)?;
//! let service = engine.service(); // what a RequestSource hands its requests to
//! engine.run(wpk_api::CancellationToken::new()).await?;
//! # drop(service);
//! # Ok(())
//! # }
//! ```

mod bandwidth;
mod cache;
mod clears;
mod clock;
mod delivery;
mod engine;
mod failure;
mod following;
mod housekeeping;
mod in_hand;
mod intake;
mod limits;
mod manager_version;
mod membership;
mod metrics;
mod observers;
mod outlook;
mod parts;
mod recover;
mod resolver;
mod rollout;
pub mod rules;
mod single_flight;
mod stock;
mod trust;
mod vitals;
mod wishes;
mod workshop;

pub use clock::{Clock, TimerClock, WallClock};
pub use engine::{Engine, EngineError};
pub use limits::Control;
pub use outlook::outlook;
pub use parts::{Components, NamedObserver, PluginState, StartError};
