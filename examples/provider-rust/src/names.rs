//! What a repository calls its files from v4.9.0 on (protocol.md, section 4).
//!
//! The words in a name come from agents, and the name is opened below the
//! mirror's folder: only words that cannot lead out of it are taken.

use wpk_plugin::api::{PackageType, ProviderError, Version, WantedRelease};

/// The name of a version's file: `wazuh_agent_v4.14.0_linux_amd64.deb.wpk`.
pub(crate) fn file_name(version: Version, suffix: &str) -> String {
    format!("{PREFIX}{version}_{suffix}")
}

/// The version in a file's name, if it is one of `suffix`.
pub(crate) fn version(file_name: &str, suffix: &str) -> Option<Version> {
    let version = file_name.strip_prefix(PREFIX)?.strip_suffix(suffix)?;
    version.strip_suffix('_')?.parse().ok()
}

/// What follows the version in the name of a platform's file.
pub(crate) fn suffix(release: &WantedRelease) -> Result<String, ProviderError> {
    let platform = &release.platform;
    let arch = || word("architecture", platform.arch.as_deref());
    match (platform.name.as_deref(), release.package_type) {
        (Some("windows"), _) => Ok("windows.wpk".to_owned()),
        (Some("darwin"), _) => Ok(format!("macos_{}.pkg.wpk", renamed(arch()?, "intel64"))),
        (Some(_), Some(PackageType::Deb)) => {
            Ok(format!("linux_{}.deb.wpk", renamed(arch()?, "amd64")))
        }
        (Some(_), Some(PackageType::Rpm)) => Ok(format!("linux_{}.rpm.wpk", arch()?)),
        _ => Err(ProviderError::NoPackage(
            "neither the platform nor the request tells whether it takes deb or rpm".to_owned(),
        )),
    }
}

const PREFIX: &str = "wazuh_agent_";

/// The names packages use for the two common architectures.
fn renamed<'a>(arch: &'a str, x86_64: &'a str) -> &'a str {
    match arch {
        "x86_64" => x86_64,
        "aarch64" => "arm64",
        other => other,
    }
}

fn word<'a>(what: &str, text: Option<&'a str>) -> Result<&'a str, ProviderError> {
    let fit = |text: &&str| {
        (1..=40).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
    };
    text.filter(fit).ok_or_else(|| {
        let text: String = text.unwrap_or_default().chars().take(40).collect();
        ProviderError::NoPackage(format!(
            "{text:?} is no {what} that a file could be named for"
        ))
    })
}
