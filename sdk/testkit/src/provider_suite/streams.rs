//! The bytes: empty, huge, read slowly, read by many, read after the end of the
//! provider. Local files are read in place and pass through here quickly.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::task::JoinSet;
use wpk_api::{OfferSource, WpkProvider};

use super::published::{Published, bytes_of, delivers, resolved, same};
use crate::suite::{Options, ok, pattern, resident, within};

/// Readers at a time.
const READERS: usize = 16;
/// The largest piece that is still a piece.
const LARGEST_PIECE: usize = 8 << 20;
/// From this size on the memory of the process tells whether a file is in it.
const TELLING: usize = 48 << 20;
/// How long the reader of the huge file stands still, so that a provider that
/// reads ahead without limit has the time to be noticed.
const PAUSE: Duration = Duration::from_millis(300);

/// All stories.
pub async fn run(publish: &impl AsyncFn(Bytes) -> Published, options: &Options) {
    for length in [0, 1, 65_536, (1 << 20) + 7] {
        let file = pattern(length);
        let published = publish(file.clone()).await;
        delivers(&*published.open().await, &published.wanted, &file).await;
    }
    a_huge_file_is_not_held_in_memory(publish, options.huge).await;
    a_slow_file_comes_all_the_same(publish).await;
    many_read_at_the_same_time(publish).await;
    a_reader_that_stands_still_holds_up_nobody(publish).await;
    a_stream_outlives_its_provider(publish).await;
}

async fn a_huge_file_is_not_held_in_memory(
    publish: &impl AsyncFn(Bytes) -> Published,
    huge: usize,
) {
    let file = pattern(huge);
    let published = publish(file.clone()).await;
    let provider = published.open().await;
    let offer = resolved(&*provider, &published.wanted).await;
    if let OfferSource::Local(_) = offer.source {
        let bytes = ok("reading", bytes_of(&*provider, &offer).await);
        return same(&bytes, &file);
    }
    // Of a smaller file too little would show.
    let at_first = resident().filter(|_| huge >= TELLING);
    let mut stream = ok("fetch", within("fetch", provider.fetch(&offer)).await);
    let mut rest = &file[..];
    let mut paused = false;
    while let Some(piece) = within("the next piece", stream.next()).await {
        let piece = ok("streaming a huge file", piece);
        assert!(
            piece.len() <= LARGEST_PIECE,
            "{} bytes are no piece of a stream but a file in memory",
            piece.len()
        );
        assert!(piece.len() <= rest.len(), "more came than was published");
        let (expected, after) = rest.split_at(piece.len());
        same(&piece, expected);
        rest = after;
        if !paused && rest.len() < file.len() {
            paused = true;
            tokio::time::sleep(PAUSE).await;
        }
        if let (Some(at_first), Some(now)) = (at_first, resident()) {
            let grown = now.saturating_sub(at_first);
            assert!(
                grown <= huge / 2,
                "while a file of {huge} bytes was streamed, the process grew by {grown} bytes: \
                 what the reader has not asked for must wait outside"
            );
        }
    }
    assert!(rest.is_empty(), "{} bytes are missing", rest.len());
}

async fn a_slow_file_comes_all_the_same(publish: &impl AsyncFn(Bytes) -> Published) {
    let file = pattern(300_001);
    let published = publish(file.clone()).await;
    let provider = published.open().await;
    let Some(slow_down) = &published.slow_down else {
        return;
    };
    let offer = resolved(&*provider, &published.wanted).await;
    slow_down(true);
    let slow = async { ok("a slow file", bytes_of(&*provider, &offer).await) };
    let fast = async {
        let other = publish(pattern(5_000)).await;
        delivers(&*other.open().await, &other.wanted, &pattern(5_000)).await;
    };
    let (bytes, ()) = tokio::join!(slow, fast);
    same(&bytes, &file);
    slow_down(false);
    delivers(&*provider, &published.wanted, &file).await;
}

async fn many_read_at_the_same_time(publish: &impl AsyncFn(Bytes) -> Published) {
    let file = pattern(300_007);
    let published = publish(file.clone()).await;
    let provider = published.open().await;
    let mut readers = JoinSet::new();
    for _ in 0..READERS {
        let (provider, wanted) = (Arc::clone(&provider), published.wanted.clone());
        let file = file.clone();
        readers.spawn(async move { delivers(&*provider, &wanted, &file).await });
    }
    readers.join_all().await;
}

async fn a_reader_that_stands_still_holds_up_nobody(publish: &impl AsyncFn(Bytes) -> Published) {
    let file = pattern(4 << 20);
    let published = publish(file.clone()).await;
    let provider = published.open().await;
    let offer = resolved(&*provider, &published.wanted).await;
    if let OfferSource::Local(_) = offer.source {
        return;
    }
    let mut standing = Vec::new();
    for _ in 0..READERS {
        let mut stream = ok("fetch", within("fetch", provider.fetch(&offer)).await);
        let first = within("the first piece", stream.next()).await;
        let first = first.map(|piece| ok("the first piece", piece).to_vec());
        standing.push((first.unwrap_or_default(), stream));
    }
    delivers(&*provider, &published.wanted, &file).await;
    for (mut bytes, mut stream) in standing {
        while let Some(piece) = within("the next piece", stream.next()).await {
            bytes.extend_from_slice(&ok("going on after a pause", piece));
        }
        same(&bytes, &file);
    }
}

/// A stream borrows nothing: it may go on or fail after its provider is gone,
/// but it may not end early as if that were all.
async fn a_stream_outlives_its_provider(publish: &impl AsyncFn(Bytes) -> Published) {
    let file = pattern(4 << 20);
    let published = publish(file.clone()).await;
    let provider: Arc<dyn WpkProvider> = published.open().await;
    let offer = resolved(&*provider, &published.wanted).await;
    if let OfferSource::Local(_) = offer.source {
        return;
    }
    let mut stream = ok("fetch", within("fetch", provider.fetch(&offer)).await);
    let mut bytes = Vec::new();
    if let Some(piece) = within("the first piece", stream.next()).await {
        bytes.extend_from_slice(&ok("the first piece", piece));
    }
    drop(provider);
    loop {
        match within("the next piece", stream.next()).await {
            Some(Ok(piece)) => bytes.extend_from_slice(&piece),
            Some(Err(_)) => return,
            None => return same(&bytes, &file),
        }
    }
}
