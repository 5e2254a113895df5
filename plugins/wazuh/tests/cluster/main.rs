//! The store of a worker node against a fake cluster daemon over a real socket.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod broken;
mod common;
mod life;
mod restart;
