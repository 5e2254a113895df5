//! Reading settings from real files and variables: every mistake at once, each
//! with its file and key.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;
mod mistakes;
mod whole;
