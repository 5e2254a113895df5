//! A file on this machine.

use bytes::Bytes;
use serde_json::json;
use wpk_api::{Platform, Target, Wanted, WantedFile, WantedRelease, WpkProvider};

use super::{AnyFactory, build};
use crate::Home;
use crate::provider_suite::Published;
use crate::suite::{now, ok};

/// Writes `file` into a folder that is allowed, for `provider_suite`.
pub async fn local_file(factory: AnyFactory<dyn WpkProvider>, file: Bytes) -> Published {
    let home = ok("making a folder", Home::new());
    let path = home.path("var/upgrade/custom.wpk");
    ok("writing the file", std::fs::write(&path, &file));
    let wish = |path: std::path::PathBuf| Wanted::File(WantedFile { path: Some(path) });
    let settings = json!({"roots": ["var/upgrade"]});
    let context = home.context();
    let taken = path.clone();
    Published::new(wish(path), move || {
        now(build(&factory, &settings, &context))
    })
    .missing(wish(home.path("var/upgrade/other.wpk")))
    .missing(wish(home.path("var/upgrade")))
    .missing(wish("/etc/hostname".into()))
    .foreign(Wanted::Release(WantedRelease {
        platform: Platform::default(),
        target: Target::Latest,
        repository: None,
        use_http: false,
        package_type: None,
    }))
    .take_away(move || ok("taking the file away", std::fs::remove_file(&taken)))
    .keep(home)
}
