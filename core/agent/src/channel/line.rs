//! A connection to the manager up to the TLS handshake, and messages on it. Sessions and
//! renewals enter.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use wpk_wire::{ChannelMessage, FrameDecoder};

use super::ended::Ended;
use super::tls;
use crate::credentials::{Pair, Store};
use crate::settings::ChannelSettings;

/// Room made for one read.
const READ: usize = 16 * 1024;

/// Dials, and shows this certificate.
pub(super) async fn dial(
    settings: &ChannelSettings,
    store: &Store,
    pair: &Pair,
) -> Result<TlsStream<TcpStream>, Ended> {
    let limit = settings.connect_timeout.0;
    let (connector, name) =
        tls::connector(store, pair, &settings.server_name).map_err(Ended::lost)?;
    let tcp = timeout(limit, TcpStream::connect(&settings.address))
        .await
        .map_err(|_| Ended::lost("nobody answered in time"))?
        .map_err(Ended::lost)?;
    tcp.set_nodelay(true)?;
    timeout(limit, connector.connect(name, tcp))
        .await
        .map_err(|_| Ended::lost("no TLS handshake in time"))?
        .map_err(|error| Ended::lost(format_args!("TLS: {error}")))
}

/// Writes one message.
pub(super) async fn put(
    stream: &mut (impl AsyncWrite + Unpin),
    message: &ChannelMessage,
) -> Result<(), Ended> {
    let frame = message.encode().map_err(Ended::lost)?;
    stream.write_all(&frame).await?;
    stream.flush().await?;
    Ok(())
}

/// The next message. Dropped halfway, it loses nothing: what arrived is in the
/// decoder.
pub(super) async fn receive(
    stream: &mut (impl AsyncRead + Unpin),
    decoder: &mut FrameDecoder,
) -> Result<ChannelMessage, Ended> {
    loop {
        let frame = decoder.next_frame();
        match frame.map_err(Ended::protocol)? {
            Some(payload) => {
                return ChannelMessage::decode(&payload).map_err(Ended::protocol);
            }
            None => {
                let buffer = decoder.buffer_mut();
                buffer.reserve(READ);
                if stream.read_buf(buffer).await? == 0 {
                    return Err(Ended::lost("the manager closed the connection"));
                }
            }
        }
    }
}
