//! The channel itself: one object that is the embedded manager's [`Transport`],
//! [`AgentDirectory`](wpk_api::AgentDirectory) and [`RequestSource`]. This file opens it
//! and carries commands; [`crate::directory`] knows the agents, [`crate::listener`]
//! accepts, [`crate::session`] talks.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::net::{TcpListener, TcpSocket};
use wpk_api::section::Section;
use wpk_api::{
    AgentId, BuildError, CancellationToken, Context, NodeInfo, RequestService, RequestSource,
    SourceError, Transport, TransportError,
};

use crate::core::Core;
use crate::listener;
use crate::pki::{Authority, Vault};
use crate::registry::Registry;
use crate::settings::{Place, Settings};
use crate::sharing;
use crate::tls::{self, Identity, Judge};

/// Connections the kernel may hold until they are accepted.
const BACKLOG: u32 = 4_096;

/// Kind and stream id in front of a command.
const COMMAND_PREFIX: usize = 5;

/// The agent channel of the embedded manager.
pub struct Channel {
    pub(crate) core: Arc<Core>,
    pub(crate) node: NodeInfo,
    address: SocketAddr,
    pub(crate) advertised: String,
    listener: Mutex<Option<TcpListener>>,
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Channel {
    /// Opens the CA and the registry, making them where they are missing, and
    /// binds the port. Agents are accepted once [`RequestSource::serve`] runs.
    /// Runs inside a tokio runtime.
    ///
    /// # Errors
    /// [`BuildError`] for wrong settings, files that cannot be used, a port
    /// that cannot be bound.
    pub fn open(settings: Settings, context: &Context) -> Result<Arc<Self>, BuildError> {
        let problems = settings.problems();
        let Some(listen) = settings.listen_address().filter(|_| problems.is_empty()) else {
            return Err(BuildError::Settings(problems));
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let failed = |error: &dyn fmt::Display| {
            BuildError::Failed(format!("the certificates of the agent channel: {error}"))
        };
        let folder = context.path(&settings.state);
        let passphrase = settings.ca_passphrase_file.as_deref();
        let passphrase = passphrase.map(|file| context.path(file));
        let authority = Vault::open(passphrase.as_deref())
            .and_then(|vault| {
                Authority::open(&folder, settings.lives(), vault, Arc::clone(&provider))
            })
            .map_err(|error| failed(&error))?;
        let identity = Identity::new(
            authority
                .manager_certificate()
                .map_err(|error| failed(&error))?,
        );
        let judge = Judge::new(&authority.now().certificates(), &provider)
            .map_err(|error| failed(&error))?;
        let acceptor = tls::acceptor(Arc::clone(&judge), Arc::clone(&identity))?;
        let copy_of = folder.join(sharing::COPY_OF);
        let copy = settings.registry == Place::Store && copy_of.exists();
        let registry = Registry::open(
            &context.path(&settings.database),
            &folder.join("revoked"),
            copy,
        )?;
        let (listener, address) = bind(listen).map_err(|error| {
            BuildError::Failed(format!(
                "the agent channel cannot listen on {listen}: {error}; choose another `listen`"
            ))
        })?;
        let advertised = settings
            .advertise
            .clone()
            .unwrap_or_else(|| dialable(address).to_string());
        let enrolled = registry.on_disk();
        tracing::info!(%address, advertised, enrolled, "agent channel listening");
        let core = Core {
            settings,
            authority,
            identity,
            judge,
            acceptor,
            registry,
            links: Arc::default(),
            unfollowed: Mutex::default(),
            behind: AtomicBool::new(false),
            looked: tokio::sync::Mutex::default(),
        };
        Ok(Arc::new(Self {
            core: Arc::new(core),
            node: context.node.clone(),
            address,
            advertised,
            listener: Mutex::new(Some(listener)),
        }))
    }

    /// The bound address.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

#[async_trait]
impl Transport for Channel {
    async fn request(&self, agent: AgentId, command: Bytes) -> Result<Bytes, TransportError> {
        let link = self
            .core
            .links
            .get(agent)
            .ok_or(TransportError::NotConnected(agent))?;
        link.request(command, self.core.settings.request_timeout.0)
            .await
    }

    async fn connected(&self, agent: AgentId) {
        self.core.links.wait_for(agent).await;
    }

    async fn names_tasks(&self, agent: AgentId) -> bool {
        let link = self.core.links.get(agent);
        link.is_some_and(|link| link.names_tasks)
    }

    /// Every agent of this channel, whatever version it names.
    async fn takes_json(&self, _: AgentId) -> bool {
        true
    }

    fn max_command(&self) -> usize {
        wpk_wire::channel::MAX_PAYLOAD - COMMAND_PREFIX
    }
}

#[async_trait]
impl RequestSource for Channel {
    /// Accepts agents and hands on their acknowledgements.
    async fn serve(
        &self,
        service: Arc<dyn RequestService>,
        stop: CancellationToken,
    ) -> Result<(), SourceError> {
        let taken = self
            .listener
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(listener) = taken else {
            return Err(SourceError {
                source_name: format!("agent channel {}", self.address),
                message:
                    "it is served already; a second [[source]] of type \"channel\" is one too many"
                        .to_owned(),
            });
        };
        listener::serve(&self.core, listener, service, stop).await;
        Ok(())
    }
}

fn bind(address: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A restarted manager must not wait for connections of the one before.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

/// What an agent can dial. Instead of "every address" the one this machine
/// would send from along its default route; no packet is sent to find out.
fn dialable(bound: SocketAddr) -> SocketAddr {
    if !bound.ip().is_unspecified() {
        return bound;
    }
    // Addresses reserved for documentation, RFC 5737 and RFC 3849.
    let (any, far, loopback): (SocketAddr, SocketAddr, IpAddr) = if bound.is_ipv4() {
        (
            (Ipv4Addr::UNSPECIFIED, 0).into(),
            (Ipv4Addr::new(192, 0, 2, 1), 9).into(),
            Ipv4Addr::LOCALHOST.into(),
        )
    } else {
        (
            (Ipv6Addr::UNSPECIFIED, 0).into(),
            (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 9).into(),
            Ipv6Addr::LOCALHOST.into(),
        )
    };
    let facing = UdpSocket::bind(any).and_then(|socket| {
        socket.connect(far)?;
        socket.local_addr()
    });
    let ip = facing.map_or(loopback, |address| address.ip());
    SocketAddr::new(ip, bound.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_nothing_to_dial() {
        for bound in ["0.0.0.0:1517", "[::]:1517", "192.0.2.7:1517"] {
            let dialled = dialable(bound.parse().unwrap());
            assert!(!dialled.ip().is_unspecified(), "{bound}: {dialled}");
            assert_eq!(dialled.port(), 1517);
        }
    }
}
