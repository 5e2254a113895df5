//! What an administrator writes: selectors, windows, definitions.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(missing_docs, unreachable_pub)]

mod definitions;
mod selectors;
mod windows;
