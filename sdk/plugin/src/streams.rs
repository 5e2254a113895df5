//! Byte streams that the host pulls.

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, StreamExt};
use wpk_api::{ByteStream, ProviderError};

/// One open stream. What arrives in small pieces is handed over in large ones,
/// as far as it is there already: each pull crosses the border once.
pub(crate) struct Pulled {
    stream: Option<ByteStream>,
    /// What did not fit the last pull.
    rest: Bytes,
    /// Found behind the bytes of the last pull.
    error: Option<ProviderError>,
}

impl Pulled {
    pub(crate) fn new(stream: ByteStream) -> Self {
        Self {
            stream: Some(stream),
            rest: Bytes::new(),
            error: None,
        }
    }

    /// The next 1 to `max` bytes; `None` at the end. Nothing is lost if this
    /// future is dropped: it waits only while it holds no bytes.
    pub(crate) async fn pull(&mut self, max: usize) -> Result<Option<Bytes>, ProviderError> {
        let max = max.max(1);
        while self.rest.is_empty() {
            if let Some(error) = self.error.take() {
                return Err(error);
            }
            let Some(stream) = &mut self.stream else {
                return Ok(None);
            };
            match stream.next().await {
                Some(Ok(piece)) => self.rest = piece,
                Some(Err(error)) => {
                    self.stream = None;
                    return Err(error);
                }
                None => self.stream = None,
            }
        }
        if self.rest.len() < max {
            self.gather(max);
        }
        let length = self.rest.len().min(max);
        Ok(Some(self.rest.split_to(length)))
    }

    /// Puts what is ready behind `rest`, until `max` bytes are there.
    fn gather(&mut self, max: usize) {
        let mut all = BytesMut::new();
        while let Some(stream) = &mut self.stream
            && self.rest.len().max(all.len()) < max
        {
            match stream.next().now_or_never() {
                None => break,
                Some(Some(Ok(piece))) => {
                    if all.is_empty() {
                        all.reserve(max.min(1 << 20));
                        all.extend_from_slice(&self.rest);
                    }
                    all.extend_from_slice(&piece);
                }
                Some(Some(Err(error))) => {
                    self.stream = None;
                    self.error = Some(error);
                }
                Some(None) => self.stream = None,
            }
        }
        if !all.is_empty() {
            self.rest = all.freeze();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    fn stream(pieces: Vec<Result<&'static str, &'static str>>) -> Pulled {
        Pulled::new(Box::pin(stream::iter(pieces.into_iter().map(|piece| {
            piece
                .map(|text| Bytes::from_static(text.as_bytes()))
                .map_err(|text| ProviderError::NoFile(text.into()))
        }))))
    }

    async fn pulls(mut pulled: Pulled, max: usize) -> Vec<String> {
        let mut seen = Vec::new();
        loop {
            match pulled.pull(max).await {
                Ok(Some(bytes)) => seen.push(String::from_utf8(bytes.to_vec()).unwrap()),
                Ok(None) => return seen,
                Err(error) => seen.push(error.to_string()),
            }
        }
    }

    #[tokio::test]
    async fn large_pieces_are_cut_and_small_ones_gathered() {
        assert_eq!(
            pulls(stream(vec![Ok("abcdefgh"), Ok("ij"), Ok(""), Ok("k")]), 3).await,
            ["abc", "def", "ghi", "jk"].map(str::to_owned)
        );
        assert_eq!(pulls(stream(vec![Ok("a"), Ok("b")]), 100).await, ["ab"]);
        assert!(pulls(stream(vec![]), 100).await.is_empty());
    }

    #[tokio::test]
    async fn an_error_comes_behind_the_bytes_before_it_and_ends_the_stream() {
        let seen = pulls(stream(vec![Ok("a"), Ok("b"), Err("gone"), Ok("c")]), 100).await;
        assert_eq!(seen.len(), 2, "{seen:?}");
        assert_eq!(seen[0], "ab");
        assert!(seen[1].contains("gone"));
    }

    #[tokio::test]
    async fn what_is_there_does_not_wait_for_what_comes_later() {
        let (send, receive) = tokio::sync::mpsc::unbounded_channel::<Bytes>();
        let later = stream::unfold(receive, |mut receive| async {
            receive.recv().await.map(|bytes| (Ok(bytes), receive))
        });
        let mut pulled = Pulled::new(Box::pin(later));
        send.send(Bytes::from_static(b"now")).unwrap();
        assert_eq!(pulled.pull(100).await.unwrap().unwrap(), "now");
        assert!(pulled.pull(100).now_or_never().is_none());
        send.send(Bytes::from_static(b"later")).unwrap();
        assert_eq!(pulled.pull(100).await.unwrap().unwrap(), "later");
    }
}
