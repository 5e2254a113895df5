//! Plugins that are dynamic libraries in the real daemon: good ones upgrade
//! agents, hostile ones do no harm, and the configuration says what is wrong.
//! The examples are run as authors would run theirs, and the guide for authors
//! is followed to the letter.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod border;
mod common;
mod configuration;
mod crash;
mod example_suites;
mod examples;
mod guide;
mod hostile;
mod observers;
mod readmes;
mod store;
mod toolchains;
mod upgrades;
