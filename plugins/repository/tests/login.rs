//! User and password: sent to the host they were written for, and to nobody else,
//! and told to nobody.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::os::unix::fs::PermissionsExt;

use common::*;
use serde_json::json;
use wpk_api::{BuildError, Context, Factory, OfferSource, Wanted};
use wpk_plugin_repository::plugin;
use wpk_testkit::http::{HttpServer, Request, Response};

/// `user:s@cret` in base64.
const SAID: &str = "Basic dXNlcjpzQGNyZXQ=";

fn said(request: &Request) -> Option<&str> {
    request.header("authorization")
}

fn files(request: &Request) -> Response {
    match request.target.as_str() {
        "/linux/deb/amd64/versions" => Response::new(200, format!("v4.14.9 {SHA}\n")),
        path if path.ends_with(".wpk") => Response::new(200, content(1_000)),
        _ => Response::new(404, "no"),
    }
}

/// A repository that lets nobody else in.
async fn closed() -> HttpServer {
    let answer = |request: &Request| match said(request) {
        Some(SAID) => files(request),
        _ => Response::new(401, "who are you?"),
    };
    HttpServer::start(answer).await.unwrap()
}

fn url(server: &HttpServer, login: &str) -> String {
    format!("http://{login}@{}/", server.address())
}

/// What was offered, and whether its file came.
async fn all_the_way(provider: &dyn wpk_api::WpkProvider, wanted: &Wanted) -> String {
    let offer = resolve(provider, wanted).await.unwrap();
    let OfferSource::Download(file) = offer.source else {
        panic!("{offer:?}");
    };
    let (bytes, end) = download(provider, &file).await;
    assert_eq!((bytes.len(), end), (1_000, Ok(())));
    file
}

#[tokio::test]
async fn a_login_in_the_url_is_sent_and_not_shown() {
    let server = closed().await;
    let provider = provider(json!({"url": url(&server, "user:s%40cret")}));
    let wanted = Wanted::Release(release(wpk_api::Target::Exactly(VERSION)));
    let file = all_the_way(&*provider, &wanted).await;
    assert!(file.starts_with(&server.url()), "{file}");
}

#[tokio::test]
async fn a_login_in_a_request_is_sent_and_not_shown() {
    let server = closed().await;
    let open = provider(json!({}));
    let file = all_the_way(&*open, &from_repository(url(&server, "user:s%40cret"))).await;
    assert!(file.starts_with(&server.url()), "{file}");
    // Another request's wrong one is its own matter, and shown to nobody either.
    let wrong = from_repository(url(&server, "user:wr0ng"));
    let error = resolve(&*open, &wrong).await.unwrap_err().to_string();
    assert!(
        error.contains("401") && error.contains("password_file"),
        "{error}"
    );
    assert!(
        !error.contains("wr0ng") && !error.contains("user:"),
        "{error}"
    );
    assert_eq!(
        all_the_way(&*open, &from_repository(url(&server, "user:s%40cret"))).await,
        file
    );
}

#[tokio::test]
async fn a_password_comes_from_a_file_and_may_change() {
    let server = closed().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    let write = |text: &str, mode: u32| {
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    write("old\n", 0o640);
    let settings = json!({"url": server.url(), "user": "user", "password_file": path});
    let provider = provider(settings.clone());
    assert!(resolve(&*provider, &wanted()).await.is_err());
    write("s@cret\r\n", 0o640);
    all_the_way(&*provider, &wanted()).await;

    for (text, mode, words) in [
        ("s@cret", 0o644, "chmod 0640"),
        ("s@cret", 0o646, "chmod 0640"),
        ("", 0o600, "empty"),
        ("\ns@cret", 0o600, "empty"),
        (&*"s@cret".repeat(1_000), 0o600, "longer"),
    ] {
        write(text, mode);
        let Err(BuildError::Failed(told)) = plugin().build(&settings, &context()) else {
            panic!("{mode:o} is good");
        };
        assert!(
            told.contains("password_file /") && told.contains(words),
            "{told}"
        );
        assert!(!told.contains("s@cret"), "{told}");
        // The one that runs says so as well.
        let error = resolve(&*provider, &wanted())
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(words) && !error.contains("s@cret"),
            "{error}"
        );
    }
    std::fs::remove_file(&path).unwrap();
    let gone = plugin()
        .build(&settings, &context())
        .err()
        .unwrap()
        .to_string();
    assert!(gone.contains("No such file"), "{gone}");
}

#[tokio::test]
async fn the_managers_repository_brings_its_own_login() {
    let server = closed().await;
    let context = Context {
        wpk_repository: Some(url(&server, "user:s%40cret")),
        ..context()
    };
    let provider = plugin().build(&json!({}), &context).unwrap();
    all_the_way(&*provider, &wanted()).await;
}

#[tokio::test]
async fn nobody_else_hears_it() {
    let other = HttpServer::start(files).await.unwrap();
    let elsewhere = other.url();
    let server = HttpServer::start(move |request| {
        Response::redirect(format!("{elsewhere}{}", &request.target[1..]))
    })
    .await
    .unwrap();
    let provider = provider(json!({"url": url(&server, "user:s%40cret")}));
    // A redirect to another host, for the list and for the file.
    let offer = resolve(&*provider, &wanted()).await.unwrap();
    let OfferSource::Download(file) = offer.source else {
        panic!("{offer:?}");
    };
    let (bytes, _) = download(&*provider, &file).await;
    assert_eq!(bytes.len(), 1_000);
    assert_eq!(other.requests().len(), 2);
    // A request that names another host.
    all_the_way(&*provider, &from_repository(other.url())).await;
    assert_eq!(other.requests().len(), 4);
    for request in other.requests() {
        assert_eq!(said(&request), None, "{}", request.target);
    }
    for request in server.requests() {
        assert_eq!(said(&request), Some(SAID));
    }
}

/// An address without a scheme is meant for https; `use_http` of a request must not
/// have its password sent in the clear.
#[tokio::test]
async fn use_http_does_not_carry_the_managers_password() {
    let server = HttpServer::start(files).await.unwrap();
    let bare = format!("user:s%40cret@{}", server.address());
    let provider = provider(json!({"url": bare}));
    let mut plain = release(wpk_api::Target::Exactly(VERSION));
    plain.use_http = true;
    all_the_way(&*provider, &Wanted::Release(plain)).await;
    for request in server.requests() {
        assert_eq!(said(&request), None);
    }
}
