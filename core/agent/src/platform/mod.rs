//! What only the system can do, one module per concern: `files` (rights, links, locks),
//! `processes` (installers, and all that comes of them), `service` (how whoever runs
//! the agent speaks to it). Nothing else in this crate calls the system by other ways
//! than Rust's library has for all systems, so another system is another body of these
//! three. What is decided stands elsewhere; here is only how it is done.

pub(crate) mod files;
pub(crate) mod processes;
pub(crate) mod service;
