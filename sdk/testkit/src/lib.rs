//! What tests need around the real parts: fake peers with knobs, clients that
//! speak the wire, real processes that end with their test, folders of a manager.
//!
//! Everything here waits for events, with a deadline; nothing sleeps and hopes.
//! The fakes read the wire by themselves where they can, so that a mistake in
//! the project's own messages is not repeated on the other side.
//!
//! The suite for all stores, on the one in memory:
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use wpk_api::TaskStore;
//! # async fn example() {
//! wpk_testkit::store_suite::run(async || {
//!     Arc::new(wpk_testkit::memory::MemoryStore::new()) as Arc<dyn TaskStore>
//! })
//! .await;
//! # }
//! ```

pub mod channel_agent;
pub mod channel_enroll;
pub mod client;
pub mod cluster;
pub mod cluster_suite;
pub mod directory_suite;
mod executable;
pub mod files;
pub mod fleet;
pub mod home;
pub mod http;
pub mod library;
pub mod log;
pub mod manager;
pub mod memory;
pub mod modulesd;
pub mod observer_suite;
pub mod postgres;
pub mod process;
pub mod provider_suite;
pub mod remoted;
pub mod repository;
mod server;
pub mod settings_suite;
pub mod skipped;
pub mod source_suite;
pub mod stands;
pub mod store_bench;
pub mod store_history;
pub mod store_suite;
pub mod suite;
pub mod tls;
pub mod transport_suite;
pub mod wdb;
pub mod wpk;

pub use client::{Client, ask, ask_json, wait_until};
pub use executable::write_executable;
pub use fleet::{fleet, release};
pub use home::Home;
pub use manager::Manager;
pub use modulesd::FakeModulesd;
pub use postgres::PostgresServer;
pub use process::{Process, binary};
pub use remoted::FakeRemoted;
pub use repository::Repository;
pub use wdb::FakeWazuhDb;
