//! Rollouts carried out. `wpk-rollout` says what is to be done; here is gathered what it
//! needs to know (`eyes.rs`), done what it says (`act.rs`), by one daemon at a time
//! (`seat.rs`), whenever something changed (`run.rs`). What operators want is written into
//! the same documents, at any node (`command.rs`). Nothing is kept in memory that could
//! not be read anew.

mod act;
mod book;
mod command;
mod eyes;
mod fleet;
mod links;
mod log;
mod look;
mod pace;
mod pins;
mod run;
mod seat;
mod sources;
mod spread;
mod state;
mod tasks;

pub(crate) use book::{Book, Denial, Hold, KeptReleases, ROLLOUTS, name_of};
pub(crate) use command::{Asked, Who, change};
pub(crate) use eyes::View;
pub(crate) use links::Link;
pub(crate) use log::{Event, PLANNER, read as history};
pub(crate) use look::{labels, sites, view};
pub(crate) use run::run;
pub(crate) use state::Rollouts;
pub(crate) use tasks::{attempts_of, target_of};
