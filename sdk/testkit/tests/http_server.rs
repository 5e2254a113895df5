//! The test server itself, over real sockets: what the tests of others rely on.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::os::unix::fs::symlink;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wpk_testkit::http::{Body, HttpServer, Response};

/// Sends raw bytes, reads until the server closes.
async fn talk(server: &HttpServer, text: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    // A connection cut on purpose may end as a reset; what came before counts.
    let _ = tokio::time::timeout(Duration::from_secs(10), read)
        .await
        .expect("the server must close");
    String::from_utf8(answer).unwrap()
}

async fn get(server: &HttpServer, target: &str, headers: &str) -> String {
    let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\n{headers}Connection: close\r\n\r\n");
    talk(server, &request).await
}

#[tokio::test]
async fn files_are_served_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("site")).unwrap();
    std::fs::write(root.path().join("secret"), "hidden").unwrap();
    std::fs::write(root.path().join("site/a b"), "0123456789").unwrap();
    symlink(root.path().join("secret"), root.path().join("site/link")).unwrap();
    let server = HttpServer::start_folder(root.path().join("site"))
        .await
        .unwrap();

    let whole = get(&server, "/a%20b?x=1", "").await;
    assert!(whole.starts_with("HTTP/1.1 200 "), "{whole}");
    assert!(whole.contains("Content-Length: 10\r\n") && whole.ends_with("\r\n\r\n0123456789"));
    for outside in [
        "/../secret",
        "/%2e%2e/secret",
        "/link",
        "/",
        "/a%20b/",
        "/nope",
        "/%zz",
        "x",
    ] {
        let answer = get(&server, outside, "").await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{outside}: {answer}");
    }

    let tag = whole
        .split("ETag: ")
        .nth(1)
        .unwrap()
        .split("\r\n")
        .next()
        .unwrap();
    let cases = [
        ("Range: bytes=3-5\r\n".to_owned(), "206", "345"),
        (
            format!("Range: bytes=8-\r\nIf-Range: {tag}\r\n"),
            "206",
            "89",
        ),
        ("Range: bytes=8-99\r\n".to_owned(), "206", "89"),
        ("Range: bytes=-2\r\n".to_owned(), "206", "89"),
        (
            "Range: bytes=8-\r\nIf-Range: \"old\"\r\n".to_owned(),
            "200",
            "0123456789",
        ),
        ("Range: bytes=1-2,4-5\r\n".to_owned(), "200", "0123456789"),
        ("Range: bytes=10-\r\n".to_owned(), "416", ""),
    ];
    for (headers, status, body) in cases {
        let answer = get(&server, "/a%20b", &headers).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{headers}: {answer}"
        );
        assert!(
            answer.ends_with(&format!("\r\n\r\n{body}")),
            "{headers}: {answer}"
        );
    }
}

#[tokio::test]
async fn connections_are_kept_and_requests_are_logged() {
    let server = HttpServer::start(|_| Response::new(200, "hi"))
        .await
        .unwrap();
    let answer = talk(
        &server,
        "HEAD /one HTTP/1.1\r\n\r\nPOST /two HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc\
         GET /three HTTP/1.1\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert_eq!(answer.matches("Content-Length: 2").count(), 3);
    assert_eq!(
        answer.matches("\r\n\r\nhi").count(),
        2,
        "HEAD has no body: {answer}"
    );
    server.wait_for_requests(3).await;
    assert_eq!(server.paths(), ["/one", "/two", "/three"]);
}

#[tokio::test]
async fn it_misbehaves_as_asked() {
    let server = HttpServer::start(|request| {
        let mut response = Response::new(200, "0123456789");
        match request.target.as_str() {
            "/drop" => response.drop_after = Some(4),
            "/long" => response.declared_length = Some(20),
            "/chunked" => response.chunked = true,
            _ => {
                response = Response::with_body(200, Body::Endless);
                response.drop_after = Some(70_000);
            }
        }
        response
    })
    .await
    .unwrap();
    assert!(get(&server, "/drop", "").await.ends_with("\r\n\r\n0123"));
    let long = get(&server, "/long", "").await;
    assert!(long.contains("Content-Length: 20") && long.ends_with("0123456789"));
    assert!(
        get(&server, "/chunked", "")
            .await
            .ends_with("a\r\n0123456789\r\n0\r\n\r\n")
    );
    assert!(get(&server, "/endless", "").await.matches('\0').count() == 70_000);
}
