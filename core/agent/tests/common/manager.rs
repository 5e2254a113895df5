//! A manager of the tests' own, as far as the channel goes.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use wpk_api::AgentId;
use wpk_wire::channel::{MAX_PAYLOAD, PROTOCOL};
use wpk_wire::{ChannelMessage, FrameDecoder, Hello, Welcome};

use super::{Agent, DEADLINE, QUICK, answer, home, start_in, trust_ours};

pub const NAME: &str = "wpkd-manager";

pub struct Ca {
    pub issuer: Issuer<'static, KeyPair>,
    pub pem: String,
    pub der: rustls::pki_types::CertificateDer<'static>,
}

impl Ca {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Self {
            issuer: Issuer::new(params, key),
            pem,
            der,
        }
    }

    pub fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// What `wpkctl agent enroll` leaves in a home.
    pub fn enroll(&self, home: &Path) {
        let folder = home.join("etc/channel");
        fs::create_dir_all(&folder).unwrap();
        let (certificate, key) = self.issue("agent");
        fs::write(folder.join("ca.pem"), &self.pem).unwrap();
        fs::write(folder.join("agent.pem"), certificate.pem()).unwrap();
        fs::write(folder.join("agent.key"), key.serialize_pem()).unwrap();
    }
}

pub struct Manager {
    pub listener: TcpListener,
    pub acceptor: TlsAcceptor,
    /// What it says in its welcome of the life of certificates.
    pub renews: Option<u64>,
}

impl Manager {
    /// Shows a certificate of `ca` for `name`; lets in agents of `clients`.
    pub async fn new(ca: &Ca, name: &str, clients: &Ca) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(clients.der.clone()).unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .unwrap();
        let (certificate, key) = ca.issue(name);
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self {
            listener,
            acceptor: TlsAcceptor::from(Arc::new(config)),
            renews: None,
        }
    }

    pub fn settings(&self) -> String {
        let address = self.listener.local_addr().unwrap();
        format!(
            "{QUICK}[agent]\nversion_file = \"VERSION\"\n[channel]\naddress = \"{address}\"\n\
             reconnect_min = \"20ms\"\nreconnect_max = \"200ms\"\n"
        )
    }

    pub async fn tls(&self) -> std::io::Result<Link> {
        let (tcp, _) = timeout(DEADLINE, self.listener.accept())
            .await
            .expect("nobody dials")?;
        let stream = timeout(DEADLINE, self.acceptor.accept(tcp))
            .await
            .unwrap()?;
        Ok(Link {
            stream,
            decoder: FrameDecoder::new(MAX_PAYLOAD),
        })
    }

    /// The next agent that dials, welcomed.
    pub async fn accept(&self, keepalive_seconds: u32) -> (Link, Hello) {
        // One that was killed may have left a connection behind.
        let mut link = loop {
            if let Ok(link) = self.tls().await {
                break link;
            }
        };
        let Some(ChannelMessage::Hello(hello)) = link.next().await else {
            panic!("no hello")
        };
        let welcome = Welcome {
            protocol: PROTOCOL,
            agent: AgentId::new(7).unwrap(),
            name: "seven".to_owned(),
            keepalive_seconds,
            certificate_seconds: self.renews,
        };
        link.send(&ChannelMessage::Welcome(welcome)).await;
        (link, hello)
    }
}

pub struct Link {
    pub stream: TlsStream<TcpStream>,
    pub decoder: FrameDecoder,
}

impl Link {
    pub async fn send(&mut self, message: &ChannelMessage) {
        self.stream
            .write_all(&message.encode().unwrap())
            .await
            .unwrap();
        self.stream.flush().await.unwrap();
    }

    pub async fn command(&mut self, stream: u32, command: impl Into<Bytes>) {
        self.send(&ChannelMessage::Command {
            stream,
            bytes: command.into(),
        })
        .await;
    }

    /// `None` when the agent has closed.
    pub async fn next(&mut self) -> Option<ChannelMessage> {
        timeout(DEADLINE, async {
            loop {
                if let Some(payload) = self.decoder.next_frame().unwrap() {
                    return Some(ChannelMessage::decode(&payload).unwrap());
                }
                match self.stream.read_buf(self.decoder.buffer_mut()).await {
                    Ok(0) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
        })
        .await
        .expect("the agent is silent")
    }

    pub async fn ask(&mut self, stream: u32, command: &str) -> String {
        self.command(stream, command.to_owned()).await;
        self.answer(stream).await
    }

    pub async fn answer(&mut self, stream: u32) -> String {
        match self.next().await {
            Some(ChannelMessage::Answer { stream: got, bytes }) if got == stream => {
                String::from_utf8(bytes.to_vec()).unwrap()
            }
            other => panic!("no answer to {stream} but {other:?}"),
        }
    }

    pub async fn deliver(&mut self, wpk: &[u8]) {
        let ok = answer(0, "ok");
        assert_eq!(self.ask(1, "com lock_restart -1").await, "ok ");
        let file = r#""file":"a.wpk""#;
        let open = format!(r#"upgrade {{"command":"open","parameters":{{"mode":"wb",{file}}}}}"#);
        assert_eq!(self.ask(2, &open).await, ok);
        for chunk in wpk.chunks(32_768) {
            let buffer = base64_simd::STANDARD.encode_to_string(chunk);
            let write = format!(
                r#"upgrade {{"command":"write","parameters":{{"buffer":"{buffer}","length":{},{file}}}}}"#,
                chunk.len()
            );
            assert_eq!(self.ask(3, &write).await, ok);
        }
        let close = format!(r#"upgrade {{"command":"close","parameters":{{{file}}}}}"#);
        assert_eq!(self.ask(4, &close).await, ok);
        let sha1 = format!(r#"upgrade {{"command":"sha1","parameters":{{{file}}}}}"#);
        assert_eq!(
            self.ask(5, &sha1).await,
            answer(0, &wpk_package::sha1_hex(wpk).unwrap())
        );
    }
}

pub async fn agent_of(manager: &Manager, ca: &Ca) -> Agent {
    let home = home();
    trust_ours(home.path());
    ca.enroll(home.path());
    fs::write(home.path().join("VERSION"), "v4.14.0\n").unwrap();
    start_in(home, &manager.settings()).await
}
