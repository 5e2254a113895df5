//! What the parts of the channel hold in common: the [`Core`] lives as long as
//! the channel, [`Serving`] as long as its listener. Nothing is done here.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;
use wpk_api::{CancellationToken, RequestService};

use crate::limits::{Quiet, Renewals, Tries};
use crate::links::Links;
use crate::pki::Authority;
use crate::registry::Registry;
use crate::settings::Settings;
use crate::tls::{Identity, Judge};

/// What the listener and the sessions share with the channel.
pub(crate) struct Core {
    pub(crate) settings: Settings,
    pub(crate) authority: Authority,
    pub(crate) identity: Arc<Identity>,
    pub(crate) judge: Arc<Judge>,
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) registry: Registry,
    pub(crate) links: Arc<Links>,
    /// Held by whoever changes the CAs. Whether something has yet to follow from a change.
    pub(crate) unfollowed: Mutex<bool>,
    /// The CAs are not those that all have, and cannot be now.
    pub(crate) behind: AtomicBool,
    /// When others' agents were last looked at, and whether that could be.
    pub(crate) looked: tokio::sync::Mutex<Option<(Instant, bool)>>,
}

/// What the sessions of one listener share.
pub(crate) struct Serving {
    pub(crate) core: Arc<Core>,
    pub(crate) service: Arc<dyn RequestService>,
    /// Sessions and acknowledgements under way.
    pub(crate) tasks: TaskTracker,
    /// No more agents.
    pub(crate) stop: CancellationToken,
    /// Enrolments that are refused, by address.
    pub(crate) tries: Tries,
    /// Enrolments under way at a time.
    pub(crate) enrolling: Semaphore,
    /// Renewals of each agent.
    pub(crate) renewals: Renewals,
    /// Log lines about connections that never became an agent's.
    pub(crate) quiet: Quiet,
}
