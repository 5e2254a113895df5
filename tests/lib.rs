//! The suites that run the real programs (`wpkd`, `wpk-agent`, `wpkctl`) as a
//! user would. There is no library here: what suites share is in `sdk/testkit`.
//!
//! - `end_to_end`: requests and whole upgrades over the real sockets
//! - `recovery`: daemons that are killed
//! - `conformance`: recordings of a real manager and a real agent, replayed
//! - `life`: a task's whole life, and the ways of clients
//! - `shared`: several daemons over one PostgreSQL database
//! - `faults`: what goes wrong around a daemon, as a table
//! - `soak`: two hundred simulated agents, all of that by chance, and what the table
//!   says against what they know
//! - `plugins`: dynamic libraries, good and hostile, the examples, the guide for authors
//!
//! `house` runs nothing: it holds the sources against the rules of core/README.md.
