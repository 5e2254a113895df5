//! An HTTP server on loopback: the repository of tests and of the demo.
//!
//! Tests of providers enter here, and so does everything that needs a real
//! repository without a real network. It listens on a port of its own choosing,
//! serves a folder ([`Folder`]) or whatever a function answers, keeps a log of
//! what was asked, and misbehaves on request: [`Response`] can promise a wrong
//! length, stop or break off in the middle, be slow, or never end.
//!
//! It speaks as much of HTTP/1.1 as clients need here: `GET` and `HEAD`, one
//! range, connections kept open, optionally TLS. It is no server for the world.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufStream};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls;

mod folder;
mod message;

pub use folder::Folder;
pub use message::{Body, Request, Response};

/// A connection on which nothing is asked for this long is closed.
const IDLE: Duration = Duration::from_secs(60);

/// The log keeps this many requests; later ones are served but not kept.
const LOGGED: usize = 10_000;

/// What answers requests. It runs on the runtime's threads and must not block.
type Handler = dyn Fn(&Request) -> Response + Send + Sync;

/// A running server. Dropping it stops it and closes its connections.
pub struct HttpServer {
    address: SocketAddr,
    scheme: &'static str,
    log: watch::Receiver<usize>,
    requests: Arc<Mutex<Vec<Request>>>,
    task: JoinHandle<()>,
}

impl HttpServer {
    /// Serves what `handler` answers, on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// If no socket can be had.
    pub async fn start(
        handler: impl Fn(&Request) -> Response + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::launch(Arc::new(handler), None).await
    }

    /// Serves the files below a folder, on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// If no socket can be had or `root` is no folder.
    pub async fn start_folder(root: impl AsRef<std::path::Path>) -> io::Result<Self> {
        let folder = Folder::new(root)?;
        Self::start(move |request| folder.answer(request)).await
    }

    /// As [`start`](Self::start), over TLS; see [`tls_config`].
    ///
    /// # Errors
    /// If no socket can be had.
    pub async fn start_tls(
        handler: impl Fn(&Request) -> Response + Send + Sync + 'static,
        tls: Arc<rustls::ServerConfig>,
    ) -> io::Result<Self> {
        Self::launch(Arc::new(handler), Some(TlsAcceptor::from(tls))).await
    }

    async fn launch(handler: Arc<Handler>, tls: Option<TlsAcceptor>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (count, log) = watch::channel(0);
        let requests = Arc::new(Mutex::new(Vec::new()));
        let journal = Arc::new(Journal {
            requests: requests.clone(),
            count,
        });
        let task = tokio::spawn(run(listener, handler, tls, journal));
        Ok(Self {
            address,
            scheme,
            log,
            requests,
            task,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address as a URL with a final `/`: `http://127.0.0.1:40123/`.
    pub fn url(&self) -> String {
        format!("{}://{}/", self.scheme, self.address)
    }

    /// The requests so far, in the order of their arrival.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.requests).clone()
    }

    /// The paths asked for so far, in the order of their arrival.
    pub fn paths(&self) -> Vec<String> {
        lock(&self.requests)
            .iter()
            .map(|request| request.target.clone())
            .collect()
    }

    /// Waits until `count` requests have arrived; for ever if they do not, so
    /// callers put a time limit around it.
    pub async fn wait_for_requests(&self, count: usize) {
        // An error means that the server is gone: then nothing more will come.
        if self
            .log
            .clone()
            .wait_for(|seen| *seen >= count)
            .await
            .is_err()
        {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A server's TLS settings from a certificate chain and a key in PEM.
///
/// # Errors
/// If the texts hold no certificate or no key, or do not belong together.
pub fn tls_config(chain_pem: &str, key_pem: &str) -> io::Result<Arc<rustls::ServerConfig>> {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let chain = CertificateDer::pem_slice_iter(chain_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map(Arc::new)
        .map_err(io::Error::other)
}

struct Journal {
    requests: Arc<Mutex<Vec<Request>>>,
    count: watch::Sender<usize>,
}

impl Journal {
    fn note(&self, request: &Request) {
        let mut requests = lock(&self.requests);
        if requests.len() < LOGGED {
            requests.push(request.clone());
        }
        drop(requests);
        self.count.send_modify(|seen| *seen += 1);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn run(
    listener: TcpListener,
    handler: Arc<Handler>,
    tls: Option<TlsAcceptor>,
    journal: Arc<Journal>,
) {
    // The connections live in this set, so that they end with the server.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((socket, _)) = accepted else { continue };
                let (handler, tls, journal) = (handler.clone(), tls.clone(), journal.clone());
                connections.spawn(async move {
                    // A broken connection concerns only its client.
                    let _ended = match tls {
                        None => converse(socket, &*handler, &journal).await,
                        Some(tls) => match tls.accept(socket).await {
                            Ok(stream) => converse(stream, &*handler, &journal).await,
                            Err(error) => Err(error),
                        },
                    };
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(
    socket: impl AsyncRead + AsyncWrite + Unpin,
    handler: &Handler,
    journal: &Journal,
) -> io::Result<()> {
    let mut stream = BufStream::new(socket);
    loop {
        let asked = tokio::time::timeout(IDLE, Request::read(&mut stream)).await;
        let Ok(Some(request)) = asked.map_err(io::Error::from)? else {
            return stream.shutdown().await;
        };
        journal.note(&request);
        let keep_open = handler(&request).write(&mut stream, &request).await?;
        stream.flush().await?;
        if !keep_open {
            return stream.shutdown().await;
        }
    }
}
