//! The rules for one agent (PROTOCOL.md, section 2, checks 1 to 5): data in,
//! verdict out, no I/O. Check 6 (an upgrade is already running) is a constraint
//! of the store, where it cannot race.

use wpk_api::{AgentId, AgentInfo, ConnectionStatus, PackageType, Target, Version};
use wpk_wire::UpgradeCode;

/// What the request asks of every agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The version to install, as far as it is known; `None` for
    /// `upgrade_custom`, or where the repository could not be asked.
    pub target: Option<Version>,
    /// `force_upgrade`.
    pub force: bool,
    /// Targets above it need force; `None`: no such limit.
    pub manager: Option<Version>,
}

/// Oldest version that can be upgraded remotely at all.
const OLDEST: Version = Version::new(3, 0, 0);
/// Oldest version on macOS.
const OLDEST_DARWIN: Version = Version::new(4, 3, 0);
/// Agents below it never report the result of an upgrade, and take commands as
/// plain text.
pub const FIRST_REPORTING: Version = Version::new(4, 1, 0);

/// Checks 1 to 4: whether this agent can be upgraded now, whatever the version.
/// Returns the type of its packages, if its platform has one.
///
/// # Errors
/// The code that refuses the agent.
pub fn check_agent(
    id: AgentId,
    agent: Option<&AgentInfo>,
) -> Result<(&AgentInfo, Option<PackageType>), UpgradeCode> {
    // Real managers keep themselves in the directory as agent 0; one that does
    // not is still no agent to be upgraded.
    if id == AgentId::MANAGER {
        return Err(UpgradeCode::ActionNotAvailable);
    }
    let agent = agent.ok_or(UpgradeCode::AgentNotFound)?;
    if agent.connection != ConnectionStatus::Active {
        return Err(UpgradeCode::AgentNotActive);
    }
    Ok((agent, check_system(agent)?))
}

/// Check 4: the operating system. As recorded, only an absent column is missing;
/// an empty text is a platform or a version that nothing is known of.
fn check_system(agent: &AgentInfo) -> Result<Option<PackageType>, UpgradeCode> {
    let unknown = UpgradeCode::AgentNotFound;
    let system = &agent.platform;
    let platform = system.name.as_deref().ok_or(unknown)?;
    let arch = system.arch.as_deref();
    let (major, minor) = (system.major.as_deref(), system.minor.as_deref());
    match platform {
        "solaris" | "sunos" | "aix" | "hp-ux" | "bsd" => {
            return Err(UpgradeCode::PlatformNotAvailable);
        }
        "windows" => {}
        _ if arch.is_none() => return Err(unknown),
        "darwin" | "arch" | "opensuse-tumbleweed" => {}
        _ if major.is_none() => return Err(unknown),
        "ubuntu" if minor.is_none() => return Err(unknown),
        "sles" | "suse" if major == Some("11") => return Err(UpgradeCode::PlatformNotAvailable),
        "ol" | "rhel" | "centos" if major == Some("5") => {
            return Err(UpgradeCode::PlatformNotAvailable);
        }
        _ => {}
    }
    Ok(PackageType::of_platform(platform))
}

/// The type of the packages of an agent's platform, if it has one.
pub fn package_type(agent: &AgentInfo) -> Option<PackageType> {
    check_system(agent).ok().flatten()
}

/// Why an agent can never be upgraded remotely, whatever it is to get; `None` where it
/// can, or nobody knows.
pub fn never(agent: &AgentInfo) -> Option<String> {
    let platform = agent.platform.name.as_deref();
    let shown = wpk_api::words::clean(platform.unwrap_or("unknown"), 64);
    match check_system(agent) {
        Err(UpgradeCode::PlatformNotAvailable) => {
            return Some(format!("its platform, {shown}, has no WPK packages"));
        }
        Err(_) => {
            return Some(
                "its platform, version or architecture is not known: it never told".into(),
            );
        }
        Ok(_) => {}
    }
    let version = agent.parsed_version()?;
    is_too_old(agent, version).then(|| {
        format!("{version} is too old to be upgraded remotely: install a newer version by hand")
    })
}

fn is_too_old(agent: &AgentInfo, version: Version) -> bool {
    let darwin = agent.platform.name.as_deref() == Some("darwin");
    version < OLDEST || (darwin && version < OLDEST_DARWIN)
}

/// The node of a cluster that the agent is connected to, where it is another than
/// `ours` (PROTOCOL.md, section 14): only that node's remote daemon reaches it.
pub fn elsewhere<'a>(agent: &'a AgentInfo, ours: Option<&str>) -> Option<&'a str> {
    let node = agent.node.as_deref()?;
    // What the directory writes for an agent that never connected.
    let known = !node.is_empty() && node != "unknown";
    (known && ours.is_some_and(|ours| ours != node)).then_some(node)
}

/// Check 5: the version.
///
/// # Errors
/// The code that refuses the agent.
pub fn check_version(agent: &AgentInfo, wish: &Wish) -> Result<Version, UpgradeCode> {
    let version = agent.parsed_version().ok_or(UpgradeCode::AgentNotFound)?;
    if is_too_old(agent, version) {
        return Err(UpgradeCode::VersionNotAvailable);
    }
    if let (Some(target), false) = (wish.target, wish.force) {
        if version >= target {
            return Err(UpgradeCode::VersionNotGreater);
        }
        if wish.manager.is_some_and(|manager| target > manager) {
            return Err(UpgradeCode::AboveManager);
        }
    }
    Ok(version)
}

/// The version a target is compared by; an invalid one as a 4.x manager reads it.
pub fn comparable(target: &Target) -> Option<Version> {
    match target {
        Target::Latest => None,
        Target::Exactly(version) => Some(*version),
        Target::Invalid(text) => Some(Version::lenient(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wpk_api::Platform;

    fn agent(platform: &str, major: &str, minor: &str, arch: &str, version: &str) -> AgentInfo {
        let some = |text: &str| (text != "-").then(|| text.to_owned());
        AgentInfo {
            id: AgentId::new(1).unwrap(),
            name: None,
            platform: Platform {
                name: some(platform),
                major: some(major),
                minor: some(minor),
                arch: some(arch),
            },
            version: some(version),
            connection: ConnectionStatus::Active,
            group: None,
            node: None,
        }
    }

    fn systems(words: [&str; 4]) -> Result<Option<PackageType>, UpgradeCode> {
        let [platform, major, minor, arch] = words;
        let agent = agent(platform, major, minor, arch, "Wazuh v4.7.0");
        check_agent(agent.id, Some(&agent)).map(|(_, kind)| kind)
    }

    #[test]
    fn every_system_rule_has_its_verdict() {
        use PackageType::{Deb, Msi, Pkg, Rpm};
        use UpgradeCode::{AgentNotFound, PlatformNotAvailable};
        let cases = [
            (["-", "22", "04", "x86_64"], Err(AgentNotFound)),
            (["", "22", "04", "x86_64"], Ok(None)),
            (["", "22", "04", "-"], Err(AgentNotFound)),
            (["", "-", "04", "x86_64"], Err(AgentNotFound)),
            (["sles", "", "0", "x86_64"], Ok(Some(Rpm))),
            (["solaris", "-", "-", "-"], Err(PlatformNotAvailable)),
            (["sunos", "11", "4", "sparc"], Err(PlatformNotAvailable)),
            (["aix", "-", "-", "-"], Err(PlatformNotAvailable)),
            (["hp-ux", "-", "-", "-"], Err(PlatformNotAvailable)),
            (["bsd", "-", "-", "-"], Err(PlatformNotAvailable)),
            (["windows", "-", "-", "-"], Ok(Some(Msi))),
            (["darwin", "-", "-", "arm64"], Ok(Some(Pkg))),
            (["darwin", "13", "1", "-"], Err(AgentNotFound)),
            (["ubuntu", "22", "04", "x86_64"], Ok(Some(Deb))),
            (["ubuntu", "22", "-", "x86_64"], Err(AgentNotFound)),
            (["ubuntu", "22", "04", "-"], Err(AgentNotFound)),
            (["debian", "12", "-", "x86_64"], Ok(Some(Deb))),
            (["debian", "-", "-", "x86_64"], Err(AgentNotFound)),
            (["arch", "-", "-", "x86_64"], Ok(None)),
            (["opensuse-tumbleweed", "-", "-", "x86_64"], Ok(Some(Rpm))),
            (["sles", "11", "0", "x86_64"], Err(PlatformNotAvailable)),
            (["suse", "11", "-", "x86_64"], Err(PlatformNotAvailable)),
            (["sles", "12", "-", "x86_64"], Ok(Some(Rpm))),
            (["centos", "5", "-", "x86_64"], Err(PlatformNotAvailable)),
            (["rhel", "5", "-", "x86_64"], Err(PlatformNotAvailable)),
            (["ol", "5", "-", "x86_64"], Err(PlatformNotAvailable)),
            (["centos", "11", "-", "x86_64"], Ok(Some(Rpm))),
            (["gentoo", "2", "-", "x86_64"], Ok(None)),
        ];
        for (words, wanted) in cases {
            assert_eq!(systems(words), wanted, "{words:?}");
        }
    }

    #[test]
    fn the_manager_the_unknown_and_the_absent_are_refused() {
        let mut known = agent("ubuntu", "22", "04", "x86_64", "Wazuh v4.7.0");
        assert_eq!(
            check_agent(AgentId::MANAGER, Some(&known)),
            Err(UpgradeCode::ActionNotAvailable)
        );
        assert_eq!(
            check_agent(AgentId::MANAGER, None),
            Err(UpgradeCode::ActionNotAvailable)
        );
        assert_eq!(check_agent(known.id, None), Err(UpgradeCode::AgentNotFound));
        known.connection = ConnectionStatus::Disconnected;
        assert_eq!(
            check_agent(known.id, Some(&known)),
            Err(UpgradeCode::AgentNotActive)
        );
    }

    #[test]
    fn an_agent_of_another_node_is_told_from_ours() {
        let on = |node: Option<&str>| AgentInfo {
            node: node.map(str::to_owned),
            ..agent("ubuntu", "22", "04", "x86_64", "Wazuh v4.7.0")
        };
        let other = on(Some("worker-2"));
        assert_eq!(elsewhere(&other, Some("worker-1")), Some("worker-2"));
        // Without a cluster names of nodes say nothing.
        assert_eq!(elsewhere(&other, None), None);
        for node in [Some("worker-1"), Some("unknown"), Some(""), None] {
            assert_eq!(elsewhere(&on(node), Some("worker-1")), None, "{node:?}");
        }
    }

    #[test]
    fn every_version_rule_has_its_verdict() {
        use UpgradeCode::{AboveManager, AgentNotFound, VersionNotAvailable, VersionNotGreater};
        let wish = |target: Option<&str>, force| Wish {
            target: target.map(|text| text.parse().unwrap()),
            force,
            manager: Some(Version::new(4, 14, 0)),
        };
        let verdict = |platform, version, wish: &Wish| {
            check_version(&agent(platform, "1", "0", "x86_64", version), wish).err()
        };
        let usual = wish(Some("v4.14.0"), false);
        assert_eq!(
            verdict("ubuntu", "Wazuh 4.7.0", &usual),
            Some(AgentNotFound)
        );
        assert_eq!(verdict("ubuntu", "-", &usual), Some(AgentNotFound));
        assert_eq!(
            verdict("ubuntu", "Wazuh v2.9.9", &usual),
            Some(VersionNotAvailable)
        );
        assert_eq!(
            verdict("ubuntu", "Wazuh v2.9.9", &wish(None, true)),
            Some(VersionNotAvailable)
        );
        assert_eq!(
            verdict("darwin", "Wazuh v4.2.7", &usual),
            Some(VersionNotAvailable)
        );
        assert_eq!(verdict("darwin", "Wazuh v4.3.0", &usual), None);
        assert_eq!(
            verdict("ubuntu", "Wazuh v4.14.0", &usual),
            Some(VersionNotGreater)
        );
        assert_eq!(
            verdict("ubuntu", "Wazuh v4.14.0", &wish(Some("v4.14.0"), true)),
            None
        );
        assert_eq!(
            verdict("ubuntu", "Wazuh v4.7.0", &wish(Some("v4.14.1"), false)),
            Some(AboveManager)
        );
        assert_eq!(
            verdict("ubuntu", "Wazuh v4.7.0", &wish(Some("v4.14.1"), true)),
            None
        );
        let no_limit = Wish {
            manager: None,
            ..wish(Some("v9.0.0"), false)
        };
        assert_eq!(verdict("ubuntu", "Wazuh v4.7.0", &no_limit), None);
    }

    #[test]
    fn the_oldest_versions_that_can_be_upgraded_can() {
        let wish = Wish {
            target: None,
            force: false,
            manager: None,
        };
        let verdict =
            |platform, version| check_version(&agent(platform, "1", "0", "x86_64", version), &wish);
        assert_eq!(verdict("ubuntu", "Wazuh v3.0.0"), Ok(OLDEST));
        assert_eq!(verdict("darwin", "Wazuh v4.3.0"), Ok(OLDEST_DARWIN));
    }

    #[test]
    fn targets_compare_as_4_x_reads_them() {
        let invalid = Target::Invalid("v4.7.0-rc1".into());
        assert_eq!(comparable(&Target::Latest), None);
        assert_eq!(comparable(&Target::Exactly(OLDEST)), Some(OLDEST));
        assert_eq!(comparable(&invalid), Some(Version::new(4, 7, 0)));
    }
}
