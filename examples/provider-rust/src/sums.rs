//! The list of digests, as `sha1sum *.wpk > SHA1SUMS` writes it.

use std::path::Path;

use tokio::io::AsyncReadExt;
use wpk_plugin::api::repository::Place;
use wpk_plugin::api::{ProviderError, Sha1, Version};

const LIST: &str = "SHA1SUMS";

/// The list is no longer, in bytes: some ten thousand files.
const MAX_LENGTH: u64 = 1 << 20;

/// The list as it was when it was read.
pub(crate) struct Sums(String);

impl Sums {
    /// Reads the list of a folder.
    pub(crate) async fn read(folder: &Path) -> Result<Self, ProviderError> {
        let path = folder.join(LIST);
        let unreadable = |cause: String| {
            ProviderError::NotReachable(format!(
                "{}: {cause} (is the mirror mounted and complete?)",
                path.display()
            ))
        };
        let mut text = String::new();
        let read = async {
            let file = tokio::fs::File::open(&path).await?;
            file.take(MAX_LENGTH + 1).read_to_string(&mut text).await
        };
        let length = read.await.map_err(|error| unreadable(error.to_string()))?;
        if length as u64 > MAX_LENGTH {
            return Err(unreadable(format!("it is longer than {MAX_LENGTH} bytes")));
        }
        Ok(Self(text))
    }

    /// The digest of a file, if it is listed.
    pub(crate) fn find(&self, file_name: &str) -> Option<Sha1> {
        let mut lines = self.lines();
        lines.find_map(|(sha1, name)| (name == file_name).then_some(sha1))
    }

    /// The versions of the files that would lie at a place.
    pub(crate) fn versions(&self, place: &Place) -> impl Iterator<Item = Version> {
        let names = self.lines().map(|(_, name)| name);
        names.filter_map(|name| place.version_of(name))
    }

    /// The highest of them.
    pub(crate) fn newest(&self, place: &Place) -> Option<Version> {
        self.versions(place).max()
    }

    /// Digests and names. What is no line of `sha1sum` is passed over.
    fn lines(&self) -> impl Iterator<Item = (Sha1, &str)> {
        self.0.lines().filter_map(|line| {
            let (sha1, name) = line.split_once(' ')?;
            Some((sha1.parse().ok()?, name.trim_start_matches([' ', '*'])))
        })
    }
}

#[cfg(test)]
mod tests {
    use wpk_plugin::api::PackageType;
    use wpk_plugin::api::repository::{Layout, platform};

    use super::*;

    #[test]
    fn lines_of_both_modes_are_read_and_others_passed_over() {
        let (one, two) = ("11".repeat(20), "22".repeat(20));
        let deb = |version| format!("wazuh_agent_{version}_linux_amd64.deb.wpk");
        let sums = Sums(format!(
            "# a comment\n{one}  {}\n{two} *{}\n{two}  wazuh_agent_v4.15.0_windows.wpk\nshort  x\n",
            deb("v4.9.0"),
            deb("v4.14.1")
        ));
        assert_eq!(sums.find(&deb("v4.9.0")), one.parse().ok());
        assert_eq!(sums.find(&deb("v4.14.1")), two.parse().ok());
        assert_eq!(sums.find(&deb("v4.14.2")), None);
        let newest = |kind| {
            let debian = platform("debian", None, Some("amd64"));
            sums.newest(&Layout::current(&debian).place(&debian, Some(kind)).unwrap())
        };
        assert_eq!(newest(PackageType::Deb), Some(Version::new(4, 14, 1)));
        assert_eq!(newest(PackageType::Rpm), None);
    }
}
