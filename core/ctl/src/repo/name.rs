//! What the name of a WPK tells about it: names of repositories (protocol.md,
//! section 4) hold version, platform, architecture and type. A hint only: what
//! the command line says wins. Pure.

use super::layout::Facts;

/// What the name tells; nothing for a name of another form.
pub(super) fn facts(file: &str) -> Facts {
    read(file).unwrap_or_default()
}

fn read(file: &str) -> Option<Facts> {
    let stem = file.strip_prefix("wazuh_agent_")?.strip_suffix(".wpk")?;
    let (version, rest) = stem.split_once('_')?;
    let mut facts = Facts {
        version: Some(version.parse().ok()?),
        ..Facts::default()
    };
    let rest = match rest.rsplit_once('.') {
        Some((rest, kind @ ("deb" | "rpm"))) => {
            facts.package_type = Some(kind.to_owned());
            rest
        }
        Some((rest, "pkg")) => rest,
        _ => rest,
    };
    let (platform, rest) = match rest.split_once('_') {
        Some((platform, rest)) => (platform, Some(rest)),
        None => (rest, None),
    };
    facts.platform = Some(platform.to_owned());
    match (platform, rest) {
        ("windows", None) => {}
        ("windows", Some(_)) | (_, None) => return None,
        ("linux" | "macos", Some(arch)) => facts.arch = Some(arch.to_owned()),
        (_, Some(rest)) => {
            let (os, arch) = rest.split_once('_')?;
            facts.os_version = Some(os.to_owned());
            facts.arch = Some(arch.to_owned());
        }
    }
    Some(facts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::layout::place;

    #[test]
    fn names_of_every_layout_lead_back_to_themselves() {
        for name in [
            "wazuh_agent_v4.14.0_windows.wpk",
            "wazuh_agent_v4.9.0_macos_intel64.pkg.wpk",
            "wazuh_agent_v4.8.2_macos_x86_64.wpk",
            "wazuh_agent_v4.14.9_linux_amd64.deb.wpk",
            "wazuh_agent_v4.14.9_linux_x86_64.rpm.wpk",
            "wazuh_agent_v4.8.2_linux_x86_64.wpk",
            "wazuh_agent_v3.3.9_ubuntu_22.04_x86_64.wpk",
            "wazuh_agent_v3.3.9_centos_7_x86_64.wpk",
        ] {
            assert_eq!(
                place(&facts(name)).map(|place| place.file).as_deref(),
                Ok(name)
            );
        }
    }

    #[test]
    fn other_names_tell_nothing() {
        for name in [
            "agent.wpk",
            "wazuh_agent_v4.14_linux_x86_64.wpk",
            "wazuh_agent_v4.14.0.wpk",
            "wazuh_agent_v4.14.0_linux.wpk",
            "wazuh_agent_v4.14.0_windows_x.wpk",
            "wazuh_agent_.wpk",
        ] {
            assert_eq!(facts(name), Facts::default(), "{name}");
        }
    }
}
