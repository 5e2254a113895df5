//! The law of the house, held against its sources: who may import whom, no
//! circle of files in any crate, no long file and no long function, one style of
//! modules.
//! core/README.md says it in words.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(missing_docs, unreachable_pub)]

mod circles;
mod imports;
mod modules;
mod platform;
mod sizes;
mod style;
mod text;
mod tree;
