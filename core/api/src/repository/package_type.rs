//! The types of packages, which platform has which, and which one an agent gets
//! (PROTOCOL.md, sections 2 and 4).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The kind of package inside a WPK (PROTOCOL.md, sections 2 and 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PackageType {
    /// RPM-based Linux.
    Rpm,
    /// Debian-based Linux.
    Deb,
    /// Windows.
    Msi,
    /// macOS.
    Pkg,
}

/// A word that names no package type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no package type: rpm, deb, msi or pkg")]
pub struct UnknownPackageType(pub String);

impl PackageType {
    /// `rpm`, `deb`, `msi` or `pkg`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rpm => "rpm",
            Self::Deb => "deb",
            Self::Msi => "msi",
            Self::Pkg => "pkg",
        }
    }

    /// The type of a platform, named as agents name it (PROTOCOL.md, section 2,
    /// check 4); `None` for one that has none until a request names it.
    pub fn of_platform(name: &str) -> Option<Self> {
        Some(match name {
            "windows" => Self::Msi,
            "darwin" => Self::Pkg,
            "debian" | "ubuntu" => Self::Deb,
            "amzn"
            | "centos"
            | "fedora"
            | "ol"
            | "opensuse"
            | "opensuse-leap"
            | "opensuse-tumbleweed"
            | "rhel"
            | "sles"
            | "suse"
            | "rocky"
            | "almalinux" => Self::Rpm,
            _ => return None,
        })
    }

    /// The type an agent gets (PROTOCOL.md, section 4): its platform's `own`;
    /// one that is `asked` for replaces it only with `force`, and fills it in
    /// where there is none.
    pub fn choose(own: Option<Self>, asked: Option<Self>, force: bool) -> Option<Self> {
        if force { asked.or(own) } else { own.or(asked) }
    }
}

impl fmt::Display for PackageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for PackageType {
    type Err = UnknownPackageType;
    fn from_str(word: &str) -> Result<Self, UnknownPackageType> {
        [Self::Rpm, Self::Deb, Self::Msi, Self::Pkg]
            .into_iter()
            .find(|kind| kind.as_str() == word)
            .ok_or_else(|| UnknownPackageType(word.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::PackageType::{self, Deb, Msi, Pkg, Rpm};
    use super::*;

    #[test]
    fn every_platform_has_its_type() {
        for (platform, kind) in [
            ("windows", Some(Msi)),
            ("darwin", Some(Pkg)),
            ("debian", Some(Deb)),
            ("ubuntu", Some(Deb)),
            ("amzn", Some(Rpm)),
            ("centos", Some(Rpm)),
            ("fedora", Some(Rpm)),
            ("ol", Some(Rpm)),
            ("opensuse", Some(Rpm)),
            ("opensuse-leap", Some(Rpm)),
            ("opensuse-tumbleweed", Some(Rpm)),
            ("rhel", Some(Rpm)),
            ("sles", Some(Rpm)),
            ("suse", Some(Rpm)),
            ("rocky", Some(Rpm)),
            ("almalinux", Some(Rpm)),
            ("arch", None),
            ("gentoo", None),
            ("linux", None),
            ("macos", None),
            ("Ubuntu", None),
            ("", None),
        ] {
            assert_eq!(PackageType::of_platform(platform), kind, "{platform:?}");
        }
    }

    #[test]
    fn a_package_type_is_replaced_only_with_force() {
        for (own, asked, force, chosen) in [
            (Some(Deb), Some(Rpm), false, Some(Deb)),
            (Some(Deb), Some(Rpm), true, Some(Rpm)),
            (Some(Deb), Some(Deb), true, Some(Deb)),
            (None, Some(Rpm), false, Some(Rpm)),
            (None, Some(Rpm), true, Some(Rpm)),
            (Some(Deb), None, false, Some(Deb)),
            (Some(Deb), None, true, Some(Deb)),
            (None, None, false, None),
            (None, None, true, None),
        ] {
            let got = PackageType::choose(own, asked, force);
            assert_eq!(got, chosen, "{own:?} {asked:?} {force}");
        }
    }

    #[test]
    fn types_are_read_as_they_are_written() {
        for (kind, word) in [(Rpm, "rpm"), (Deb, "deb"), (Msi, "msi"), (Pkg, "pkg")] {
            assert_eq!(kind.to_string(), word);
            assert_eq!(word.parse(), Ok(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), word);
        }
        for bad in ["", "DEB", "deb ", "zip"] {
            let refused = bad.parse::<PackageType>();
            assert_eq!(refused, Err(UnknownPackageType(bad.to_owned())));
        }
        let long = "x".repeat(65).parse::<PackageType>();
        assert_eq!(long, Err(UnknownPackageType("x".repeat(64))));
    }
}
