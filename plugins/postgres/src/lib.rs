//! The task store that several managers share: a PostgreSQL database (PROTOCOL.md,
//! section 3).
//!
//! The engine enters through [`PostgresStore`], which implements [`wpk_api::TaskStore`];
//! the daemon makes one from its settings through [`plugin`]. A call that writes is one
//! transaction that holds the rows it decides about, decides by the rules of `wpk-api`, and
//! sends what has changed together with its COMMIT (`work`, `pending`); a question is one
//! statement.
//!
//! One file per concern: `settings` and `plugin` (the section of the configuration), `place` (where the
//! database is), `tls`, `pool` (connections and statements), `database` (calls are tried until they are answered), `fault` (errors), `schema` (the
//! tables), `rows` (how a row becomes a task), `create`, `moves`, `begin` and `ends` (tasks
//! come, move and go), `documents`, `entries` (who may write, and for whom), `readers` (how far they have come),
//! `read` (the questions), `listen` (news of other nodes), `examine` (what the doctor is
//! told), `store` and `calls`.

mod attempts;
mod begin;
mod calls;
mod create;
mod database;
mod documents;
mod ends;
mod entries;
mod examine;
mod fault;
mod history;
mod listen;
mod moves;
mod pending;
mod place;
mod plugin;
mod pool;
mod read;
mod readers;
mod rows;
mod schema;
mod settings;
mod store;
mod tls;
mod together;
mod work;

pub use plugin::plugin;
pub use settings::{Settings, Tls};
pub use store::PostgresStore;
