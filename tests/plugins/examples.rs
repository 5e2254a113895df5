//! The libraries, built once, and folders for them to work on.

use std::path::Path;
use std::sync::OnceLock;

use wpk_api::{PackageType, Platform, Target, Wanted, WantedRelease};
use wpk_testkit::library::Library;
use wpk_testkit::repository::sha1_hex;

pub(crate) const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

macro_rules! built_once {
    ($name:ident, $build:expr) => {
        pub(crate) fn $name() -> &'static Path {
            static LIBRARY: OnceLock<Library> = OnceLock::new();
            LIBRARY.get_or_init(|| $build.unwrap()).path()
        }
    };
}

built_once!(provider_rust, Library::of_package("provider-rust"));
built_once!(store_rust, Library::of_package("store-rust"));
built_once!(observer_rust, Library::of_package("observer-rust"));
built_once!(provider_c, {
    let source = Path::new(REPOSITORY).join("examples/provider-c/folder.c");
    Library::of_c(&source, &[])
});

/// What a release of Debian-based amd64 agents is called.
pub(crate) fn file_name(version: &str) -> String {
    format!("wazuh_agent_{version}_linux_amd64.deb.wpk")
}

/// Puts a release into a folder, as both example providers want it.
pub(crate) fn publish(folder: &Path, version: &str, wpk: &[u8]) {
    let (name, sha1) = (file_name(version), sha1_hex(wpk));
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(&name), wpk).unwrap();
    std::fs::write(
        folder.join(format!("{name}.sha1")),
        format!("{sha1}  {name}\n"),
    )
    .unwrap();
    std::fs::write(folder.join("latest"), format!("{version}\n")).unwrap();
    let list = folder.join("SHA1SUMS");
    let before = std::fs::read_to_string(&list).unwrap_or_default();
    std::fs::write(list, format!("{before}{sha1}  {name}\n")).unwrap();
}

/// A wish of such an agent.
pub(crate) fn release(target: Target, arch: &str) -> Wanted {
    Wanted::Release(WantedRelease {
        platform: Platform {
            name: Some("ubuntu".to_owned()),
            major: Some("22".to_owned()),
            minor: Some("04".to_owned()),
            arch: Some(arch.to_owned()),
        },
        target,
        repository: None,
        use_http: false,
        package_type: Some(PackageType::Deb),
    })
}
