//! The store on a server of its own: the suites, and what can go wrong between the two.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod access;
mod common;
mod documents;
mod examine;
mod lost;
mod many;
mod outages;
mod plans;
mod pooler;
mod proxy;
mod suite;
mod tables;
