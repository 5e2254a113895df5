//! The life of an agent's identity with the real programs: how it begins, with a token or in
//! a folder.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod enrolment;
mod fleet;
mod site;
