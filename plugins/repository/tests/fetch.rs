//! Downloads that are broken in every way a server can break them.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};

use common::*;
use serde_json::json;
use wpk_api::{OfferSource, ProviderError};
use wpk_testkit::http::{Body, Folder, HttpServer, Request, Response};

const SIZE: usize = 300_000;

/// A server of one file that lets `misbehave` change the answer to the n-th
/// request, counted from 0.
async fn serving(
    ranges: bool,
    misbehave: impl Fn(usize, &Request, Response) -> Response + Send + Sync + 'static,
) -> (HttpServer, tempfile::TempDir, String) {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "file.wpk", content(SIZE));
    let mut folder = Folder::new(root.path()).unwrap();
    if !ranges {
        folder = folder.without_ranges();
    }
    let count = AtomicUsize::new(0);
    let server = HttpServer::start(move |request| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        misbehave(number, request, folder.answer(request))
    })
    .await
    .unwrap();
    let url = format!("{}file.wpk", server.url());
    (server, root, url)
}

fn no_file(result: Result<(), ProviderError>) -> String {
    match result {
        Err(ProviderError::NoFile(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn dropping(after: u64, mut response: Response) -> Response {
    response.drop_after = Some(after);
    response
}

#[tokio::test]
async fn a_file_arrives() {
    for chunked in [false, true] {
        let (server, _root, url) = serving(true, move |_, _, mut response| {
            response.chunked = chunked;
            response
        })
        .await;
        let (bytes, end) = download(&*provider(json!({})), &url).await;
        assert_eq!(end, Ok(()));
        assert!(bytes == content(SIZE));
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn an_empty_file_arrives() {
    let server = HttpServer::start(|_| Response::new(200, "")).await.unwrap();
    let (bytes, end) = download(&*provider(json!({})), &server.url()).await;
    assert_eq!((bytes.len(), end), (0, Ok(())));
}

#[tokio::test]
async fn a_broken_download_goes_on_where_it_stopped() {
    let (server, _root, url) = serving(true, |number, _, response| match number {
        0 => dropping(100_000, response),
        1 => dropping(50_000, response),
        _ => response,
    })
    .await;
    let (bytes, end) = download(&*provider(json!({})), &url).await;
    assert_eq!(end, Ok(()));
    assert!(bytes == content(SIZE));
    let ranges: Vec<_> = server
        .requests()
        .iter()
        .map(|request| request.header("range").map(str::to_owned))
        .collect();
    assert_eq!(ranges.len(), 3);
    assert_eq!(ranges[0], None);
    // What was sent last may be lost with the connection, but nothing before.
    for range in &ranges[1..] {
        let from = range.as_deref().unwrap().strip_prefix("bytes=").unwrap();
        let from: u64 = from.strip_suffix('-').unwrap().parse().unwrap();
        assert!(from > 0 && from <= 150_000, "{ranges:?}");
    }
}

#[tokio::test]
async fn a_server_that_dies_in_the_middle_is_told_as_that() {
    let died: [fn(Response) -> Response; 2] = [
        |_| Response::new(503, "dying"),
        |response| dropping(0, response),
    ];
    for died in died {
        let (_server, _root, url) = serving(true, move |number, _, response| match number {
            0 => dropping(100_000, response),
            _ => died(response),
        })
        .await;
        let (bytes, end) = download(&*provider(json!({})), &url).await;
        let text = no_file(end);
        let told = format!(
            "{url}: the download broke off after {} of {SIZE} bytes: ",
            bytes.len()
        );
        assert!(text.starts_with(&told), "{text}");
        assert!(text.ends_with("(attempts: 3)"), "{text}");
        assert!(!bytes.is_empty() && bytes.len() <= 100_000);
    }
}

#[tokio::test]
async fn a_server_without_ranges_is_read_again() {
    let (server, _root, url) = serving(false, |number, _, response| match number {
        0 => dropping(100_000, response),
        _ => response,
    })
    .await;
    let (bytes, end) = download(&*provider(json!({})), &url).await;
    assert_eq!(end, Ok(()));
    assert!(bytes == content(SIZE));
    assert_eq!(server.requests().len(), 2);
    assert_eq!(
        server.requests()[1].header("range"),
        None,
        "nothing proves it is the same file"
    );
}

#[tokio::test]
async fn a_file_that_changes_between_attempts_is_noticed() {
    let (server, _root, url) = serving(true, |number, _, response| match number {
        0 => dropping(100_000, response),
        _ => Response::new(200, content(SIZE + 1)).header("ETag", "\"other\""),
    })
    .await;
    let (_, end) = download(&*provider(json!({})), &url).await;
    let text = no_file(end);
    assert!(text.contains("changed while it was downloaded"), "{text}");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_wrong_range_is_not_taken() {
    let (_server, _root, url) = serving(true, |number, request, response| match number {
        0 => dropping(100_000, response),
        1 => {
            assert!(request.header("if-range").is_some());
            Response::new(206, content(10)).header("Content-Range", format!("bytes 0-9/{SIZE}"))
        }
        _ => response,
    })
    .await;
    let (bytes, end) = download(&*provider(json!({})), &url).await;
    assert_eq!(end, Ok(()));
    assert!(bytes == content(SIZE));
}

#[tokio::test]
async fn bad_answers_are_retried_and_then_told() {
    for status in [404, 500] {
        let server = HttpServer::start(move |_| Response::new(status, "no"))
            .await
            .unwrap();
        let url = format!("{}x.wpk", server.url());
        let (bytes, end) = download(&*provider(json!({"attempts": 4})), &url).await;
        let text = no_file(end);
        assert!(
            text.contains(&url) && text.contains(&status.to_string()),
            "{text}"
        );
        assert_eq!((bytes.len(), server.requests().len()), (0, 4));
    }
}

#[tokio::test]
async fn a_server_that_recovers_is_enough() {
    let (_server, _root, url) = serving(true, |number, _, response| match number {
        0 => Response::new(503, "later"),
        _ => response,
    })
    .await;
    let (bytes, end) = download(&*provider(json!({})), &url).await;
    assert_eq!((bytes.len(), end), (SIZE, Ok(())));
}

#[tokio::test]
async fn a_stalled_download_is_taken_up_again() {
    let (server, _root, url) = serving(true, |number, _, mut response| {
        if number == 0 {
            response.stall_after = Some(1_000);
        }
        response
    })
    .await;
    let (bytes, end) = download(&*provider(json!({"timeout": "200ms"})), &url).await;
    assert_eq!(end, Ok(()));
    assert!(bytes == content(SIZE));
    assert_eq!(server.requests().len(), 2);

    let silent = HttpServer::start(|_| {
        let mut response = Response::new(200, content(10));
        response.stall_after = Some(5);
        response
    })
    .await
    .unwrap();
    let settings = json!({"timeout": "100ms", "attempts": 2});
    let text = no_file(download(&*provider(settings), &silent.url()).await.1);
    assert!(
        text.contains("broke off after 5 of 10 bytes: no byte came for"),
        "{text}"
    );
}

#[tokio::test]
async fn a_wrong_content_length_is_noticed() {
    let (server, _root, url) = serving(true, |_, _, mut response| {
        response.declared_length = Some(SIZE as u64 + 10);
        response
    })
    .await;
    let text = no_file(download(&*provider(json!({})), &url).await.1);
    let far = format!("broke off after {SIZE} of {} bytes", SIZE + 10);
    assert!(text.contains(&url) && text.contains(&far), "{text}");
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn too_much_is_refused() {
    // Told beforehand: nothing is delivered. Not told: it ends at the limit.
    for chunked in [false, true] {
        let (server, _root, url) = serving(true, move |_, _, mut response| {
            response.chunked = chunked;
            response
        })
        .await;
        let (bytes, end) = download(&*provider(json!({"max_size": 100_000})), &url).await;
        let text = no_file(end);
        assert!(text.contains("max_size"), "{text}");
        assert!(bytes.len() <= 100_000 && (chunked || bytes.is_empty()));
        assert_eq!(
            server.requests().len(),
            1,
            "a second attempt would not help"
        );
    }
    let endless = HttpServer::start(|_| Response::with_body(200, Body::Endless))
        .await
        .unwrap();
    let (bytes, end) = download(&*provider(json!({"max_size": "1MiB"})), &endless.url()).await;
    assert!(no_file(end).contains("max_size"));
    assert!(bytes.len() <= 1 << 20);
}

#[tokio::test]
async fn a_download_without_end_in_sight_is_given_up() {
    let slow = HttpServer::start(|_| {
        let mut response = Response::with_body(200, Body::Endless);
        response.bytes_per_second = Some(20);
        response
    })
    .await
    .unwrap();
    let text = no_file(
        download(&*provider(json!({"max_time": "300ms"})), &slow.url())
            .await
            .1,
    );
    assert!(text.contains("max_time"), "{text}");
}

#[tokio::test]
async fn a_refused_redirect_is_not_tried_again() {
    let server = HttpServer::start(|_| Response::redirect("http://127.0.0.2:1/"))
        .await
        .unwrap();
    let settings = json!({"allow_hosts": ["127.0.0.1"]});
    let text = no_file(download(&*provider(settings), &server.url()).await.1);
    assert!(text.contains("allow_hosts"), "{text}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn only_urls_are_fetched() {
    let provider = provider(json!({}));
    for url in ["file:///etc/passwd", "nonsense", ""] {
        no_file(download(&*provider, url).await.1);
    }
    let mut local = offer("");
    local.source = OfferSource::Local("/etc/passwd".into());
    assert!(provider.fetch(&local).await.is_err());
}
