//! The way back: from what people write, and from a file's name, to the words
//! agents use. For those who fill a repository.

use super::arch;
use super::layout::PREFIX;
use super::package_type::PackageType;
use crate::{Platform, Version};

/// A platform as people and file names write it, in the words of agents: the
/// name in lower case, `macos` is `darwin`, an OS version splits into major and
/// minor (`22.04`), an architecture may have the spelling of any package
/// (`amd64`, `intel64`, `arm64`). Nothing is checked:
/// [`Place::of`](super::Place::of) does that.
pub fn platform(name: &str, os_version: Option<&str>, arch: Option<&str>) -> Platform {
    let name = match name.to_ascii_lowercase() {
        name if name == "macos" => "darwin".to_owned(),
        name => name,
    };
    let mut os = os_version.into_iter().flat_map(|text| text.split('.'));
    Platform {
        major: os.next().map(str::to_owned),
        minor: os.next().map(str::to_owned),
        arch: arch.map(|arch| arch::reported(arch, name == "darwin").to_owned()),
        name: Some(name),
    }
}

/// What the name of a WPK tells, if it is one of a repository. A hint: whoever
/// named the file may be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseName {
    /// The version.
    pub version: Version,
    /// The platform; `linux` where the package fits every distribution.
    pub platform: Platform,
    /// `deb` or `rpm`, where the name tells it.
    pub package_type: Option<PackageType>,
}

impl ReleaseName {
    /// Reads a bare file name; `None` for one of another form.
    pub fn read(file_name: &str) -> Option<Self> {
        let stem = file_name.strip_prefix(PREFIX)?.strip_suffix(".wpk")?;
        let (version, rest) = stem.split_once('_')?;
        let (rest, package_type) = match rest.rsplit_once('.') {
            Some((rest, "deb")) => (rest, Some(PackageType::Deb)),
            Some((rest, "rpm")) => (rest, Some(PackageType::Rpm)),
            Some((rest, "pkg")) => (rest, None),
            _ => (rest, None),
        };
        let platform = match rest.split_once('_') {
            None if rest == "windows" => platform(rest, None, None),
            None | Some(("windows", _)) => return None,
            Some((name @ ("linux" | "macos"), arch)) => platform(name, None, Some(arch)),
            Some((name, rest)) => {
                let (os, arch) = rest.split_once('_')?;
                platform(name, Some(os), Some(arch))
            }
        };
        Some(Self {
            version: version.parse().ok()?,
            platform,
            package_type,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::layout::Place;
    use super::*;

    fn file(facts: &ReleaseName) -> Option<String> {
        let place = Place::of(&facts.platform, facts.package_type, facts.version).ok()?;
        Some(place.file(facts.version))
    }

    fn some(text: &str) -> Option<&str> {
        (text != "-").then_some(text)
    }

    /// Version, platform, architecture, type, OS version as people write them;
    /// then the path. `-` is what is not known.
    const WORDS: &str = "
        v4.14.0 windows -       -   -     windows/wazuh_agent_v4.14.0_windows.wpk
        v3.0.0  Windows -       -   -     windows/wazuh_agent_v3.0.0_windows.wpk
        v4.9.0  macos   x86_64  -   -     macos/pkg/intel64/wazuh_agent_v4.9.0_macos_intel64.pkg.wpk
        v4.9.0  macOS   amd64   -   -     macos/pkg/intel64/wazuh_agent_v4.9.0_macos_intel64.pkg.wpk
        v4.9.0  macos   intel64 -   -     macos/pkg/intel64/wazuh_agent_v4.9.0_macos_intel64.pkg.wpk
        v4.9.0  darwin  aarch64 -   -     macos/pkg/arm64/wazuh_agent_v4.9.0_macos_arm64.pkg.wpk
        v4.9.0  macos   arm64   -   -     macos/pkg/arm64/wazuh_agent_v4.9.0_macos_arm64.pkg.wpk
        v4.8.2  macos   x86_64  -   -     macos/x86_64/pkg/wazuh_agent_v4.8.2_macos_x86_64.wpk
        v4.8.2  macos   intel64 -   -     macos/x86_64/pkg/wazuh_agent_v4.8.2_macos_x86_64.wpk
        v4.8.2  darwin  arm64   -   -     macos/arm64/pkg/wazuh_agent_v4.8.2_macos_arm64.wpk
        v4.9.0  linux   x86_64  deb -     linux/deb/amd64/wazuh_agent_v4.9.0_linux_amd64.deb.wpk
        v4.14.9 linux   aarch64 deb -     linux/deb/arm64/wazuh_agent_v4.14.9_linux_arm64.deb.wpk
        v4.14.9 linux   arm64   rpm -     linux/rpm/aarch64/wazuh_agent_v4.14.9_linux_aarch64.rpm.wpk
        v4.14.9 linux   i386    deb -     linux/deb/i386/wazuh_agent_v4.14.9_linux_i386.deb.wpk
        v10.0.0 linux   amd64   rpm -     linux/rpm/x86_64/wazuh_agent_v10.0.0_linux_x86_64.rpm.wpk
        v4.8.2  linux   x86_64  -   -     linux/x86_64/wazuh_agent_v4.8.2_linux_x86_64.wpk
        v3.4.0  ubuntu  amd64   -   -     linux/x86_64/wazuh_agent_v3.4.0_linux_x86_64.wpk
        v3.3.9  Ubuntu  x86_64  -   22.04 ubuntu/22.04/x86_64/wazuh_agent_v3.3.9_ubuntu_22.04_x86_64.wpk
        v3.3.9  ubuntu  x86_64  -   22.04.1 ubuntu/22.04/x86_64/wazuh_agent_v3.3.9_ubuntu_22.04_x86_64.wpk
        v3.3.9  centos  x86_64  -   7     centos/7/x86_64/wazuh_agent_v3.3.9_centos_7_x86_64.wpk
        v3.0.0  centos  x86_64  -   7.9   centos/7/x86_64/wazuh_agent_v3.0.0_centos_7_x86_64.wpk";

    #[test]
    fn the_words_of_people_lead_to_the_row_of_the_table() {
        for row in WORDS.trim().lines() {
            let words: Vec<&str> = row.split_whitespace().collect();
            let [version, name, arch, kind, os, path] = words[..] else {
                panic!("{row}");
            };
            let facts = ReleaseName {
                version: version.parse().unwrap(),
                platform: platform(name, some(os), some(arch)),
                package_type: kind.parse().ok(),
            };
            assert_eq!(file(&facts).as_deref(), Some(path));
        }
    }

    /// A file's name, and what it tells: platform, OS version, architecture, type.
    const NAMES: &str = "
        wazuh_agent_v4.14.0_windows.wpk            windows -  -  -       -
        wazuh_agent_v4.9.0_macos_intel64.pkg.wpk   darwin  -  -  x86_64  -
        wazuh_agent_v4.9.0_macos_arm64.pkg.wpk     darwin  -  -  arm64   -
        wazuh_agent_v4.8.2_macos_x86_64.wpk        darwin  -  -  x86_64  -
        wazuh_agent_v4.14.9_linux_amd64.deb.wpk    linux   -  -  x86_64  deb
        wazuh_agent_v4.14.9_linux_aarch64.rpm.wpk  linux   -  -  aarch64 rpm
        wazuh_agent_v4.8.2_linux_x86_64.wpk        linux   -  -  x86_64  -
        wazuh_agent_v3.3.9_ubuntu_22.04_x86_64.wpk ubuntu  22 04 x86_64  -
        wazuh_agent_v3.3.9_centos_7_x86_64.wpk     centos  7  -  x86_64  -";

    #[test]
    fn names_of_every_layout_lead_back_to_themselves() {
        for row in NAMES.trim().lines() {
            let words: Vec<&str> = row.split_whitespace().collect();
            let [file_name, name, major, minor, arch, kind] = words[..] else {
                panic!("{row}");
            };
            let told = ReleaseName::read(file_name).unwrap();
            let owned = |text| some(text).map(str::to_owned);
            let platform = Platform {
                name: owned(name),
                major: owned(major),
                minor: owned(minor),
                arch: owned(arch),
            };
            assert_eq!(told.platform, platform, "{row}");
            assert_eq!(told.package_type, kind.parse().ok(), "{row}");
            let path = file(&told).unwrap();
            assert_eq!(path.rsplit('/').next(), Some(file_name));
        }
    }

    #[test]
    fn other_names_tell_nothing() {
        for name in [
            "",
            "agent.wpk",
            "wazuh_agent_v4.14_linux_x86_64.wpk",
            "wazuh_agent_v4.14.0.wpk",
            "wazuh_agent_v4.14.0_linux.wpk",
            "wazuh_agent_v4.14.0_macos.pkg.wpk",
            "wazuh_agent_v4.14.0_windows_x.wpk",
            "wazuh_agent_v4.14.0_ubuntu_x86.wpk",
            "wazuh_agent_v4.14.0_windows.zip",
            "wazuh_agent_.wpk",
            "agent_v4.14.0_windows.wpk",
        ] {
            assert_eq!(ReleaseName::read(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_name_leads_back_to_its_place(
            name in "windows|darwin|linux|ubuntu|centos|opensuse-leap",
            os in "[0-9]{1,3}\\.[0-9]{1,3}", arch in "x86_64|aarch64|amd64|arm64|intel64|i386|armv7l",
            deb: bool, (x, y, z) in (0u32..6, 0u32..12, 0u32..9),
        ) {
            let (version, kind) = (Version::new(x, y, z), [PackageType::Rpm, PackageType::Deb][usize::from(deb)]);
            // A distribution of that name there never was.
            prop_assume!(name != "linux" || version >= Version::new(3, 4, 0));
            let platform = platform(&name, Some(&os), Some(&arch));
            let place = Place::of(&platform, Some(kind), version).unwrap();
            let told = ReleaseName::read(&place.file_name(version)).unwrap();
            prop_assert_eq!(told.version, version);
            prop_assert_eq!(file(&told), Some(place.file(version)));
        }

        #[test]
        fn any_name_is_survived(name in "(wazuh_agent_)?(v1.2.3)?\\PC{0,30}(\\.wpk)?") {
            let _ = ReleaseName::read(&name).as_ref().and_then(file);
        }
    }
}
