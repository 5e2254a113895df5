//! The traits of `wpk-api`, in memory: for tests of the engine that take
//! milliseconds, and as the plain words of what each trait asks for.

mod store;
mod tables;

pub use store::MemoryStore;
pub use tables::Tables;
