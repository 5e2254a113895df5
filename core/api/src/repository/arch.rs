//! What an architecture is called: agents say one thing, packages of Debian
//! and of macOS another. All other architectures have one name.

/// Agents' word, Debian's, and that of macOS packages from v4.9.0 on.
const SPELLINGS: [(&str, &str, &str); 2] = [
    ("x86_64", "amd64", "intel64"),
    ("aarch64", "arm64", "arm64"),
];

/// The word in names of `deb` packages.
pub(super) fn debian(arch: &str) -> &str {
    spelling(arch).map_or(arch, |(_, debian, _)| debian)
}

/// The word in names of `pkg` packages, from v4.9.0 on.
pub(super) fn mac_pkg(arch: &str) -> &str {
    spelling(arch).map_or(arch, |(_, _, mac)| mac)
}

fn spelling(arch: &str) -> Option<(&'static str, &'static str, &'static str)> {
    SPELLINGS
        .into_iter()
        .find(|(reported, _, _)| *reported == arch)
}

/// The word an agent would use for what a file name or a person calls `arch`.
/// A Mac calls its processor `arm64`, like the packages for it; Linux does not.
pub(super) fn reported(arch: &str, mac: bool) -> &str {
    match (arch, mac) {
        ("intel64" | "amd64", true) | ("amd64", false) => "x86_64",
        ("arm64", false) => "aarch64",
        (other, _) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_spell_two_architectures_their_own_way() {
        for (agent, deb, mac) in [
            ("x86_64", "amd64", "intel64"),
            ("aarch64", "arm64", "arm64"),
            ("arm64", "arm64", "arm64"),
            ("i386", "i386", "i386"),
            ("amd64", "amd64", "amd64"),
            ("X86_64", "X86_64", "X86_64"),
        ] {
            assert_eq!((debian(agent), mac_pkg(agent)), (deb, mac), "{agent}");
        }
    }

    #[test]
    fn every_spelling_leads_back_to_the_agents() {
        for (spelled, linux, mac) in [
            ("amd64", "x86_64", "x86_64"),
            ("intel64", "intel64", "x86_64"),
            ("x86_64", "x86_64", "x86_64"),
            ("arm64", "aarch64", "arm64"),
            ("aarch64", "aarch64", "aarch64"),
            ("i386", "i386", "i386"),
        ] {
            assert_eq!(reported(spelled, false), linux, "{spelled}");
            assert_eq!(reported(spelled, true), mac, "{spelled}");
        }
    }
}
