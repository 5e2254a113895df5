//! One connection to a source, as a client of it has it.

use std::io;

use async_trait::async_trait;

/// One connection to a source.
#[async_trait]
pub trait SourceClient: Send {
    /// Sends one request.
    ///
    /// # Errors
    /// If the source has closed the connection.
    async fn send(&mut self, request: &[u8]) -> io::Result<()>;

    /// Sends only the beginning of a request.
    ///
    /// # Errors
    /// If the source has closed the connection.
    async fn begin(&mut self, request: &[u8]) -> io::Result<()>;

    /// The next answer; `None`: the source closed the connection.
    ///
    /// # Errors
    /// If there is none in a minute, or one that breaks off.
    async fn receive(&mut self) -> io::Result<Option<Vec<u8>>>;
}

#[async_trait]
impl SourceClient for crate::Client {
    async fn send(&mut self, request: &[u8]) -> io::Result<()> {
        Self::send(self, request).await
    }

    async fn begin(&mut self, request: &[u8]) -> io::Result<()> {
        let length = u32::try_from(request.len() + 1).map_err(io::Error::other)?;
        self.send_raw(length.to_le_bytes()).await?;
        self.send_raw(request).await
    }

    async fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        Self::receive(self).await
    }
}
