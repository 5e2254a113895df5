//! Local files against a real file system.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use wpk_api::{
    Context, Factory, NodeInfo, Offer, OfferSource, Platform, ProviderError, Role, Target, Wanted,
    WantedFile, WantedRelease, WpkProvider,
};
use wpk_plugin_local_file::plugin;

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["home/var/upgrade", "elsewhere"] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        Self { dir }
    }

    fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(path)
    }

    fn file(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = self.path(path);
        std::fs::write(&path, "WPK").unwrap();
        path
    }

    fn provider(&self, settings: Value) -> Arc<dyn WpkProvider> {
        let node = NodeInfo {
            name: "node07".into(),
            role: Role::Master,
            version: None,
        };
        let context = Context::new(self.path("home"), node);
        plugin().build(&settings, &context).unwrap()
    }
}

fn wanted(path: impl Into<PathBuf>) -> Wanted {
    Wanted::File(WantedFile {
        path: Some(path.into()),
    })
}

async fn resolve(
    provider: &Arc<dyn WpkProvider>,
    path: impl Into<PathBuf>,
) -> Result<Offer, ProviderError> {
    let wanted = wanted(path);
    tokio::time::timeout(Duration::from_secs(10), provider.resolve(&wanted))
        .await
        .expect("no answer in time")
}

async fn refused(provider: &Arc<dyn WpkProvider>, path: impl Into<PathBuf>) -> String {
    match resolve(provider, path).await {
        Err(ProviderError::NoFile(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn files_are_offered_under_the_name_of_the_request() {
    let place = Place::new();
    let provider = place.provider(json!({}));
    let file = place.file("elsewhere/custom 1.wpk");
    let local = place.file("home/var/upgrade/a.wpk");
    symlink(&file, place.path("home/latest.wpk")).unwrap();
    for (asked, name, real) in [
        (file.clone(), "custom 1.wpk", &file),
        ("var/upgrade/a.wpk".into(), "a.wpk", &local),
        ("../elsewhere/custom 1.wpk".into(), "custom 1.wpk", &file),
        ("latest.wpk".into(), "latest.wpk", &file),
    ] {
        let offer = resolve(&provider, asked).await.unwrap();
        assert_eq!(offer.file_name, name);
        assert_eq!(offer.source, OfferSource::Local(real.clone()));
        assert_eq!((offer.sha1, offer.version), (None, None));
    }
}

#[tokio::test]
async fn what_is_no_file_is_refused() {
    let place = Place::new();
    let provider = place.provider(json!({}));
    let text = refused(&provider, place.path("missing.wpk")).await;
    assert!(
        text.contains("missing.wpk") && text.contains("node07"),
        "{text}"
    );
    assert!(text.contains("no such file"), "{text}");

    let fifo = place.path("fifo.wpk");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(place.path("socket.wpk")).unwrap();
    for path in [
        fifo,
        place.path("socket.wpk"),
        place.path("elsewhere"),
        "/dev/zero".into(),
    ] {
        let text = refused(&provider, path).await;
        assert!(text.contains("no regular file"), "{text}");
    }
    symlink("loop.wpk", place.path("loop.wpk")).unwrap();
    refused(&provider, place.path("loop.wpk")).await;
    for path in ["", "/", "..", "a\0b"] {
        refused(&provider, path).await;
    }
    let no_path = Wanted::File(WantedFile { path: None });
    assert!(provider.serves(&no_path));
    let text = provider.resolve(&no_path).await.unwrap_err().to_string();
    assert!(text.contains("file_path"), "{text}");
}

#[tokio::test]
async fn an_unreadable_file_is_refused() {
    let place = Place::new();
    let file = place.file("secret.wpk");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o000)).unwrap();
    let offered = resolve(&place.provider(json!({})), file.clone()).await;
    // For root everything is readable, also for the test's own attempt.
    assert_eq!(
        offered.is_ok(),
        std::fs::File::open(&file).is_ok(),
        "{offered:?}"
    );
}

#[tokio::test]
async fn names_no_agent_accepts_are_refused() {
    let place = Place::new();
    let provider = place.provider(json!({}));
    for (name, reason) in [
        (OsStr::new("a\\b.wpk").to_owned(), "backslash"),
        (OsStr::new("a\nb.wpk").to_owned(), "control"),
        (OsStr::from_bytes(b"\xff.wpk").to_owned(), "not UTF-8"),
        ("x".repeat(201).into(), "longer than 200"),
    ] {
        let file = place.file(name);
        let text = refused(&provider, file).await;
        assert!(text.contains(reason), "{text}");
    }
    let name = "x".repeat(200);
    assert_eq!(
        resolve(&provider, place.file(&name))
            .await
            .unwrap()
            .file_name,
        name
    );
    let text = refused(&provider, "y".repeat(1 << 20)).await;
    assert!(text.len() < 1_000, "a hostile path must not fill the log");
}

#[tokio::test]
async fn roots_are_not_left() {
    let place = Place::new();
    let roots = json!({"roots": ["var/upgrade", "not/there", place.path("more")]});
    let provider = place.provider(roots);
    let outside = place.file("elsewhere/x.wpk");
    let inside = place.file("home/var/upgrade/x.wpk");
    std::fs::create_dir(place.path("home/var/upgrade-not")).unwrap();
    let beside = place.file("home/var/upgrade-not/x.wpk");
    symlink(&outside, place.path("home/var/upgrade/link.wpk")).unwrap();

    assert!(resolve(&provider, inside.clone()).await.is_ok());
    assert!(resolve(&provider, "var/upgrade/x.wpk").await.is_ok());
    let other_way = place.path("elsewhere/../home/var/upgrade/x.wpk");
    assert!(resolve(&provider, other_way).await.is_ok());
    for path in [
        outside,
        beside,
        place.path("home/var/upgrade/link.wpk"),
        place.path("home/var/upgrade/../../../elsewhere/x.wpk"),
        // Whether it exists is not for those who may not have it.
        place.path("elsewhere/missing.wpk"),
        place.path("missing/missing.wpk"),
        "/etc/passwd".into(),
    ] {
        let text = refused(&provider, path).await;
        assert!(text.contains("roots"), "{text}");
    }
    let text = refused(&provider, "var/upgrade/missing.wpk").await;
    assert!(text.contains("no such file"), "{text}");

    // A root may appear later.
    std::fs::create_dir(place.path("more")).unwrap();
    let late = place.file("more/late.wpk");
    assert!(resolve(&provider, late).await.is_ok());
}

#[tokio::test]
async fn releases_and_downloads_are_not_its_business() {
    let place = Place::new();
    let provider = place.provider(json!({}));
    let release = Wanted::Release(WantedRelease {
        platform: Platform::default(),
        target: Target::Latest,
        repository: None,
        use_http: false,
        package_type: None,
    });
    assert!(!provider.serves(&release));
    assert!(provider.resolve(&release).await.is_err());
    let file = place.file("a.wpk");
    let offer = resolve(&provider, file).await.unwrap();
    assert!(matches!(
        provider.fetch(&offer).await,
        Err(ProviderError::NoFile(_))
    ));
}

#[test]
fn mistakes_in_the_settings_are_found() {
    assert_eq!(plugin().kind(), "local-file");
    assert_eq!(plugin().check(&json!({})), []);
    assert_eq!(plugin().check(&json!({"roots": ["/a", "b"]})), []);
    for bad in [
        json!({"roots": []}),
        json!({"roots": ["/a", ""]}),
        json!({"roots": "/a"}),
        json!({"root": ["/a"]}),
    ] {
        assert_eq!(plugin().check(&bad).len(), 1, "{bad}");
    }
}
