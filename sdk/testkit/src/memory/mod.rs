//! The traits of `wpk-api`, in memory: for tests of the engine that take
//! milliseconds, and as the plain words of what each trait asks for. What goes
//! wrong is scripted; what happened can be looked at and waited for.

mod around;
mod directory;
mod documents;
mod ends;
mod entries;
mod feed;
mod fenced;
mod imports;
mod lossy;
mod observer;
mod orphans;
mod provider;
mod source;
mod store;
mod tables;
mod transport;

pub use crate::remoted::agent::{Agent as Hands, Command as Sent, Form, parse as take_apart};
pub use around::{Carried, Gate, StoreAround};
pub use directory::{MemoryDirectory, agent};
pub use lossy::{Lossy, Lost};
pub use observer::{Instead, MemoryObserver};
pub use provider::{MemoryProvider, Trouble};
pub use source::Waiting;
pub use store::MemoryStore;
pub use tables::Tables;
pub use transport::{MemoryTransport, Say};
