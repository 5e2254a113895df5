//! Requests and responses of the two sockets: the documented examples, what is
//! asked for in which dialect, and that printing and parsing agree.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;
mod documented;
mod json;
mod words;
