//! A proxy before the server that loses what it is told to.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use wpk_plugin_postgres::Settings;
use wpk_testkit::PostgresServer;

/// What becomes of the next commit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Lose {
    /// It never reaches the server.
    Commit,
    /// It does, and its answer does not come back.
    Answer,
}

/// Listens on a port of its own for as long as it lives.
pub(crate) struct Proxy {
    port: u16,
    next: Arc<Mutex<Option<Lose>>>,
    /// Whether new connections are refused.
    closed: Arc<AtomicBool>,
    _works: JoinSet<()>,
}

impl Proxy {
    pub(crate) async fn before(server: &PostgresServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let next = Arc::new(Mutex::new(None));
        let closed = Arc::new(AtomicBool::new(false));
        let mut works = JoinSet::new();
        let (lose, refuses, to) = (Arc::clone(&next), Arc::clone(&closed), server.port());
        works.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                if !refuses.load(Ordering::SeqCst) {
                    connections.spawn(carry(client, to, Arc::clone(&lose)));
                }
            }
        });
        Self {
            port,
            next,
            closed,
            _works: works,
        }
    }

    /// The settings for a schema through it.
    pub(crate) fn settings(&self, schema: &str) -> Settings {
        Settings {
            url: Some(format!(
                "postgresql://postgres@127.0.0.1:{}/postgres?sslmode=disable",
                self.port
            )),
            schema: schema.into(),
            listen: false,
            ..Settings::default()
        }
    }

    /// Loses this of the next commit, and cuts its connection.
    pub(crate) fn lose(&self, what: Lose) {
        *self.next.lock().unwrap() = Some(what);
    }

    /// Refuses connections, or takes them again.
    pub(crate) fn close(&self, closed: bool) {
        self.closed.store(closed, Ordering::SeqCst);
    }
}

/// Carries bytes both ways until a commit is lost.
async fn carry(mut client: TcpStream, to: u16, next: Arc<Mutex<Option<Lose>>>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", to)).await else {
        return;
    };
    let (mut from_client, mut from_server) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => {
                let Ok(read @ 1..) = read else { return };
                let bytes = &from_client[..read];
                let commit = bytes.windows(7).any(|word| word == b"COMMIT\0");
                let lost = if commit { next.lock().unwrap().take() } else { None };
                if lost == Some(Lose::Commit) || server.write_all(bytes).await.is_err() {
                    return;
                }
                if lost == Some(Lose::Answer) {
                    swallow(&mut server).await;
                    return;
                }
            }
            read = server.read(&mut from_server) => {
                let Ok(read @ 1..) = read else { return };
                if client.write_all(&from_server[..read]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Reads until the server says that it has committed.
async fn swallow(server: &mut TcpStream) {
    let mut said = Vec::new();
    while !said.windows(7).any(|word| word == b"COMMIT\0") {
        if !matches!(server.read_buf(&mut said).await, Ok(1..)) {
            return;
        }
    }
}
