//! A simulated agent of the embedded manager's channel: dials in over mutual
//! TLS with what an enrolment gave it and says whatever a test wants, right or
//! wrong. It speaks the wire and knows nothing of the manager's side.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion, crypto::ring, version::TLS13,
};
use wpk_api::Enrollment;
use wpk_wire::channel::{MAX_PAYLOAD, PROTOCOL};
use wpk_wire::{ChannelMessage, FrameDecoder, Hello, Welcome};

/// The name in the manager's certificate.
pub const MANAGER_NAME: &str = "wpkd-manager";

/// How long any single step may take before the test fails.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// TLS as a well-behaved agent sets it up.
///
/// # Errors
/// Where the enrolment holds something that is no certificate or key.
pub fn client_config(enrollment: &Enrollment) -> io::Result<ClientConfig> {
    let identity = (
        enrollment.certificate_pem.as_str(),
        enrollment.key_pem.as_str(),
    );
    client_config_with(&enrollment.ca_pem, Some(identity), &TLS13)
}

/// TLS with a trusted CA, a certificate and key or none, and one TLS version.
///
/// # Errors
/// As [`client_config`].
pub fn client_config_with(
    ca_pem: &str,
    identity: Option<(&str, &str)>,
    version: &'static SupportedProtocolVersion,
) -> io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        roots
            .add(certificate.map_err(io::Error::other)?)
            .map_err(io::Error::other)?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .map_err(io::Error::other)?
        .with_root_certificates(roots);
    let Some((certificate, key)) = identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(io::Error::other)?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(io::Error::other)
}

/// What a simulated agent says of itself unless told otherwise.
pub fn hello() -> Hello {
    Hello {
        protocol: PROTOCOL,
        platform: "ubuntu".to_owned(),
        os_version: Some("22.04.5 LTS".to_owned()),
        os_major: Some("22".to_owned()),
        os_minor: Some("04".to_owned()),
        arch: Some("x86_64".to_owned()),
        version: "Wazuh v4.2.1".to_owned(),
        names_tasks: true,
        renews: false,
        trusts: Vec::new(),
    }
}

/// The task that `upgrade` or `clear_upgrade_result` names (PROTOCOL.md, section
/// 16), read without the project's own messages.
pub fn task_of(command: &[u8]) -> Option<i64> {
    let json: Value = serde_json::from_slice(command.strip_prefix(b"upgrade ")?).ok()?;
    json.get("parameters")?.get("task_id")?.as_i64()
}

/// The acknowledgement of section 6, with the task it is about or without.
pub fn acknowledgement(error: i64, status: &str, task: Option<i64>) -> ChannelMessage {
    let mut parameters = json!({"error": error, "message": "as it went", "status": status});
    if let Some(task) = task {
        parameters["task_id"] = task.into();
    }
    let message = json!({"command": "upgrade_update_status", "parameters": parameters});
    ChannelMessage::Acknowledge(message.to_string().into())
}

/// One connection of a simulated agent.
pub struct ChannelAgent {
    stream: TlsStream<TcpStream>,
    decoder: FrameDecoder,
}

impl ChannelAgent {
    /// Dials and does the TLS handshake, nothing more.
    ///
    /// # Errors
    /// Of the network or of TLS. A refused client certificate only shows at the
    /// first [`ChannelAgent::recv`]: that is TLS 1.3.
    pub async fn dial(address: &str, config: ClientConfig) -> io::Result<Self> {
        let name = ServerName::try_from(MANAGER_NAME).map_err(io::Error::other)?;
        let dialling = async {
            let tcp = TcpStream::connect(address).await?;
            tcp.set_nodelay(true)?;
            TlsConnector::from(Arc::new(config))
                .connect(name, tcp)
                .await
        };
        let stream = timeout(DEADLINE, dialling).await??;
        Ok(Self {
            stream,
            decoder: FrameDecoder::new(MAX_PAYLOAD),
        })
    }

    /// Dials with an enrolment, says hello and waits for the welcome.
    ///
    /// # Errors
    /// As [`ChannelAgent::dial`]; [`io::ErrorKind::ConnectionRefused`] with the
    /// manager's words where it says goodbye.
    pub async fn connect(enrollment: &Enrollment) -> io::Result<(Self, Welcome)> {
        Self::connect_as(enrollment, hello()).await
    }

    /// The same with another hello.
    ///
    /// # Errors
    /// As [`ChannelAgent::connect`].
    pub async fn connect_as(enrollment: &Enrollment, hello: Hello) -> io::Result<(Self, Welcome)> {
        let address = enrollment.address.as_deref().unwrap_or_default();
        let mut agent = Self::dial(address, client_config(enrollment)?).await?;
        agent.send(&ChannelMessage::Hello(hello)).await?;
        match agent.recv().await? {
            Some(ChannelMessage::Welcome(welcome)) => Ok((agent, welcome)),
            Some(ChannelMessage::Goodbye { reason }) => {
                Err(io::Error::new(io::ErrorKind::ConnectionRefused, reason))
            }
            other => Err(io::Error::other(format!("no welcome but {other:?}"))),
        }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// Of the network, or where the message is over a limit of the wire.
    pub async fn send(&mut self, message: &ChannelMessage) -> io::Result<()> {
        let frame = message.encode().map_err(io::Error::other)?;
        self.send_raw(&frame).await
    }

    /// Sends bytes as they are, frame or not.
    ///
    /// # Errors
    /// Of the network.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sending = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        timeout(DEADLINE, sending).await?
    }

    /// The next message; `None` at the end of the stream.
    ///
    /// # Errors
    /// Of the network or the wire; [`io::ErrorKind::TimedOut`] after [`DEADLINE`].
    pub async fn recv(&mut self) -> io::Result<Option<ChannelMessage>> {
        timeout(DEADLINE, self.read()).await?
    }

    async fn read(&mut self) -> io::Result<Option<ChannelMessage>> {
        loop {
            if let Some(payload) = self.decoder.next_frame().map_err(io::Error::other)? {
                let message = ChannelMessage::decode(&payload).map_err(io::Error::other)?;
                return Ok(Some(message));
            }
            if self.stream.read_buf(self.decoder.buffer_mut()).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// The next command, answering pings on the way.
    ///
    /// # Errors
    /// As [`ChannelAgent::recv`], and where something else comes.
    pub async fn command(&mut self) -> io::Result<(u32, Bytes)> {
        loop {
            match self.recv().await? {
                Some(ChannelMessage::Command { stream, bytes }) => return Ok((stream, bytes)),
                Some(ChannelMessage::Ping) => self.send(&ChannelMessage::Pong).await?,
                Some(ChannelMessage::Pong) => {}
                other => return Err(io::Error::other(format!("no command but {other:?}"))),
            }
        }
    }

    /// Answers a command.
    ///
    /// # Errors
    /// As [`ChannelAgent::send`].
    pub async fn answer(&mut self, stream: u32, answer: impl Into<Bytes>) -> io::Result<()> {
        let bytes = answer.into();
        self.send(&ChannelMessage::Answer { stream, bytes }).await
    }

    /// Reads to the end and returns the reason of the goodbye, if one came.
    ///
    /// # Errors
    /// As [`ChannelAgent::recv`].
    pub async fn goodbye(&mut self) -> io::Result<Option<String>> {
        loop {
            match self.recv().await? {
                Some(ChannelMessage::Goodbye { reason }) => return Ok(Some(reason)),
                None => return Ok(None),
                Some(_) => {}
            }
        }
    }

    /// Answers pings, and every command with what `answer` makes of it, until
    /// the connection ends; then the reason of the goodbye, if one came.
    ///
    /// # Errors
    /// Of the network or the wire.
    pub async fn serve(
        mut self,
        mut answer: impl FnMut(Bytes) -> Bytes,
    ) -> io::Result<Option<String>> {
        loop {
            match self.read().await? {
                Some(ChannelMessage::Command { stream, bytes }) => {
                    self.answer(stream, answer(bytes)).await?;
                }
                Some(ChannelMessage::Ping) => self.send(&ChannelMessage::Pong).await?,
                Some(ChannelMessage::Goodbye { reason }) => return Ok(Some(reason)),
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }
}
