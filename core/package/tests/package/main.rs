//! The WPK file at its border: real files, real keys, hostile bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod chain;
mod common;
mod hostile;
mod recorded;
mod roundtrip;
mod section8;
mod store;
