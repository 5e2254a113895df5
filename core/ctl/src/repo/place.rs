//! Where a WPK belongs: what the command line says, else what the file's name
//! tells, looked up in the layout of repositories ([`wpk_api::repository`]).
//! What is missing or wrong is told in the words of our options. Pure.

use wpk_api::repository::{Layout, LayoutError, Part, Place, ReleaseName, platform};
use wpk_api::{PackageType, Version};

/// What is said about a WPK, as the options are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Said<'a> {
    pub(super) version: Option<Version>,
    /// `linux`, `windows`, `macos`, `darwin`, or a distribution.
    pub(super) platform: Option<&'a str>,
    pub(super) arch: Option<&'a str>,
    pub(super) package_type: Option<PackageType>,
    /// Version of the distribution.
    pub(super) os_version: Option<&'a str>,
}

/// A file's version and where it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) place: Place,
    pub(super) version: Version,
}

impl Placed {
    /// Relative to the repository.
    pub(super) fn path(&self) -> String {
        self.place.file(self.version)
    }
}

/// The place of a WPK; the error says what is missing or wrong.
pub(super) fn find(said: &Said<'_>, file_name: &str) -> Result<Placed, String> {
    let told = ReleaseName::read(file_name);
    let version = said
        .version
        .or(told.as_ref().map(|told| told.version))
        .ok_or("its version is not known; give --version vX.Y.Z")?;
    let kind = said
        .package_type
        .or(told.as_ref().and_then(|told| told.package_type));
    let told = told.map(|told| told.platform).unwrap_or_default();
    let name = said.platform.or(told.name.as_deref());
    let arch = said.arch.or(told.arch.as_deref());
    let mut platform = platform(name.unwrap_or_default(), said.os_version, arch);
    if said.os_version.is_none() {
        (platform.major, platform.minor) = (told.major.clone(), told.minor.clone());
    }

    let layout = Layout::of(&platform, version);
    let own = platform.name.as_deref().and_then(PackageType::of_platform);
    if layout != Layout::LinuxType {
        unused("--package-type", layout, kind.map(PackageType::as_str))?;
    }
    if layout == Layout::Windows {
        unused("--arch", layout, arch)?;
    }
    if layout == Layout::LinuxPlatform && platform.name.as_deref() == Some("linux") {
        return Err(format!(
            "{version} is older than v3.4.0 and made for one distribution; give its name with \
             --platform and its version with --os-version"
        ));
    }
    let place = layout.place(&platform, kind.or(own)).map_err(in_options)?;
    Ok(Placed { place, version })
}

fn in_options(error: LayoutError) -> String {
    let text = match error {
        LayoutError::Missing(Part::Platform) => {
            "its platform is not known; give --platform linux, windows or macos"
        }
        LayoutError::Missing(Part::Arch) => {
            "its architecture is not known; give --arch, such as x86_64"
        }
        LayoutError::Missing(Part::OsVersion) => {
            "it is older than v3.4.0; give the distribution's version with --os-version"
        }
        LayoutError::Missing(Part::OsMinor) => {
            "versions of ubuntu have two parts; write --os-version as 22.04"
        }
        LayoutError::NoType => "its type is not known; give --package-type deb or rpm",
        LayoutError::Unfit { what, text } => {
            let option = match what {
                Part::Platform => "--platform",
                Part::Arch => "--arch",
                Part::OsVersion | Part::OsMinor => "--os-version",
            };
            return format!(
                "{text:?} cannot stand in a path; {option} takes at most 40 letters, digits, \
                 `_`, `-`, `+` and, within, `.`"
            );
        }
    };
    text.to_owned()
}

/// An option that a layout has no place for.
fn unused(option: &str, layout: Layout, value: Option<&str>) -> Result<(), String> {
    let which = match layout {
        Layout::Windows => "windows",
        Layout::MacPkg | Layout::MacArch => "macos",
        _ => "versions below v4.9.0",
    };
    match value {
        Some(value) => Err(format!(
            "{which} have no such part: leave out {option} ({value})"
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Version, platform, architecture, type, OS version; `-` is left out.
    fn path(row: &str, file_name: &str) -> Result<String, String> {
        let words: Vec<&str> = row.split_whitespace().collect();
        let [version, platform, arch, kind, os_version] = words[..] else {
            panic!("{row}");
        };
        let some = |text: &'static str| (text != "-").then_some(text);
        let leak = |text: &str| some(text.to_owned().leak());
        let said = Said {
            version: version.parse().ok(),
            platform: leak(platform),
            arch: leak(arch),
            package_type: kind.parse().ok(),
            os_version: leak(os_version),
        };
        find(&said, file_name).map(|placed| placed.path())
    }

    #[test]
    fn options_alone_find_the_place() {
        for (row, wanted) in [
            (
                "v4.14.0 windows - - -",
                "windows/wazuh_agent_v4.14.0_windows.wpk",
            ),
            (
                "v4.9.0 macos x86_64 - -",
                "macos/pkg/intel64/wazuh_agent_v4.9.0_macos_intel64.pkg.wpk",
            ),
            (
                "v4.8.2 macos x86_64 - -",
                "macos/x86_64/pkg/wazuh_agent_v4.8.2_macos_x86_64.wpk",
            ),
            (
                "v4.9.0 linux x86_64 deb -",
                "linux/deb/amd64/wazuh_agent_v4.9.0_linux_amd64.deb.wpk",
            ),
            // A distribution has a type of its own.
            (
                "v4.14.9 ubuntu x86_64 - -",
                "linux/deb/amd64/wazuh_agent_v4.14.9_linux_amd64.deb.wpk",
            ),
            (
                "v4.14.9 rocky aarch64 - -",
                "linux/rpm/aarch64/wazuh_agent_v4.14.9_linux_aarch64.rpm.wpk",
            ),
            (
                "v4.14.9 rocky x86_64 deb -",
                "linux/deb/amd64/wazuh_agent_v4.14.9_linux_amd64.deb.wpk",
            ),
            (
                "v3.4.0 ubuntu amd64 - -",
                "linux/x86_64/wazuh_agent_v3.4.0_linux_x86_64.wpk",
            ),
            (
                "v3.3.9 ubuntu x86_64 - 22.04",
                "ubuntu/22.04/x86_64/wazuh_agent_v3.3.9_ubuntu_22.04_x86_64.wpk",
            ),
        ] {
            assert_eq!(path(row, "any.wpk").as_deref(), Ok(wanted));
        }
    }

    #[test]
    fn options_win_over_the_name() {
        let deb = "wazuh_agent_v4.14.0_linux_amd64.deb.wpk";
        let centos = "wazuh_agent_v3.3.9_centos_7_x86_64.wpk";
        for (name, row, wanted) in [
            (
                deb,
                "- - - - -",
                "linux/deb/amd64/wazuh_agent_v4.14.0_linux_amd64.deb.wpk",
            ),
            (
                deb,
                "v4.14.1 - aarch64 - -",
                "linux/deb/arm64/wazuh_agent_v4.14.1_linux_arm64.deb.wpk",
            ),
            (
                deb,
                "- rocky - rpm -",
                "linux/rpm/x86_64/wazuh_agent_v4.14.0_linux_x86_64.rpm.wpk",
            ),
            (
                centos,
                "- - - - -",
                "centos/7/x86_64/wazuh_agent_v3.3.9_centos_7_x86_64.wpk",
            ),
            (
                centos,
                "- - - - 6.1",
                "centos/6/x86_64/wazuh_agent_v3.3.9_centos_6_x86_64.wpk",
            ),
            (
                centos,
                "- fedora i386 - -",
                "fedora/7/i386/wazuh_agent_v3.3.9_fedora_7_i386.wpk",
            ),
        ] {
            assert_eq!(path(row, name).as_deref(), Ok(wanted));
        }
    }

    #[test]
    fn what_is_missing_or_hostile_is_told_by_its_option() {
        for (row, said) in [
            ("- linux x86_64 deb -", "give --version"),
            ("v4.14.0 - x86_64 deb -", "give --platform"),
            ("v4.14.0 linux - deb -", "give --arch"),
            ("v4.14.0 linux x86_64 - -", "give --package-type"),
            ("v4.14.0 linux ../x deb -", "--arch takes"),
            ("v4.14.0 linux .. deb -", "--arch takes"),
            ("v4.14.0 linux a/b deb -", "--arch takes"),
            ("v4.14.0 linux .x deb -", "--arch takes"),
            ("v4.14.0 linux x\0y deb -", "--arch takes"),
            ("v3.0.0 ../../etc x86_64 - 7", "--platform takes"),
            ("v4.14.0 ../../etc x86_64 - -", "--platform takes"),
            (
                "v3.0.0 centos x86_64 - ..",
                "give the distribution's version",
            ),
            ("v3.0.0 centos x86_64 - 7/..", "--os-version takes"),
            ("v3.0.0 ubuntu x86_64 - 22./", "--os-version takes"),
            (
                "v3.0.0 centos x86_64 - -",
                "give the distribution's version",
            ),
            ("v3.0.0 ubuntu x86_64 - 22", "as 22.04"),
            ("v3.0.0 linux x86_64 - 7", "made for one distribution"),
            (
                "v4.8.0 linux x86_64 deb -",
                "versions below v4.9.0 have no such part: leave out --package-type (deb)",
            ),
            (
                "v3.0.0 centos x86_64 rpm 7",
                "versions below v4.9.0 have no such part: leave out --package-type (rpm)",
            ),
            (
                "v4.14.0 windows x86_64 - -",
                "windows have no such part: leave out --arch (x86_64)",
            ),
            (
                "v4.14.0 windows - rpm -",
                "windows have no such part: leave out --package-type",
            ),
            (
                "v4.14.0 macos x86_64 deb -",
                "macos have no such part: leave out --package-type",
            ),
            (
                "v4.8.0 macos x86_64 deb -",
                "macos have no such part: leave out --package-type",
            ),
        ] {
            let error = path(row, "any.wpk").unwrap_err();
            assert!(error.contains(said), "{row}: {error}");
        }
    }
}
