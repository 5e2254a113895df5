//! The engine of wpkd.
//!
//! Where things are: requests enter in `intake`; what may be upgraded is
//! decided in [`rules`]; bytes leave to agents in `delivery`; WPKs lie in
//! `cache`; time-outs and clean-up are in `housekeeping`. Whatever all of them
//! need lies in `workshop`, the tasks that are being carried out in `in_hand`.
//! Settings come from `wpk-config`. The engine knows plugins only through the traits of `wpk-api`,
//! and is handed them ([`Components`]).

mod bandwidth;
mod cache;
mod clears;
mod clock;
mod delivery;
mod engine;
mod failure;
mod housekeeping;
mod in_hand;
mod intake;
mod parts;
mod resolver;
pub mod rules;
mod single_flight;
mod trust;
mod workshop;

pub use clock::{Clock, TimerClock, WallClock};
pub use engine::{Engine, EngineError};
pub use parts::{Components, StartError};
