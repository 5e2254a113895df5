//! Callers that give up: at every point of `resolve` and `fetch`, between two
//! pieces of a stream, while waiting for one.

use bytes::Bytes;
use futures_util::StreamExt;
use wpk_api::{OfferSource, WpkProvider};

use super::published::{Published, delivers, resolved, same};
use crate::suite::{at_every_point, ok, pattern, within};

/// Streams that are left at a time.
const LEFT: usize = 64;

/// All stories.
pub async fn run(publish: &impl AsyncFn(Bytes) -> Published) {
    let file = pattern(600_011);
    let published = publish(file.clone()).await;
    let provider = &*published.open().await;
    let wanted = &published.wanted;
    at_every_point(
        "a resolve that is given up",
        async || drop(resolved(provider, wanted).await),
        async || drop(resolved(provider, wanted).await),
    )
    .await;
    delivers(provider, wanted, &file).await;
    let offer = resolved(provider, wanted).await;
    if let OfferSource::Local(_) = offer.source {
        return;
    }
    at_every_point(
        "a fetch that is given up",
        async || drop(ok("fetch", provider.fetch(&offer).await)),
        async || {},
    )
    .await;
    at_every_point(
        "a stream that is given up",
        async || delivers(provider, wanted, &file).await,
        async || {},
    )
    .await;
    delivers(provider, wanted, &file).await;
    waiting_for_a_piece_is_given_up(provider, &published, &file).await;
    many_streams_are_left(provider, &published).await;
    slow_streams_are_given_up(publish).await;
    delivers(provider, wanted, &file).await;
}

/// Whoever stops waiting for a piece and asks again later misses nothing.
async fn waiting_for_a_piece_is_given_up(
    provider: &dyn WpkProvider,
    published: &Published,
    file: &Bytes,
) {
    let offer = resolved(provider, &published.wanted).await;
    let mut stream = ok("fetch", within("fetch", provider.fetch(&offer)).await);
    let mut bytes = Vec::new();
    loop {
        let piece = tokio::select! {
            biased;
            piece = stream.next() => piece,
            () = std::future::ready(()) => {
                // Given up after one poll; then really waited for.
                within("the next piece", stream.next()).await
            }
        };
        match piece {
            Some(piece) => bytes.extend_from_slice(&ok("streaming", piece)),
            None => break,
        }
    }
    same(&bytes, file);
}

/// Given up while it really waits: for the answer, for the next bytes.
async fn slow_streams_are_given_up(publish: &impl AsyncFn(Bytes) -> Published) {
    let file = pattern(60_013);
    let published = publish(file.clone()).await;
    let slow = &*published.open().await;
    if let Some(slow_down) = &published.slow_down {
        let wanted = &published.wanted;
        slow_down(true);
        at_every_point(
            "a slow stream that is given up",
            async || delivers(slow, wanted, &file).await,
            async || {},
        )
        .await;
        slow_down(false);
        delivers(slow, wanted, &file).await;
    }
}

/// Streams dropped unread, after one piece, and after some: nothing is used up.
async fn many_streams_are_left(provider: &dyn WpkProvider, published: &Published) {
    let offer = resolved(provider, &published.wanted).await;
    let mut left = Vec::new();
    for pieces in 0..LEFT {
        let mut stream = ok("fetch", within("fetch", provider.fetch(&offer)).await);
        for _ in 0..pieces % 4 {
            if let Some(piece) = within("the next piece", stream.next()).await {
                drop(ok("streaming", piece));
            }
        }
        left.push(stream);
        if left.len() > LEFT / 4 {
            drop(left.remove(0));
        }
    }
}
