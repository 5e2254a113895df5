//! The life of an agent's identity with the real programs: how it begins, with a token or in
//! a folder; that it renews itself, also after an absence; how a fleet outlives its CA.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod absence;
mod backup;
mod enrolment;
mod fleet;
mod site;
