//! Requests and whole upgrades over the real sockets of a real daemon.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod agent_list;
mod causes;
mod clients;
mod configuration;
mod documentation;
mod dry_run;
mod embedded;
mod failures;
mod files;
mod large;
mod metrics;
mod outcomes;
mod refusals;
mod secrets;
mod takeover;
mod upgrades;
