//! The whole web, as far as the daemon is concerned: a proxy behind which every
//! host is the same repository, over HTTP and over HTTPS, with certificates of
//! our own. It notes the address of everything that is asked for.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use wpk_testkit::http::{HttpServer, Request, Response, tls_config};
use wpk_testkit::tls::server_certificate;

/// The hosts of the recordings that are asked over HTTPS.
const HOSTS: [&str; 2] = ["packages.wazuh.com", "r.local"];

/// What lies in every folder of every host.
#[derive(Debug, Default)]
pub struct Content {
    /// The file `versions`.
    pub versions: String,
    /// Every WPK.
    pub wpk: Vec<u8>,
}

pub struct Web {
    pub address: SocketAddr,
    /// The certificate of the CA, in PEM.
    pub ca: String,
    pub content: Arc<Mutex<Content>>,
    plain: HttpServer,
    secure: HttpServer,
    proxy: JoinHandle<()>,
}

impl Drop for Web {
    fn drop(&mut self) {
        self.proxy.abort();
    }
}

impl Web {
    pub async fn start() -> Self {
        let content = Arc::new(Mutex::new(Content::default()));
        let made = server_certificate(&HOSTS, false).unwrap();
        let answer = |content: &Arc<Mutex<Content>>| {
            let content = content.clone();
            move |request: &Request| {
                let content = content.lock().unwrap();
                match request.target.ends_with("/versions") {
                    true => Response::new(200, content.versions.clone()),
                    false => Response::new(200, content.wpk.clone()),
                }
            }
        };
        let plain = HttpServer::start(answer(&content)).await.unwrap();
        let tls = tls_config(&made.certificate, &made.key).unwrap();
        let secure = HttpServer::start_tls(answer(&content), tls).await.unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let behind = (plain.address(), secure.address());
        let proxy = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // A broken connection concerns only its client.
                tokio::spawn(async move {
                    let _ended = forward(client, behind).await;
                });
            }
        });
        Self {
            address,
            ca: made.ca,
            content,
            plain,
            secure,
            proxy,
        }
    }

    /// How much was asked for up to now, in clear and encrypted.
    pub fn asked(&self) -> (usize, usize) {
        (self.plain.requests().len(), self.secure.requests().len())
    }

    /// What was asked for since then.
    pub fn urls_since(&self, (plain, secure): (usize, usize)) -> Vec<String> {
        let in_clear = self.plain.requests();
        let in_clear = in_clear[plain..].iter();
        let encrypted = self.secure.requests();
        let encrypted = encrypted[secure..].iter().map(|request| {
            let host = request.header("host").unwrap_or_default();
            format!("https://{host}{}", request.target)
        });
        in_clear
            .map(|request| request.target.clone())
            .chain(encrypted)
            .collect()
    }
}

/// One connection to the proxy: a tunnel where the client asks for one, else
/// requests that name whole addresses.
async fn forward(
    mut client: TcpStream,
    (plain, secure): (SocketAddr, SocketAddr),
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        if client.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let mut server;
    if head.starts_with(b"CONNECT ") {
        server = TcpStream::connect(secure).await?;
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    } else {
        server = TcpStream::connect(plain).await?;
        server.write_all(&head).await?;
    }
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
