//! Where a WPK belongs in a repository: folder and file name by platform,
//! version, architecture and type of package (protocol.md, section 4). Pure.

use wpk_api::Version;

/// The version from which folders name the type of package.
const TYPED: Version = Version::new(4, 9, 0);
/// The version from which Linux packages fit every distribution.
const ANY_LINUX: Version = Version::new(3, 4, 0);
/// The longest word of a path, in bytes.
const LONGEST: usize = 64;

/// What is known about a WPK.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) version: Option<Version>,
    /// `linux`, `windows`, `macos`, `darwin`, or a distribution.
    pub(crate) platform: Option<String>,
    pub(crate) arch: Option<String>,
    /// `deb` or `rpm`.
    pub(crate) package_type: Option<String>,
    /// Version of the distribution.
    pub(crate) os_version: Option<String>,
}

/// A place in a repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Relative to the repository, with `/` between plain words, none at the end.
    pub(crate) folder: String,
    /// Bare name of the file.
    pub(crate) file: String,
    pub(crate) version: Version,
}

/// The place of a WPK; the error says what is missing or wrong.
pub(crate) fn place(facts: &Facts) -> Result<Place, String> {
    let version = facts
        .version
        .ok_or("its version is not known; give --version vX.Y.Z")?;
    let platform = facts
        .platform
        .as_deref()
        .ok_or("its platform is not known; give --platform linux, windows or macos")?;
    let platform = word("platform", &platform.to_ascii_lowercase())?.to_owned();
    let (folder, file) = match platform.as_str() {
        "windows" => {
            unused("--arch", "windows", &facts.arch)?;
            unused("--package-type", "windows", &facts.package_type)?;
            (
                "windows".to_owned(),
                format!("wazuh_agent_{version}_windows.wpk"),
            )
        }
        "macos" | "darwin" => {
            unused("--package-type", "macos", &facts.package_type)?;
            macos(version, architecture(facts)?)
        }
        _ => linux(version, &platform, facts)?,
    };
    Ok(Place {
        folder,
        file,
        version,
    })
}

fn macos(version: Version, arch: &str) -> (String, String) {
    if version >= TYPED {
        let arch = match arch {
            "x86_64" | "amd64" => "intel64",
            "aarch64" => "arm64",
            other => other,
        };
        let file = format!("wazuh_agent_{version}_macos_{arch}.pkg.wpk");
        (format!("macos/pkg/{arch}"), file)
    } else {
        let arch = match arch {
            "intel64" | "amd64" => "x86_64",
            other => other,
        };
        let file = format!("wazuh_agent_{version}_macos_{arch}.wpk");
        (format!("macos/{arch}/pkg"), file)
    }
}

fn linux(version: Version, platform: &str, facts: &Facts) -> Result<(String, String), String> {
    // What Linux agents call their architecture; packages of Debian differ.
    let arch = match architecture(facts)? {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        other => other,
    };
    if version >= TYPED {
        let kind = match (facts.package_type.as_deref(), platform) {
            (Some(kind @ ("deb" | "rpm")), _) => kind,
            (Some(other), _) => return Err(format!("{other:?} is no type of package: deb or rpm")),
            (None, "debian" | "ubuntu") => "deb",
            (None, platform) if RPM.contains(&platform) => "rpm",
            (None, _) => {
                return Err("its type is not known; give --package-type deb or rpm".to_owned());
            }
        };
        let arch = match (kind, arch) {
            ("deb", "x86_64") => "amd64",
            ("deb", "aarch64") => "arm64",
            (_, other) => other,
        };
        let file = format!("wazuh_agent_{version}_linux_{arch}.{kind}.wpk");
        return Ok((format!("linux/{kind}/{arch}"), file));
    }
    unused(
        "--package-type",
        "versions below v4.9.0",
        &facts.package_type,
    )?;
    if version >= ANY_LINUX {
        let file = format!("wazuh_agent_{version}_linux_{arch}.wpk");
        return Ok((format!("linux/{arch}"), file));
    }
    if platform == "linux" {
        return Err(format!(
            "{version} is older than v3.4.0 and made for one distribution; give its name with \
             --platform and its version with --os-version"
        ));
    }
    let os = facts
        .os_version
        .as_deref()
        .ok_or("it is older than v3.4.0; give the distribution's version with --os-version")?;
    let os = word("os-version", os)?;
    let mut parts = os.split('.');
    let (major, minor) = (parts.next().unwrap_or_default(), parts.next());
    let os = match (platform, minor) {
        ("ubuntu", Some(minor)) if !major.is_empty() && !minor.is_empty() => {
            format!("{major}.{minor}")
        }
        ("ubuntu", _) => {
            return Err(format!("{os:?} is no version of ubuntu; write it as 22.04"));
        }
        _ => major.to_owned(),
    };
    let file = format!("wazuh_agent_{version}_{platform}_{os}_{arch}.wpk");
    Ok((format!("{platform}/{os}/{arch}"), file))
}

/// Distributions with RPM packages (protocol.md, section 2).
const RPM: [&str; 12] = [
    "amzn",
    "centos",
    "fedora",
    "ol",
    "opensuse",
    "opensuse-leap",
    "opensuse-tumbleweed",
    "rhel",
    "sles",
    "suse",
    "rocky",
    "almalinux",
];

fn architecture(facts: &Facts) -> Result<&str, String> {
    let arch = facts
        .arch
        .as_deref()
        .ok_or("its architecture is not known; give --arch, such as x86_64")?;
    word("arch", arch)
}

/// A word that may stand in a path: letters, digits and `_ - .`, first a
/// letter or digit, so that it is neither hidden nor `..`.
fn word<'a>(what: &str, text: &'a str) -> Result<&'a str, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    let starts = text
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphanumeric());
    if starts && text.len() <= LONGEST && text.bytes().all(plain) {
        Ok(text)
    } else {
        Err(format!(
            "{text:?} cannot stand in a path; --{what} takes letters, digits, `_`, `-` and `.`"
        ))
    }
}

fn unused(option: &str, place: &str, value: &Option<String>) -> Result<(), String> {
    match value {
        Some(value) => Err(format!(
            "{place} have no such part: leave out {option} ({value})"
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(version: &str, platform: &str, arch: &str, kind: &str, os: &str) -> Facts {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Facts {
            version: Some(version.parse().unwrap()),
            platform: some(platform),
            arch: some(arch),
            package_type: some(kind),
            os_version: some(os),
        }
    }

    #[test]
    fn every_row_of_the_layout() {
        for (version, platform, arch, kind, os, wanted) in [
            (
                "v4.14.0",
                "windows",
                "",
                "",
                "",
                "windows/wazuh_agent_v4.14.0_windows.wpk",
            ),
            (
                "v3.0.0",
                "windows",
                "",
                "",
                "",
                "windows/wazuh_agent_v3.0.0_windows.wpk",
            ),
            (
                "v4.9.0",
                "macos",
                "x86_64",
                "",
                "",
                "macos/pkg/intel64/wazuh_agent_v4.9.0_macos_intel64.pkg.wpk",
            ),
            (
                "v4.9.0",
                "darwin",
                "aarch64",
                "",
                "",
                "macos/pkg/arm64/wazuh_agent_v4.9.0_macos_arm64.pkg.wpk",
            ),
            (
                "v4.9.0",
                "macos",
                "arm64",
                "",
                "",
                "macos/pkg/arm64/wazuh_agent_v4.9.0_macos_arm64.pkg.wpk",
            ),
            (
                "v4.8.2",
                "macos",
                "x86_64",
                "",
                "",
                "macos/x86_64/pkg/wazuh_agent_v4.8.2_macos_x86_64.wpk",
            ),
            (
                "v4.9.0",
                "linux",
                "x86_64",
                "deb",
                "",
                "linux/deb/amd64/wazuh_agent_v4.9.0_linux_amd64.deb.wpk",
            ),
            (
                "v4.14.9",
                "linux",
                "aarch64",
                "deb",
                "",
                "linux/deb/arm64/wazuh_agent_v4.14.9_linux_arm64.deb.wpk",
            ),
            (
                "v4.14.9",
                "linux",
                "i386",
                "deb",
                "",
                "linux/deb/i386/wazuh_agent_v4.14.9_linux_i386.deb.wpk",
            ),
            (
                "v10.0.0",
                "linux",
                "amd64",
                "rpm",
                "",
                "linux/rpm/x86_64/wazuh_agent_v10.0.0_linux_x86_64.rpm.wpk",
            ),
            (
                "v4.14.9",
                "ubuntu",
                "x86_64",
                "",
                "",
                "linux/deb/amd64/wazuh_agent_v4.14.9_linux_amd64.deb.wpk",
            ),
            (
                "v4.14.9",
                "rocky",
                "aarch64",
                "",
                "",
                "linux/rpm/aarch64/wazuh_agent_v4.14.9_linux_aarch64.rpm.wpk",
            ),
            (
                "v4.8.2",
                "linux",
                "x86_64",
                "",
                "",
                "linux/x86_64/wazuh_agent_v4.8.2_linux_x86_64.wpk",
            ),
            (
                "v3.4.0",
                "ubuntu",
                "amd64",
                "",
                "",
                "linux/x86_64/wazuh_agent_v3.4.0_linux_x86_64.wpk",
            ),
            (
                "v3.3.9",
                "ubuntu",
                "x86_64",
                "",
                "22.04",
                "ubuntu/22.04/x86_64/wazuh_agent_v3.3.9_ubuntu_22.04_x86_64.wpk",
            ),
            (
                "v3.3.9",
                "centos",
                "x86_64",
                "",
                "7",
                "centos/7/x86_64/wazuh_agent_v3.3.9_centos_7_x86_64.wpk",
            ),
            (
                "v3.0.0",
                "centos",
                "x86_64",
                "",
                "7.9",
                "centos/7/x86_64/wazuh_agent_v3.0.0_centos_7_x86_64.wpk",
            ),
        ] {
            let place = place(&facts(version, platform, arch, kind, os)).unwrap();
            assert_eq!(format!("{}/{}", place.folder, place.file), wanted);
        }
    }

    #[test]
    fn what_is_missing_or_hostile_is_refused() {
        for (platform, arch, kind, os, version) in [
            ("", "x86_64", "deb", "", "v4.14.0"),
            ("linux", "", "deb", "", "v4.14.0"),
            ("linux", "x86_64", "", "", "v4.14.0"),
            ("linux", "x86_64", "pkg", "", "v4.14.0"),
            ("linux", "../x", "deb", "", "v4.14.0"),
            ("linux", "..", "deb", "", "v4.14.0"),
            ("linux", "a/b", "deb", "", "v4.14.0"),
            ("linux", ".x", "deb", "", "v4.14.0"),
            ("linux", "x\ny", "deb", "", "v4.14.0"),
            ("../../etc", "x86_64", "", "7", "v3.0.0"),
            ("centos", "x86_64", "", "..", "v3.0.0"),
            ("centos", "x86_64", "", "", "v3.0.0"),
            ("ubuntu", "x86_64", "", "22", "v3.0.0"),
            ("linux", "x86_64", "", "7", "v3.0.0"),
            ("linux", "x86_64", "deb", "", "v4.8.0"),
            ("windows", "x86_64", "", "", "v4.14.0"),
            ("macos", "x86_64", "deb", "", "v4.14.0"),
        ] {
            let facts = facts(version, platform, arch, kind, os);
            assert!(place(&facts).is_err(), "{facts:?}");
        }
        let long = "a".repeat(LONGEST + 1);
        assert!(place(&facts("v4.14.0", "linux", &long, "deb", "")).is_err());
    }
}
