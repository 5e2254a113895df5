//! Which versions there are, against a real HTTP server on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::*;
use serde_json::json;
use wpk_api::{PackageType, Platform, ProviderError, Target, Version, WantedRelease, WpkProvider};
use wpk_testkit::http::{Folder, HttpServer, Response};

fn wish(name: &str, minor: &str, package_type: Option<PackageType>) -> WantedRelease {
    WantedRelease {
        platform: Platform {
            name: Some(name.into()),
            major: Some("22".into()),
            minor: Some(minor.into()),
            arch: Some("x86_64".into()),
        },
        package_type,
        ..release(Target::Latest)
    }
}

fn line(version: &str) -> String {
    format!("{version} {SHA}\n")
}

/// The versions, and why there may be others.
async fn ask_for_all(
    provider: &dyn WpkProvider,
    wishes: &[WantedRelease],
) -> Result<(Vec<String>, Vec<String>), ProviderError> {
    let asked = tokio::time::timeout(LONG, provider.versions(wishes));
    let listed = asked.await.expect("no answer in time")?;
    let listed = listed.expect("a repository has lists");
    let versions = listed.versions.iter().map(Version::to_string);
    Ok((versions.collect(), listed.incomplete))
}

/// The versions, of which none is missing.
async fn ask(
    provider: &dyn WpkProvider,
    wishes: &[WantedRelease],
) -> Result<Vec<String>, ProviderError> {
    let (versions, incomplete) = ask_for_all(provider, wishes).await?;
    assert_eq!(incomplete, [""; 0]);
    Ok(versions)
}

/// Many kinds of agents share a few folders; what lies in older ones is told as well.
#[tokio::test]
async fn each_folder_is_asked_once_and_tells_what_lies_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    // v4.7.0 is listed here and would be looked for in the older folder.
    let list = [line("v4.14.9"), line("v4.14.1-rc1"), line("v4.7.0")].concat();
    write(root, "linux/deb/amd64/versions", list);
    write(root, "linux/rpm/x86_64/versions", line("v4.10.0"));
    write(
        root,
        "linux/x86_64/versions",
        [line("v4.3.0"), line("v4.14.8")].concat(),
    );
    write(root, "windows/versions", line("v4.9.1"));
    let asked = Arc::new(AtomicUsize::new(0));
    let (files, count) = (Folder::new(root).unwrap(), asked.clone());
    let server = HttpServer::start(move |request| {
        count.fetch_add(1, Ordering::SeqCst);
        files.answer(request)
    });
    let server = server.await.unwrap();
    let provider = provider(json!({"url": server.url()}));
    let wishes = [
        wish("ubuntu", "04", Some(PackageType::Deb)),
        wish("ubuntu", "10", Some(PackageType::Deb)),
        wish("centos", "04", Some(PackageType::Rpm)),
        wish("windows", "", None),
    ];
    let listed = ask(&*provider, &wishes).await.unwrap();
    let all = ["v4.3.0", "v4.9.1", "v4.10.0", "v4.14.1", "v4.14.9"];
    assert_eq!(listed, all);
    // deb, rpm, windows, the Linux folder of before, and three of their platforms' own.
    assert_eq!(asked.load(Ordering::SeqCst), 7);
    assert_eq!(ask(&*provider, &[]).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_list_that_cannot_be_had_takes_nothing_from_the_others_and_is_asked_once() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let server = HttpServer::start(move |request| match request.target.as_str() {
        "/linux/deb/amd64/versions" => {
            count.fetch_add(1, Ordering::SeqCst);
            Response::new(503, "busy")
        }
        "/windows/versions" => Response::new(200, line("v4.9.1")),
        _ => Response::new(404, "no"),
    });
    let server = server.await.unwrap();
    let provider = provider(json!({"url": server.url(), "attempts": 3}));
    let (deb, windows) = (release(Target::Latest), wish("windows", "", None));
    for (wishes, all) in [
        (vec![deb.clone(), windows], &["v4.9.1"][..]),
        (vec![deb], &[]),
    ] {
        let (listed, incomplete) = ask_for_all(&*provider, &wishes).await.unwrap();
        assert_eq!(listed, all);
        assert_eq!(asked.swap(0, Ordering::SeqCst), 1);
        // The cause is told, with the address.
        let [why] = &incomplete[..] else {
            panic!("{incomplete:?}")
        };
        let where_and_why = why.contains("503") && why.contains("linux/deb/amd64");
        assert!(where_and_why, "{why}");
    }
}

/// Platforms of which each has a folder of its own beside those that they share.
fn platforms(count: usize) -> Vec<WantedRelease> {
    let minors = (0..count).map(|minor| wish("ubuntu", &minor.to_string(), Some(PackageType::Deb)));
    minors.collect()
}

/// More of them than are asked for at once.
#[tokio::test]
async fn lists_that_hang_take_nothing_from_the_others() {
    let server = HttpServer::start(|request| match request.target.as_str() {
        "/ubuntu/22.19/x86_64/versions" => Response::new(200, line("v3.3.1")),
        target if target.starts_with("/ubuntu/") => Response {
            stall_after: Some(0),
            ..Response::new(200, line("v3.3.2"))
        },
        _ => Response::new(404, "no"),
    });
    let server = server.await.unwrap();
    let provider = provider(json!({"url": server.url()}));
    let (listed, incomplete) = ask_for_all(&*provider, &platforms(20)).await.unwrap();
    assert_eq!(listed, ["v3.3.1"]);
    assert_eq!(incomplete.len(), 19, "{incomplete:?}");
    for why in incomplete {
        let where_and_why = why.contains("/ubuntu/22.") && why.contains("within 4s");
        assert!(where_and_why, "{why}");
    }
}

#[tokio::test]
async fn lists_that_are_not_asked_for_are_counted() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let server = HttpServer::start(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        Response::new(404, "no")
    });
    let server = server.await.unwrap();
    let provider = provider(json!({"url": server.url()}));
    let (listed, incomplete) = ask_for_all(&*provider, &platforms(70)).await.unwrap();
    assert_eq!(listed, [""; 0]);
    assert_eq!(asked.load(Ordering::SeqCst), 64);
    // Two folders are theirs in common.
    let why = "only 64 of 72 lists of versions were asked for";
    assert_eq!(incomplete, [why]);
}

#[tokio::test]
async fn a_kind_without_a_place_is_told_where_there_is_no_other() {
    let server = HttpServer::start(|_| Response::new(404, "no"))
        .await
        .unwrap();
    let provider = provider(json!({"url": server.url()}));
    // No repository has packages for it: nothing is listed, and nothing is wrong.
    assert_eq!(
        ask(&*provider, &[release(Target::Latest)]).await.unwrap(),
        [""; 0]
    );
    let hostile = WantedRelease {
        platform: Platform {
            arch: Some("../..".into()),
            ..wish("ubuntu", "04", None).platform
        },
        ..release(Target::Latest)
    };
    let error = ask(&*provider, &[hostile]).await.unwrap_err();
    assert!(matches!(error, ProviderError::NoPackage(_)), "{error:?}");
}
