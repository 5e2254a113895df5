//! TLS and proxies, with real certificates and a real proxy on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use common::*;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use wpk_api::ProviderError;
use wpk_testkit::http::{HttpServer, Request, Response, tls_config};
use wpk_testkit::tls::server_certificate;

fn answer(request: &Request) -> Response {
    match request.target.as_str() {
        "/linux/deb/amd64/versions" => Response::new(200, format!("v4.14.9 {SHA}\n")),
        "/file.wpk" => Response::new(200, content(100_000)),
        _ => Response::new(404, "no"),
    }
}

/// A TLS server that answers so, and the file with its CA.
async fn serve(
    answer: impl Fn(&Request) -> Response + Send + Sync + 'static,
    expired: bool,
) -> (HttpServer, tempfile::NamedTempFile) {
    let made = server_certificate(&["127.0.0.1"], expired).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), made.ca).unwrap();
    let tls = tls_config(&made.certificate, &made.key).unwrap();
    (HttpServer::start_tls(answer, tls).await.unwrap(), file)
}

/// A TLS server with files, and the file with its CA.
async fn secure(expired: bool) -> (HttpServer, tempfile::NamedTempFile) {
    serve(answer, expired).await
}

#[tokio::test]
async fn an_unknown_ca_is_refused_and_ca_file_makes_it_known() {
    let (server, ca) = secure(false).await;
    let wanted = from_repository(server.url());
    let refused = resolve(&*provider(json!({})), &wanted).await;
    let Err(ProviderError::NotReachable(text)) = refused else {
        panic!("{refused:?}");
    };
    assert!(
        text.contains("UnknownIssuer") && text.contains("ca_file"),
        "{text}"
    );

    let provider = provider(json!({"ca_file": ca.path()}));
    assert!(resolve(&*provider, &wanted).await.is_ok());
    let (bytes, end) = download(&*provider, &format!("{}file.wpk", server.url())).await;
    assert_eq!(end, Ok(()));
    assert!(bytes == content(100_000));
}

#[tokio::test]
async fn an_expired_certificate_and_another_name_are_refused() {
    let (server, ca) = secure(true).await;
    let provider_of = |ca: &tempfile::NamedTempFile| provider(json!({"ca_file": ca.path()}));
    let refused = resolve(&*provider_of(&ca), &from_repository(server.url())).await;
    let text = refused.unwrap_err().to_string();
    assert!(text.to_lowercase().contains("expired"), "{text}");

    let (server, ca) = secure(false).await;
    let url = format!("https://localhost:{}/", server.address().port());
    let refused = resolve(&*provider_of(&ca), &from_repository(url)).await;
    let text = refused.unwrap_err().to_string();
    assert!(text.to_lowercase().contains("not valid for"), "{text}");
    assert_eq!(server.requests(), []);
}

#[tokio::test]
async fn a_redirect_from_https_to_http_is_refused() {
    let plain = HttpServer::start(answer).await.unwrap();
    let location = format!("{}linux/deb/amd64/versions", plain.url());
    let redirect = move |_: &Request| Response::redirect(location.clone());
    let (server, ca) = serve(redirect, false).await;
    let provider = provider(json!({"ca_file": ca.path()}));
    let refused = resolve(&*provider, &from_repository(server.url())).await;
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("from https to http"), "{text}");
    let (_, end) = download(&*provider, &format!("{}file.wpk", server.url())).await;
    assert!(end.unwrap_err().to_string().contains("from https to http"));
    assert_eq!(plain.requests(), []);
}

#[tokio::test]
async fn http_goes_through_the_proxy() {
    // To a proxy the request line names the whole URL.
    let proxy = HttpServer::start(|request| {
        match request.target.strip_prefix("http://repository.invalid") {
            Some(path) => answer(&Request {
                target: path.to_owned(),
                ..request.clone()
            }),
            None => Response::new(400, "not for a proxy"),
        }
    })
    .await
    .unwrap();
    let provider = provider(json!({"proxy": proxy.url()}));
    let offer = resolve(&*provider, &from_repository("http://repository.invalid")).await;
    assert!(offer.is_ok(), "{offer:?}");
    let (bytes, end) = download(&*provider, "http://repository.invalid/file.wpk").await;
    assert_eq!((bytes.len(), end), (100_000, Ok(())));
}

/// A certificate that its own server signed, as `openssl req -x509` makes it with
/// these further arguments; `None` without openssl.
fn self_signed(folder: &std::path::Path, more: &[&str]) -> Option<(String, String)> {
    let made = std::process::Command::new("openssl")
        .args("req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=127.0.0.1".split(' '))
        .args("-keyout key.pem -out cert.pem".split(' '))
        .args(more)
        .current_dir(folder)
        .stderr(std::process::Stdio::null())
        .status();
    match made {
        Ok(status) if status.success() => {}
        _ => {
            wpk_testkit::skipped::say_skipped("there is no openssl");
            return None;
        }
    }
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    Some((read("cert.pem"), read("key.pem")))
}

async fn with_certificate(
    certificate: &str,
    key: &str,
    ca_file: &std::path::Path,
) -> Result<wpk_api::Offer, ProviderError> {
    let tls = tls_config(certificate, key).unwrap();
    let server = HttpServer::start_tls(answer, tls).await.unwrap();
    let provider = provider(json!({"ca_file": ca_file}));
    resolve(&*provider, &from_repository(server.url())).await
}

#[tokio::test]
async fn a_server_that_signed_itself_is_trusted_by_ca_file() {
    const NAME: [&str; 2] = ["-addext", "subjectAltName=IP:127.0.0.1"];
    const NO_CA: [&str; 2] = ["-addext", "basicConstraints=critical,CA:FALSE"];
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("cert.pem");
    // With and without the mark of a CA, which openssl gives by itself.
    for more in [NAME.to_vec(), [NAME, NO_CA].concat()] {
        let Some((certificate, key)) = self_signed(folder.path(), &more) else {
            return;
        };
        let offer = with_certificate(&certificate, &key, &ca_file).await;
        assert!(offer.is_ok(), "{more:?}: {offer:?}");
    }
    // Without a name that counts: the error has the line that makes a good one.
    for more in [Vec::new(), NO_CA.to_vec()] {
        let (certificate, key) = self_signed(folder.path(), &more).unwrap();
        let error = with_certificate(&certificate, &key, &ca_file).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains("openssl req -x509"), "{more:?}: {error}");
    }
    // Another name, and another certificate than the one that is named.
    let other = ["-addext", "subjectAltName=IP:127.0.0.2"];
    let (certificate, key) = self_signed(folder.path(), &other).unwrap();
    let error = with_certificate(&certificate, &key, &ca_file).await;
    assert!(error.unwrap_err().to_string().contains("not valid for"));
    let (certificate, key) = self_signed(folder.path(), &NAME).unwrap();
    self_signed(folder.path(), &NAME).unwrap();
    let error = with_certificate(&certificate, &key, &ca_file).await;
    assert!(error.is_err(), "{error:?}");
}

#[tokio::test]
async fn a_server_that_signed_itself_long_ago_is_refused() {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let certificate = params.self_signed(&key).unwrap().pem();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &certificate).unwrap();
    let error = with_certificate(&certificate, &key.serialize_pem(), file.path()).await;
    let error = error.unwrap_err().to_string();
    assert!(error.to_lowercase().contains("expired"), "{error}");
}

/// A proxy that tunnels (`CONNECT`) and notes the heads of the requests.
async fn tunnel() -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let log = heads.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let log = log.clone();
            tokio::spawn(async move {
                let mut client = BufReader::new(client);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    if client.read_line(&mut head).await.unwrap() == 0 {
                        return;
                    }
                }
                log.lock().unwrap().push(head.clone());
                let target = head
                    .strip_prefix("CONNECT ")
                    .unwrap()
                    .split(' ')
                    .next()
                    .unwrap();
                let mut server = TcpStream::connect(target).await.unwrap();
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                // Either side may go first.
                let _ended = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (address, heads)
}

#[tokio::test]
async fn https_is_tunnelled_and_still_verified() {
    let (server, ca) = secure(false).await;
    let (proxy, heads) = tunnel().await;
    let address = format!("http://user:secret@{proxy}");
    let provider_of = |ca| provider(json!({"proxy": &address, "ca_file": ca}));
    let wanted = from_repository(server.url());
    let good = resolve(&*provider_of(Some(ca.path())), &wanted).await;
    assert!(good.is_ok(), "{good:?}");
    let head = heads.lock().unwrap().first().cloned().unwrap();
    assert!(
        head.starts_with(&format!("CONNECT {} ", server.address())),
        "{head}"
    );
    assert!(
        head.to_lowercase().contains("proxy-authorization: basic "),
        "{head}"
    );
    let refused = resolve(&*provider_of(None), &wanted)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("UnknownIssuer") && !refused.contains("secret"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_told_without_its_password() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let provider = provider(json!({"proxy": format!("http://user:secret@{address}")}));
    let refused = resolve(&*provider, &from_repository("http://repository.invalid")).await;
    let text = refused.unwrap_err().to_string();
    assert!(
        text.contains("refused") && !text.contains("secret"),
        "{text}"
    );
}
