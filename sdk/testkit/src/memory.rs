//! The traits of `wpk-api`, in memory: for tests of the engine that take
//! milliseconds, and as the plain words of what each trait asks for.

mod around;
mod store;
mod tables;

pub use around::{Gate, StoreAround};
pub use store::MemoryStore;
pub use tables::Tables;
