//! The cast: eight agents on five systems, and how each must end.

/// What the agents run before the upgrade.
pub(crate) const OLD: &str = "v4.13.1";
/// What the repository offers.
pub(crate) const NEW: &str = "v4.14.0";

/// An agent of the demo.
#[derive(Debug)]
pub(crate) struct Member {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it says of its machine.
    pub(crate) system: System,
    /// How its upgrade must end.
    pub(crate) fate: Fate,
}

/// A platform as agents report it, and its place in the repository
/// (PROTOCOL.md, section 4).
#[derive(Debug)]
pub(crate) struct System {
    pub(crate) platform: &'static str,
    pub(crate) major: &'static str,
    pub(crate) minor: &'static str,
    pub(crate) arch: &'static str,
    /// The folder of its packages.
    pub(crate) folder: &'static str,
    /// The end of their names.
    pub(crate) suffix: &'static str,
}

/// How an upgrade must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The new program runs.
    Updated,
    /// The new program does not run; the installer put the old one back.
    InstallerFails,
    /// What is upgraded is `wpk-agent` itself: it comes back as the new one.
    AgentUpdated,
    /// The new `wpk-agent` does not run; the watchdog put the old one back.
    AgentRolledBack,
    /// The package's signer is none of those the agent trusts; nothing was run.
    SignatureRefused,
}

/// A common one.
pub(crate) const UBUNTU: System = System {
    platform: "ubuntu",
    major: "24",
    minor: "04",
    arch: "x86_64",
    folder: "linux/deb/amd64",
    suffix: "linux_amd64.deb",
};

const ROCKY: System = System {
    platform: "rocky",
    major: "9",
    minor: "4",
    arch: "x86_64",
    folder: "linux/rpm/x86_64",
    suffix: "linux_x86_64.rpm",
};

/// The package for this one holds a program that does not run.
const DEBIAN_ARM: System = System {
    platform: "debian",
    major: "12",
    minor: "0",
    arch: "aarch64",
    folder: "linux/deb/arm64",
    suffix: "linux_arm64.deb",
};

/// The package for this one holds a new `wpk-agent`.
const ROCKY_ARM: System = System {
    platform: "rocky",
    major: "9",
    minor: "4",
    arch: "aarch64",
    folder: "linux/rpm/aarch64",
    suffix: "linux_aarch64.rpm",
};

/// The package for this one holds a `wpk-agent` that does not run.
const DEBIAN_32: System = System {
    platform: "debian",
    major: "12",
    minor: "0",
    arch: "i386",
    folder: "linux/deb/i386",
    suffix: "linux_i386.deb",
};

/// The agents, in the order of their enrolment.
pub(crate) const CAST: [Member; 8] = [
    Member {
        name: "web-1",
        system: UBUNTU,
        fate: Fate::Updated,
    },
    Member {
        name: "web-2",
        system: UBUNTU,
        fate: Fate::Updated,
    },
    Member {
        name: "db-1",
        system: ROCKY,
        fate: Fate::Updated,
    },
    Member {
        name: "db-2",
        system: ROCKY,
        fate: Fate::Updated,
    },
    Member {
        name: "edge-1",
        system: DEBIAN_ARM,
        fate: Fate::InstallerFails,
    },
    Member {
        name: "lab-1",
        system: UBUNTU,
        fate: Fate::SignatureRefused,
    },
    Member {
        name: "self-1",
        system: ROCKY_ARM,
        fate: Fate::AgentUpdated,
    },
    Member {
        name: "self-2",
        system: DEBIAN_32,
        fate: Fate::AgentRolledBack,
    },
];

impl Fate {
    /// Whether it is the agent itself that is upgraded.
    pub(crate) fn is_agents_own(self) -> bool {
        matches!(self, Self::AgentUpdated | Self::AgentRolledBack)
    }
}

impl System {
    /// The name of the package for a version.
    pub(crate) fn file_name(&self, version: &str) -> String {
        format!("wazuh_agent_{version}_{}.wpk", self.suffix)
    }
}
