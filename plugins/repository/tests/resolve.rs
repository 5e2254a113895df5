//! From a wish to an offer, against a real HTTP server on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::*;
use serde_json::json;
use wpk_api::{
    Factory, Offer, OfferSource, PackageType, Platform, ProviderError, Target, Version, Wanted,
    WantedFile, WantedRelease,
};
use wpk_plugin_repository::plugin;
use wpk_testkit::http::{HttpServer, Response};

/// A server on which `versions` of the usual folder answers as given.
async fn serving(answer: impl Fn() -> Response + Send + Sync + 'static) -> HttpServer {
    HttpServer::start(move |request| match request.target.as_str() {
        "/linux/deb/amd64/versions" => answer(),
        _ => Response::new(404, "no"),
    })
    .await
    .unwrap()
}

async fn resolve_from(server: &HttpServer) -> Result<Offer, ProviderError> {
    resolve(&*provider(json!({})), &from_repository(server.url())).await
}

fn not_reachable(result: Result<Offer, ProviderError>) -> String {
    match result {
        Err(ProviderError::NotReachable(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_listed_version_is_offered() {
    let root = tempfile::tempdir().unwrap();
    write(
        root.path(),
        "linux/deb/amd64/versions",
        format!("v4.14.9 {SHA}\nv4.14.8 {SHA}\n"),
    );
    let server = HttpServer::start_folder(root.path()).await.unwrap();
    // Configured, not requested; the scheme comes from the request.
    let provider = provider(json!({"url": server.address().to_string()}));
    let mut release = release(Target::Exactly(VERSION));
    release.use_http = true;
    assert!(provider.serves(&Wanted::Release(release.clone())));
    let offer = resolve(&*provider, &Wanted::Release(release))
        .await
        .unwrap();
    assert_eq!(offer.file_name, FILE);
    assert_eq!(offer.version, Some(VERSION));
    assert_eq!(offer.sha1, Some(SHA.parse().unwrap()));
    assert_eq!(
        offer.source,
        OfferSource::Download(format!("{}{FOLDER}{FILE}", server.url()))
    );
    assert_eq!(server.paths(), ["/linux/deb/amd64/versions"]);
}

#[tokio::test]
async fn a_version_that_is_not_listed_is_told() {
    for text in [
        format!("v4.14.8 {SHA}\n"),
        "<html>hello</html>".into(),
        String::new(),
    ] {
        let server = serving(move || Response::new(200, text.clone())).await;
        let Err(ProviderError::NotListed(text)) = resolve_from(&server).await else {
            panic!("it must not be listed");
        };
        assert!(
            text.contains(&server.url()) && text.contains("v4.14.9"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn odd_lists_are_read() {
    let note = format!("v4.14.9 {SHA} caf\u{e9}\n");
    for list in [
        format!("# list\r\n<b>\r\nv4.14.9  {} x\r\n", SHA.to_uppercase()).into_bytes(),
        // As some editors save it.
        format!("\u{feff}v4.14.9 {SHA}\r\n").into_bytes(),
        // A note in Latin-1.
        note.chars().map(|c| c as u8).collect(),
    ] {
        let answer = list.clone();
        let server = serving(move || Response::new(200, answer.clone())).await;
        assert_eq!(
            resolve_from(&server)
                .await
                .ok()
                .and_then(|offer| offer.sha1),
            Some(SHA.parse().unwrap()),
            "{}",
            String::from_utf8_lossy(&list)
        );
    }
}

#[tokio::test]
async fn a_list_that_cannot_be_had_is_asked_for_again_where_that_may_help() {
    for (status, asked) in [(404, 1), (403, 1), (429, 3), (500, 3), (503, 3)] {
        let server = serving(move || Response::new(status, format!("v4.14.9 {SHA}\n"))).await;
        let text = not_reachable(resolve_from(&server).await);
        let url = format!("{}linux/deb/amd64/versions", server.url());
        assert!(
            text.contains(&url) && text.contains(&status.to_string()),
            "{text}"
        );
        assert_eq!(text.contains("attempts: 3"), asked == 3, "{text}");
        assert_eq!(server.requests().len(), asked, "{status}");
    }
    let server = serving(|| {
        let mut response = Response::new(200, format!("v4.14.9 {SHA}\n"));
        response.drop_after = Some(5);
        response
    })
    .await;
    let text = not_reachable(resolve_from(&server).await);
    assert!(text.contains("broke off"), "{text}");
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_server_that_recovers_is_as_good_as_any() {
    let asked = AtomicUsize::new(0);
    let server = serving(move || match asked.fetch_add(1, Ordering::Relaxed) {
        0 => Response::new(503, ""),
        1 => {
            let mut response = Response::new(200, format!("v4.14.9 {SHA}\n"));
            response.drop_after = Some(5);
            response
        }
        _ => Response::new(200, format!("v4.14.9 {SHA}\n")),
    })
    .await;
    assert!(resolve_from(&server).await.is_ok());
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_huge_list_is_refused() {
    let long = format!("v4.14.9 {SHA}\n").repeat(30_000);
    for chunked in [false, true] {
        let long = long.clone();
        let server = serving(move || {
            let mut response = Response::new(200, long.clone());
            response.chunked = chunked;
            response
        })
        .await;
        let text = not_reachable(resolve_from(&server).await);
        assert!(text.contains("longer than 1 MiB"), "{text}");
    }
    let server = serving(|| Response::new(200, "\nx".repeat(100_001))).await;
    let text = not_reachable(resolve_from(&server).await);
    assert!(text.contains("100000 lines"), "{text}");
}

#[tokio::test]
async fn a_closed_port_fails_at_once_and_says_why() {
    // Bound and dropped: nobody listens there now.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let begun = Instant::now();
    let wanted = from_repository(format!("http://127.0.0.1:{port}"));
    let text = not_reachable(resolve(&*provider(json!({})), &wanted).await);
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert!(
        text.contains(&format!("127.0.0.1:{port}/linux/deb/amd64/versions")),
        "{text}"
    );
    assert!(text.contains("Connection refused"), "{text}");
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let server = serving(|| {
        let mut response = Response::new(200, format!("v4.14.9 {SHA}\n"));
        response.stall_after = Some(5);
        response
    })
    .await;
    let provider = provider(json!({"timeout": "100ms"}));
    let text = not_reachable(resolve(&*provider, &from_repository(server.url())).await);
    assert!(text.contains("within 100ms"), "{text}");
}

#[tokio::test]
async fn hopeless_wishes_are_refused_without_asking() {
    let server = serving(|| Response::new(200, format!("v4.14.9 {SHA}\n"))).await;
    let provider = provider(json!({"url": server.url()}));
    let plain = release(Target::Exactly(VERSION));

    let invalid = Wanted::Release(release(Target::Invalid("../../x".into())));
    let refused = resolve(&*provider, &invalid).await;
    assert!(
        matches!(refused, Err(ProviderError::NotListed(_))),
        "{refused:?}"
    );

    let untyped = WantedRelease {
        package_type: None,
        ..plain.clone()
    };
    let latest = WantedRelease {
        target: Target::Latest,
        ..untyped.clone()
    };
    let hostile = WantedRelease {
        platform: Platform {
            arch: Some("../../x".into()),
            ..plain.platform.clone()
        },
        ..plain.clone()
    };
    for release in [untyped, latest, hostile] {
        let refused = resolve(&*provider, &Wanted::Release(release)).await;
        assert!(
            matches!(refused, Err(ProviderError::NoPackage(_))),
            "{refused:?}"
        );
    }
    for repository in [
        "",
        "ftp://127.0.0.1/",
        "http://:p@127.0.0.1/",
        "a b",
        "1.2.3.999",
    ] {
        let text = not_reachable(resolve(&*provider, &from_repository(repository)).await);
        assert!(text.contains("is no repository"), "{text}");
    }
    let file = Wanted::File(WantedFile { path: None });
    assert!(!provider.serves(&file));
    assert!(resolve(&*provider, &file).await.is_err());
    assert_eq!(server.requests(), []);
}

#[tokio::test]
async fn requests_are_limited_to_the_allowed_hosts() {
    let server = serving(|| Response::new(200, format!("v4.14.9 {SHA}\n"))).await;
    let (address, url) = (server.address(), server.url());
    for (allowed, good) in [
        (json!([address.to_string()]), true),
        (json!(["other.example", "127.0.0.1"]), true),
        (json!(["127.0.0.1:1"]), false),
        (json!([]), false),
    ] {
        let provider = provider(json!({"allow_hosts": allowed}));
        let result = resolve(&*provider, &from_repository(url.clone())).await;
        if good {
            assert!(result.is_ok(), "{allowed}: {result:?}");
        } else {
            let text = not_reachable(result);
            assert!(text.contains("allow_hosts"), "{text}");
        }
    }
    // What the administrator configured needs no entry.
    let provider = provider(json!({"allow_hosts": [], "url": url}));
    assert!(resolve(&*provider, &wanted()).await.is_ok());
}

#[tokio::test]
async fn redirects_are_followed_within_limits() {
    let target = serving(|| Response::new(200, format!("v4.14.9 {SHA}\n"))).await;
    let location = format!("{}linux/deb/amd64/versions", target.url());
    let server = serving(move || Response::redirect(location.clone())).await;
    assert!(resolve_from(&server).await.is_ok());

    let allowed = json!({"allow_hosts": [server.address().to_string()]});
    let refused = resolve(&*provider(allowed), &from_repository(server.url())).await;
    let text = not_reachable(refused);
    assert!(text.contains("not in allow_hosts"), "{text}");
    assert_eq!(
        target.requests().len(),
        1,
        "the refused redirect must not be followed"
    );

    let circle = serving(|| Response::redirect("/linux/deb/amd64/versions")).await;
    let text = not_reachable(resolve_from(&circle).await);
    assert!(text.contains("more than 5 redirects"), "{text}");
    assert_eq!(circle.requests().len(), 6);
}

#[tokio::test]
async fn the_latest_version_is_the_first_of_the_newest_layout() {
    let root = tempfile::tempdir().unwrap();
    let server = HttpServer::start_folder(root.path()).await.unwrap();
    let provider = provider(json!({"url": server.url()}));
    let latest = Wanted::Release(release(Target::Latest));
    let old = "linux/x86_64/versions";
    let new = "linux/deb/amd64/versions";

    let text = not_reachable(resolve(&*provider, &latest).await);
    assert!(
        text.contains(new),
        "the newest layout is the one to be told: {text}"
    );
    let asked = [
        "/linux/deb/amd64/versions",
        "/linux/x86_64/versions",
        "/ubuntu/22.04/x86_64/versions",
    ];
    assert_eq!(server.paths(), asked);

    write(root.path(), old, format!("v4.7.0 {SHA}\n"));
    let offer = resolve(&*provider, &latest).await.unwrap();
    assert_eq!(offer.file_name, "wazuh_agent_v4.7.0_linux_x86_64.wpk");

    // A version that belongs elsewhere is asked for where it belongs.
    write(root.path(), old, format!("v4.10.0 {SHA}\n"));
    let text = not_reachable(resolve(&*provider, &latest).await);
    assert!(text.contains(new), "{text}");

    write(root.path(), new, format!("v4.14.9 {SHA}\nv4.14.8 {SHA}\n"));
    let offer = resolve(&*provider, &latest).await.unwrap();
    assert_eq!(
        (offer.version, offer.file_name.as_str()),
        (Some(VERSION), FILE)
    );

    write(root.path(), new, "nothing here\n");
    let refused = resolve(&*provider, &latest).await;
    assert!(
        matches!(refused, Err(ProviderError::NotListed(_))),
        "{refused:?}"
    );

    // Rolling platforms have no OS version: the oldest layout is no place for them.
    let rolling = Wanted::Release(WantedRelease {
        platform: Platform {
            name: Some("arch".into()),
            arch: Some("aarch64".into()),
            ..Platform::default()
        },
        package_type: Some(PackageType::Rpm),
        ..release(Target::Latest)
    });
    let text = not_reachable(resolve(&*provider, &rolling).await);
    assert!(text.contains("linux/rpm/aarch64/versions"), "{text}");
}

#[tokio::test]
async fn windows_has_one_folder_for_all_versions() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "windows/versions", format!("v3.13.0 {SHA}\n"));
    let server = HttpServer::start_folder(root.path()).await.unwrap();
    let windows = Wanted::Release(WantedRelease {
        platform: Platform {
            name: Some("windows".into()),
            ..Platform::default()
        },
        package_type: Some(PackageType::Msi),
        ..release(Target::Latest)
    });
    let offer = resolve(&*provider(json!({"url": server.url()})), &windows)
        .await
        .unwrap();
    assert_eq!(offer.version, Some(Version::new(3, 13, 0)));
    assert_eq!(offer.file_name, "wazuh_agent_v3.13.0_windows.wpk");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn mistakes_in_the_settings_are_found() {
    let section = json!({"url": "a b", "attempts": 0, "nonsense": 1});
    assert_eq!(plugin().kind(), "repository");
    assert_eq!(plugin().check(&json!({})), []);
    let mistakes = plugin().check(&section);
    assert_eq!(mistakes.len(), 3, "one hides no other: {mistakes:?}");
    let section = json!({"url": "1.2.3.999", "attempts": 0});
    assert_eq!(plugin().check(&section).len(), 2);
    let section = json!({"url": "a b", "attempts": 0});
    assert_eq!(plugin().check(&section).len(), 2);
    assert!(plugin().build(&section, &context()).is_err());
    for ca_file in ["missing.pem", "/dev/null"] {
        let refused = plugin().build(&json!({"ca_file": ca_file}), &context());
        let text = refused.err().unwrap().to_string();
        assert!(text.contains(ca_file), "{text}");
    }
}
