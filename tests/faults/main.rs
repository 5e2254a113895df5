//! What goes wrong around a real daemon: full disks, repositories that do not
//! answer, agents that say the wrong thing at the wrong time.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod acknowledgements;
mod disk;
mod log;
mod removed;
mod slots;
