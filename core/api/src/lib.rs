//! What a plugin implements and what the engine passes to it.
//!
//! This crate is the whole world of a plugin: the six traits
//! ([`RequestSource`], [`AgentDirectory`], [`WpkProvider`], [`Transport`],
//! [`TaskStore`], [`TaskObserver`]), the domain types that cross them, and the way settings reach
//! a plugin. It does no I/O and imports no other crate of the project; a
//! built-in plugin sees exactly what a third party sees.
//!
//! One file per concern: a trait lives with its errors and the types only it
//! uses; types that several rooms share ([`AgentInfo`], [`Version`], [`Task`],
//! [`Order`]) have files of their own. What a WPK repository looks like is in
//! [`repository`], where authors of providers start.
//!
//! The smallest provider, that of a site with one file for everybody:
//!
//! ```
//! use async_trait::async_trait;
//! use wpk_api::{
//!     ByteStream, Offer, OfferSource, ProviderError, Wanted, WpkProvider,
//! };
//!
//! struct OneForAll;
//!
//! #[async_trait]
//! impl WpkProvider for OneForAll {
//!     fn serves(&self, wanted: &Wanted) -> bool {
//!         matches!(wanted, Wanted::Release(_))
//!     }
//!
//!     async fn resolve(&self, _: &Wanted) -> Result<Offer, ProviderError> {
//!         Ok(Offer {
//!             file_name: "agent.wpk".into(),
//!             version: None,
//!             sha1: None,
//!             source: OfferSource::Local("/srv/wpk/agent.wpk".into()),
//!         })
//!     }
//!
//!     async fn fetch(&self, _: &Offer) -> Result<ByteStream, ProviderError> {
//!         unreachable!("a local file is read in place")
//!     }
//! }
//! ```

mod agent;
mod authority;
pub mod border;
mod change;
mod dialect;
mod digest;
mod directory;
mod document;
mod entry;
pub mod examine;
mod id;
pub mod manage;
mod observer;
mod order;
mod outlook;
pub mod paths;
mod plugin;
mod provider;
pub mod repository;
pub mod section;
pub mod settings;
mod source;
mod store;
mod task;
mod time;
mod timeline;
mod transport;
mod version;
pub mod words;

pub use agent::{AgentInfo, ConnectionStatus, Platform};
pub use authority::{CaCertificate, CaReport, CaStep, CaWish};
pub use change::{Change, Changed, Revision};
pub use dialect::Dialect;
pub use digest::{Digests, MOST_DIGESTS, ParseSha1Error, ParseSha256Error, Sha1, Sha256};
pub use directory::{AgentDirectory, AgentPage, DirectoryError, Enrollment};
pub use document::{
    Attempt, AttemptChange, AttemptWrite, Document, DocumentWrite, Fence, Guard, LONGEST_DOCUMENT,
    LONGEST_KEY, LONGEST_MARK, NewDocument,
};
pub use entry::{Entered, Entrance, Entry, Held, Holder, Incarnation, NodeState};
pub use id::{AgentId, InvalidAgentId, TaskId};
pub use manage::{AgentChange, AgentDetails, IssuedToken, Labels, TokenInfo, TokenWish};
pub use observer::{ObserverError, TaskObserver};
pub use order::{KeptOrder, KeptWish, Order, Target, Wanted, WantedFile, WantedRelease};
pub use outlook::Outlook;
pub use plugin::{
    BuildError, Context, Demands, Factory, Need, NodeInfo, Occupied, PluginKind, Resource, Role,
};
pub use provider::{ByteStream, Listed, Offer, OfferSource, ProviderError, WpkProvider};
pub use repository::{PackageType, UnknownPackageType};
pub use source::{Endpoint, Peer, Request, RequestService, RequestSource, SourceError};
pub use store::{
    Awaiting, Cancel, Claimed, Created, Imported, NewTask, OLDEST_STORE_CONTRACT, Overdue,
    STORE_CONTRACT, Selector, StoreError, StoreResult, TaskKind, TaskPage, TaskPlace, TaskQuery,
    TaskStore, Transition, TransitionResult,
};
pub use task::{Command, Confirmation, Mover, Standing, Status, Task};
pub use time::UnixTime;
pub use timeline::{Cause, LONGEST_TIMELINE, TimelineEntry, TimelineStep};
pub use transport::{PEER_MAX_COMMAND, PEER_MAX_PAYLOAD, Transport, TransportError};
pub use version::{ParseVersionError, Version};

/// The signal that ends long-running work, handed to every [`RequestSource`].
pub use tokio_util::sync::CancellationToken;
