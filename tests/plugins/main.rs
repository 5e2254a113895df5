//! Plugins that are dynamic libraries in the real daemon: good ones upgrade
//! agents, hostile ones do no harm, and the configuration says what is wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod border;
mod common;
mod configuration;
mod hostile;
mod store;
mod toolchains;
