//! Where a release lies inside a repository: the table of PROTOCOL.md,
//! section 4, and the only copy of it.

use super::arch;
use super::package_type::PackageType;
use super::word::{LayoutError, Part, word};
use crate::{Platform, Version};

/// The rows of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// `windows/`
    Windows,
    /// `macos/pkg/ARCH/`, from v4.9.0 on.
    MacPkg,
    /// `macos/ARCH/pkg/`, before.
    MacArch,
    /// `linux/TYPE/ARCH/`, from v4.9.0 on.
    LinuxType,
    /// `linux/ARCH/`, from v3.4.0 on.
    LinuxArch,
    /// `PLATFORM/VERSION/ARCH/`, before.
    LinuxPlatform,
}

/// The first version of the layouts by package type.
const TYPED: Version = Version::new(4, 9, 0);
/// The first version of one folder for all Linux platforms.
const ONE_LINUX: Version = Version::new(3, 4, 0);
/// What every file name begins with.
pub(super) const PREFIX: &str = "wazuh_agent_";

impl Layout {
    /// The layouts of a platform, newest first.
    pub fn of_platform(platform: &Platform) -> &'static [Self] {
        match platform.name.as_deref() {
            Some("windows") => &[Self::Windows],
            Some("darwin") => &[Self::MacPkg, Self::MacArch],
            _ => &[Self::LinuxType, Self::LinuxArch, Self::LinuxPlatform],
        }
    }

    /// The layout that holds a version for a platform.
    pub fn of(platform: &Platform, version: Version) -> Self {
        match platform.name.as_deref() {
            Some("windows") => Self::Windows,
            Some("darwin") if version >= TYPED => Self::MacPkg,
            Some("darwin") => Self::MacArch,
            _ if version >= TYPED => Self::LinuxType,
            _ if version >= ONE_LINUX => Self::LinuxArch,
            _ => Self::LinuxPlatform,
        }
    }

    /// The layout of a platform's newest versions.
    pub fn current(platform: &Platform) -> Self {
        Self::of(platform, Version::new(u32::MAX, 0, 0))
    }

    /// The version from which on this layout is out of use; `None` for current ones.
    pub fn ends_before(self) -> Option<Version> {
        match self {
            Self::Windows | Self::MacPkg | Self::LinuxType => None,
            Self::MacArch | Self::LinuxArch => Some(TYPED),
            Self::LinuxPlatform => Some(ONE_LINUX),
        }
    }

    /// The place of a platform in this layout.
    ///
    /// # Errors
    /// [`LayoutError`] if something the path needs is missing or unfit.
    pub fn place(
        self,
        platform: &Platform,
        package_type: Option<PackageType>,
    ) -> Result<Place, LayoutError> {
        let name = word(Part::Platform, platform.name.as_deref())?;
        let arch = || word(Part::Arch, platform.arch.as_deref());
        let (folder, suffix) = match self {
            Self::Windows => ("windows/".to_owned(), "windows.wpk".to_owned()),
            Self::MacPkg => {
                let arch = arch::mac_pkg(arch()?);
                (
                    format!("macos/pkg/{arch}/"),
                    format!("macos_{arch}.pkg.wpk"),
                )
            }
            Self::MacArch => {
                let arch = arch()?;
                (format!("macos/{arch}/pkg/"), format!("macos_{arch}.wpk"))
            }
            Self::LinuxType => {
                let arch = arch()?;
                let (kind, arch) = match package_type {
                    Some(kind @ PackageType::Deb) => (kind, arch::debian(arch)),
                    Some(kind @ PackageType::Rpm) => (kind, arch),
                    _ => return Err(LayoutError::NoType),
                };
                (
                    format!("linux/{kind}/{arch}/"),
                    format!("linux_{arch}.{kind}.wpk"),
                )
            }
            Self::LinuxArch => {
                let arch = arch()?;
                (format!("linux/{arch}/"), format!("linux_{arch}.wpk"))
            }
            Self::LinuxPlatform => {
                let arch = arch()?;
                let major = word(Part::OsVersion, platform.major.as_deref())?;
                let version = if name == "ubuntu" {
                    let minor = word(Part::OsMinor, platform.minor.as_deref())?;
                    format!("{major}.{minor}")
                } else {
                    major.to_owned()
                };
                (
                    format!("{name}/{version}/{arch}/"),
                    format!("{name}_{version}_{arch}.wpk"),
                )
            }
        };
        Ok(Place { folder, suffix })
    }
}

/// A folder of a repository, and how the files in it are named.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    folder: String,
    suffix: String,
}

impl Place {
    /// The place of a release: where its version puts it.
    ///
    /// # Errors
    /// [`LayoutError`] if something the path needs is missing or unfit.
    pub fn of(
        platform: &Platform,
        package_type: Option<PackageType>,
        version: Version,
    ) -> Result<Self, LayoutError> {
        Layout::of(platform, version).place(platform, package_type)
    }

    /// The folder below the base, ending with `/`.
    pub fn folder(&self) -> &str {
        &self.folder
    }

    /// The list of versions below the base.
    pub fn versions(&self) -> String {
        format!("{}versions", self.folder)
    }

    /// The bare name of a version's file, at most 200 bytes long.
    pub fn file_name(&self, version: Version) -> String {
        format!("{PREFIX}{version}_{}", self.suffix)
    }

    /// A version's file below the base.
    pub fn file(&self, version: Version) -> String {
        format!("{}{}", self.folder, self.file_name(version))
    }

    /// The version whose file has this bare name here; `None` if none has.
    pub fn version_of(&self, file_name: &str) -> Option<Version> {
        let version = file_name.strip_prefix(PREFIX)?.split('_').next()?;
        let version = version.parse().ok()?;
        (self.file_name(version) == file_name).then_some(version)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::word::MAX_WORD;
    use super::PackageType::{Deb, Msi, Pkg, Rpm};
    use super::*;

    fn platform(name: &str, major: &str, minor: &str, arch: &str) -> Platform {
        let some = |text: &str| (text != "-").then(|| text.to_owned());
        Platform {
            name: some(name),
            major: some(major),
            minor: some(minor),
            arch: some(arch),
        }
    }

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    /// Platform, OS version, architecture, type, version; then folder and the
    /// file's name after its version. `-` is what is not known.
    const ROWS: &str = "
        windows -  -  -       msi v4.14.0 windows/            windows.wpk
        windows 10 0  x86_64  -   v3.0.0  windows/            windows.wpk
        darwin  -  -  x86_64  pkg v4.9.0  macos/pkg/intel64/  macos_intel64.pkg.wpk
        darwin  13 1  aarch64 -   v4.14.9 macos/pkg/arm64/    macos_arm64.pkg.wpk
        darwin  13 1  arm64   -   v5.0.0  macos/pkg/arm64/    macos_arm64.pkg.wpk
        darwin  13 1  x86_64  pkg v4.8.99 macos/x86_64/pkg/   macos_x86_64.wpk
        darwin  13 1  arm64   -   v4.3.0  macos/arm64/pkg/    macos_arm64.wpk
        ubuntu  22 04 x86_64  deb v4.9.0  linux/deb/amd64/    linux_amd64.deb.wpk
        debian  12 -  aarch64 deb v10.0.0 linux/deb/arm64/    linux_arm64.deb.wpk
        debian  12 -  i386    deb v4.14.9 linux/deb/i386/     linux_i386.deb.wpk
        centos  7  9  x86_64  rpm v4.9.0  linux/rpm/x86_64/   linux_x86_64.rpm.wpk
        rocky   9  -  aarch64 rpm v4.14.9 linux/rpm/aarch64/  linux_aarch64.rpm.wpk
        ubuntu  22 04 x86_64  rpm v4.14.9 linux/rpm/x86_64/   linux_x86_64.rpm.wpk
        arch    -  -  x86_64  rpm v4.14.9 linux/rpm/x86_64/   linux_x86_64.rpm.wpk
        ubuntu  22 04 x86_64  deb v4.8.99 linux/x86_64/       linux_x86_64.wpk
        arch    -  -  aarch64 -   v3.4.0  linux/aarch64/      linux_aarch64.wpk
        ubuntu  22 04 x86_64  deb v3.3.99 ubuntu/22.04/x86_64/ ubuntu_22.04_x86_64.wpk
        debian  12 5  x86_64  -   v3.3.0  debian/12/x86_64/   debian_12_x86_64.wpk
        centos  7  -  i686    rpm v3.0.0  centos/7/i686/      centos_7_i686.wpk";

    #[test]
    fn every_row_of_the_table() {
        for row in ROWS.trim().lines() {
            let words: Vec<&str> = row.split_whitespace().collect();
            let [name, major, minor, arch, kind, target, folder, file] = words[..] else {
                panic!("{row}");
            };
            let platform = platform(name, major, minor, arch);
            let place = Place::of(&platform, kind.parse().ok(), version(target)).unwrap();
            let file = format!("wazuh_agent_{target}_{file}");
            assert_eq!(place.folder(), folder);
            assert_eq!(place.versions(), format!("{folder}versions"));
            assert_eq!(place.file_name(version(target)), file);
            assert_eq!(place.file(version(target)), format!("{folder}{file}"));
            assert_eq!(place.version_of(&file), Some(version(target)), "{file}");
        }
    }

    #[test]
    fn each_platform_has_its_layouts_newest_first() {
        use Layout::{LinuxArch, LinuxPlatform, LinuxType, MacArch, MacPkg, Windows};
        for (name, layouts) in [
            ("windows", &[(Windows, None)][..]),
            ("darwin", &[(MacPkg, None), (MacArch, Some("v4.9.0"))]),
            (
                "ubuntu",
                &[
                    (LinuxType, None),
                    (LinuxArch, Some("v4.9.0")),
                    (LinuxPlatform, Some("v3.4.0")),
                ],
            ),
        ] {
            let platform = platform(name, "-", "-", "-");
            let known: Vec<_> = layouts.iter().map(|(layout, _)| *layout).collect();
            assert_eq!(Layout::of_platform(&platform), known);
            assert_eq!(Layout::current(&platform), known[0]);
            for (layout, end) in layouts {
                assert_eq!(layout.ends_before(), end.map(version), "{layout:?}");
            }
        }
        assert_eq!(Layout::current(&Platform::default()), LinuxType);
    }

    #[test]
    fn hostile_words_are_refused() {
        let old = version("v3.3.0");
        for bad in [
            "..", ".", "a/b", "a\\b", "a b", "a%2e", "a\0", "ä", "a?b", "x..y", "(null)", "22.",
            ".04",
        ] {
            for (what, p) in [
                (Part::Platform, platform(bad, "7", "0", "x86_64")),
                (Part::OsVersion, platform("ubuntu", bad, "0", "x86_64")),
                (Part::OsMinor, platform("ubuntu", "7", bad, "x86_64")),
                (Part::Arch, platform("ubuntu", "7", "0", bad)),
            ] {
                let text = bad.to_owned();
                let unfit = Err(LayoutError::Unfit { what, text });
                assert_eq!(Place::of(&p, Some(Deb), old), unfit, "{p:?}");
            }
        }
        let long = platform("ubuntu", "7", "0", &"ä".repeat(MAX_WORD + 1));
        let (what, text) = (Part::Arch, "ä".repeat(MAX_WORD));
        let unfit = LayoutError::Unfit { what, text };
        for layout in Layout::of_platform(&long) {
            assert_eq!(layout.place(&long, Some(Rpm)), Err(unfit.clone()));
        }
        for layout in [Layout::MacPkg, Layout::MacArch] {
            assert_eq!(layout.place(&long, None), Err(unfit.clone()));
        }
    }

    #[test]
    fn what_a_path_needs_must_be_known() {
        let current = version("v4.9.0");
        let linux = platform("gentoo", "2", "14", "x86_64");
        for kind in [None, Some(Msi), Some(Pkg)] {
            assert_eq!(Place::of(&linux, kind, current), Err(LayoutError::NoType));
        }
        for (p, target, part) in [
            (platform("-", "7", "0", "x86_64"), "v4.0.0", Part::Platform),
            (platform("", "7", "0", "x86_64"), "v4.0.0", Part::Platform),
            (
                platform("arch", "-", "-", "x86_64"),
                "v3.3.9",
                Part::OsVersion,
            ),
            (
                platform("ubuntu", "22", "-", "x86_64"),
                "v3.3.9",
                Part::OsMinor,
            ),
            (
                platform("ubuntu", "22", "", "x86_64"),
                "v3.3.9",
                Part::OsMinor,
            ),
            (platform("ubuntu", "22", "04", "-"), "v3.3.9", Part::Arch),
            (platform("ubuntu", "22", "04", "-"), "v4.0.0", Part::Arch),
            (platform("ubuntu", "22", "04", "-"), "v4.9.0", Part::Arch),
            (platform("darwin", "13", "1", "-"), "v4.8.0", Part::Arch),
            (platform("darwin", "13", "1", ""), "v4.9.0", Part::Arch),
        ] {
            let missing = Err(LayoutError::Missing(part));
            assert_eq!(Place::of(&p, Some(Deb), version(target)), missing, "{p:?}");
        }
    }

    #[test]
    fn a_name_of_another_place_or_form_has_no_version() {
        let amd64 = platform("debian", "12", "-", "x86_64");
        let place = Place::of(&amd64, Some(Deb), version("v4.9.0")).unwrap();
        for name in [
            "",
            "wazuh_agent_",
            "wazuh_agent_v4.14.0_",
            "wazuh_agent_v4.14.0_linux_arm64.deb.wpk",
            "wazuh_agent_v4.14.0_linux_amd64.rpm.wpk",
            "wazuh_agent_v4.14.0_linux_amd64.deb.wpk.sig",
            "wazuh_agent_4.14.0_linux_amd64.deb.wpk",
            "wazuh_agent_v04.14.0_linux_amd64.deb.wpk",
            "wazuh_agent_v4.14_linux_amd64.deb.wpk",
            "wazuh_agent_v4.14.0-rc1_linux_amd64.deb.wpk",
            "agent_v4.14.0_linux_amd64.deb.wpk",
            "linux/wazuh_agent_v4.14.0_linux_amd64.deb.wpk",
        ] {
            assert_eq!(place.version_of(name), None, "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn a_path_is_short_and_leads_nowhere_else(
            name in "\\PC{0,60}|[a-z-]{1,40}|ubuntu", major in "[0-9.]{0,50}|[0-9.]{1,4}", minor in "[0-9.]{1,3}", arch in "[a-z0-9_./]{0,50}",
            (x, y, z) in (0u32..=u32::MAX, 0u32..=20, 0u32..=u32::MAX),
        ) {
            let platform = platform(&name, &major, &minor, &arch);
            let version = Version::new(x, y, z);
            for layout in [
                Layout::Windows, Layout::MacPkg, Layout::MacArch,
                Layout::LinuxType, Layout::LinuxArch, Layout::LinuxPlatform,
            ] {
                if let Ok(place) = layout.place(&platform, Some(Rpm)) {
                    let name = place.file_name(version);
                    prop_assert!(name.len() <= 200 && !name.contains('/'));
                    let path = place.file(version);
                    prop_assert!(!path.contains("..") && !path.contains("//"));
                    prop_assert!(!path.starts_with('/') && place.folder().ends_with('/'));
                }
            }
        }

        #[test]
        fn a_name_leads_back_to_its_version(
            arch in "[a-z0-9_]{1,40}", (x, y, z) in (0u32..1_000_000_000, 0u32..1_000_000_000, 0u32..1_000_000_000),
        ) {
            let platform = platform("ubuntu", "22", "04", &arch);
            let version = Version::new(x, y, z);
            let place = Place::of(&platform, Some(Deb), version).unwrap();
            prop_assert_eq!(place.version_of(&place.file_name(version)), Some(version));
        }
    }
}
