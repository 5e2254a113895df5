//! Where a release lies inside a repository: the table of protocol.md, section 4.
//!
//! Pure; `provider` enters here, and so may whoever fills a repository. The
//! words that make up folders and file names come from agents. They end up in
//! URLs and in file names of this machine, so they are taken only if they look
//! like such words: see [`word`](self#words).
//!
//! # Words
//! A platform, an OS version or an architecture is 1 to 40 characters out of
//! letters, digits, `.`, `_`, `+` and `-`, starts with no dot and holds no `..`.

use wpk_api::{PackageType, Platform, Version};

/// The longest platform, OS version or architecture, in bytes. With it a file
/// name stays below the 200 bytes of [`wpk_api::Offer`].
pub const MAX_WORD: usize = 40;

/// Why a platform has no place in a repository (code 9).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// The agent's directory does not know it, and the path needs it.
    #[error("the agent's {0} is not known")]
    Missing(&'static str),
    /// It cannot be part of a path.
    #[error("the agent's {what} {text:?} cannot be part of a path")]
    Unfit {
        /// Which word.
        what: &'static str,
        /// The word, shortened.
        text: String,
    },
    /// From v4.9.0 on Linux packages are sorted by type.
    #[error("no package type is known for it: name one in the request (package_type rpm or deb)")]
    NoType,
}

/// The rows of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
        let name = word("platform", platform.name.as_deref())?;
        let arch = || word("architecture", platform.arch.as_deref());
        let place = |folder: String, suffix: String| Place { folder, suffix };
        Ok(match self {
            Self::Windows => place("windows/".into(), "windows.wpk".into()),
            Self::MacPkg => {
                let arch = renamed(arch()?, "intel64");
                place(
                    format!("macos/pkg/{arch}/"),
                    format!("macos_{arch}.pkg.wpk"),
                )
            }
            Self::MacArch => {
                let arch = arch()?;
                place(format!("macos/{arch}/pkg/"), format!("macos_{arch}.wpk"))
            }
            Self::LinuxType => {
                let arch = arch()?;
                let (kind, arch) = match package_type {
                    Some(kind @ PackageType::Deb) => (kind, renamed(arch, "amd64")),
                    Some(kind @ PackageType::Rpm) => (kind, arch),
                    _ => return Err(LayoutError::NoType),
                };
                place(
                    format!("linux/{kind}/{arch}/"),
                    format!("linux_{arch}.{kind}.wpk"),
                )
            }
            Self::LinuxArch => {
                let arch = arch()?;
                place(format!("linux/{arch}/"), format!("linux_{arch}.wpk"))
            }
            Self::LinuxPlatform => {
                let arch = arch()?;
                let major = word("OS version", platform.major.as_deref())?;
                let version = if name == "ubuntu" {
                    let minor = word("minor OS version", platform.minor.as_deref())?;
                    format!("{major}.{minor}")
                } else {
                    major.to_owned()
                };
                place(
                    format!("{name}/{version}/{arch}/"),
                    format!("{name}_{version}_{arch}.wpk"),
                )
            }
        })
    }
}

/// A folder of a repository, and how the files in it are named.
#[derive(Debug, Clone, PartialEq, Eq)]
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

    /// The bare name of a version's file.
    pub fn file_name(&self, version: Version) -> String {
        format!("wazuh_agent_{version}_{}", self.suffix)
    }

    /// A version's file below the base.
    pub fn file(&self, version: Version) -> String {
        format!("{}{}", self.folder, self.file_name(version))
    }
}

/// The names packages use for the two common architectures.
fn renamed<'a>(arch: &'a str, x86_64: &'a str) -> &'a str {
    match arch {
        "x86_64" => x86_64,
        "aarch64" => "arm64",
        other => other,
    }
}

fn word<'a>(what: &'static str, text: Option<&'a str>) -> Result<&'a str, LayoutError> {
    let text = text
        .filter(|text| !text.is_empty())
        .ok_or(LayoutError::Missing(what))?;
    let fit = text.len() <= MAX_WORD
        && !text.starts_with('.')
        && !text.contains("..")
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._+-".contains(&b));
    if fit {
        Ok(text)
    } else {
        let text = text.chars().take(MAX_WORD).collect();
        Err(LayoutError::Unfit { what, text })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn platform(name: &str, major: &str, minor: &str, arch: &str) -> Platform {
        Platform {
            name: Some(name.into()),
            major: Some(major.into()),
            minor: Some(minor.into()),
            arch: Some(arch.into()),
        }
    }

    #[test]
    fn hostile_words_are_refused() {
        let old = Version::new(3, 3, 0);
        for bad in [
            "..", ".", "a/b", "a\\b", "a b", "a%2e", "a\0", "ä", "a?b", "x..y", "(null)",
        ] {
            for p in [
                platform(bad, "7", "0", "x86_64"),
                platform("ubuntu", bad, "0", "x86_64"),
                platform("ubuntu", "7", bad, "x86_64"),
                platform("ubuntu", "7", "0", bad),
            ] {
                let refused = Place::of(&p, Some(PackageType::Deb), old);
                assert!(matches!(refused, Err(LayoutError::Unfit { .. })), "{p:?}");
            }
        }
        let long = platform("ubuntu", "7", "0", &"a".repeat(MAX_WORD + 1));
        assert!(Place::of(&long, None, old).is_err());
    }

    #[test]
    fn what_a_path_needs_must_be_known() {
        let linux = platform("gentoo", "2", "14", "x86_64");
        assert_eq!(
            Place::of(&linux, None, Version::new(4, 9, 0)),
            Err(LayoutError::NoType)
        );
        let odd = Place::of(&linux, Some(PackageType::Msi), Version::new(4, 9, 0));
        assert_eq!(odd, Err(LayoutError::NoType));
        let rolling = Platform {
            major: None,
            ..linux
        };
        assert_eq!(
            Place::of(&rolling, None, Version::new(3, 3, 9)),
            Err(LayoutError::Missing("OS version"))
        );
        assert!(Place::of(&Platform::default(), None, Version::new(4, 0, 0)).is_err());
    }

    proptest! {
        #[test]
        fn names_are_bare_and_short(
            name in "\\PC{0,60}", major in "[0-9.]{0,50}", arch in "[a-z0-9_./]{0,50}",
            (x, y, z) in (0u32..=u32::MAX, 0u32..=20, 0u32..=u32::MAX),
        ) {
            let platform = platform(&name, &major, &major, &arch);
            let version = Version::new(x, y, z);
            for layout in [Layout::MacPkg, Layout::LinuxType, Layout::LinuxPlatform] {
                if let Ok(place) = layout.place(&platform, Some(PackageType::Rpm)) {
                    let name = place.file_name(version);
                    prop_assert!(name.len() <= 200 && !name.contains('/'));
                    prop_assert!(!place.file(version).contains(".."));
                }
            }
        }
    }
}
