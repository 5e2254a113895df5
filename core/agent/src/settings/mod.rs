//! The settings of the agent: a TOML file, checked as a whole before anything
//! is started. The program enters through [`Settings::load`]; all later code
//! sees only values that were found good, and absolute paths.
//!
//! Relative paths start at `home`; a relative `home` starts at the folder of
//! the settings file.

mod check;
mod read;
mod reference;
mod sections;

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Table;

pub use read::{Problem, Problems};
pub use reference::reference;
pub use sections::{
    AgentSettings, CaVerification, ChannelSettings, Limits, ListenSettings, MANAGER_NAME, Settings,
    UpgradeSettings,
};
pub use wpk_api::settings::{ByteSize, Span};

use crate::platform::files;
use check::{VERSION_FILE, check};
use read::Reader;

/// Where a 4.x agent lives.
pub(crate) const DEFAULT_HOME: &str = "/var/ossec";

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Top {
    /// The folder of everything the agent writes; a relative one starts at the folder of the
    /// settings file. Absent: /var/ossec; the package sets /var/lib/wpk-agent.
    home: Option<PathBuf>,
}

impl Settings {
    /// Reads `file`; `home` replaces the one in it.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn load(file: &Path, home: Option<&Path>) -> Result<Self, Problems> {
        Self::load_from(file, file, home)
    }

    /// As [`Settings::load`], with the text of `content`, which is that file.
    pub(crate) fn load_from(
        content: &Path,
        file: &Path,
        home: Option<&Path>,
    ) -> Result<Self, Problems> {
        let fail = |problems| Problems {
            file: file.to_owned(),
            problems,
        };
        let whole = |message: String| fail(vec![Problem::new("", message)]);
        let text = read::text(content).map_err(whole)?;
        let table = text
            .parse::<Table>()
            .map_err(|error| whole(error.to_string()))?;
        let folder = file.parent().unwrap_or(Path::new(""));
        Self::from_table(table, folder, home).map_err(fail)
    }

    /// The home that `file` names, or `home` in its place, however wrong the rest of the
    /// file is; `None` where it cannot be told.
    pub fn home_in(file: &Path, home: Option<&Path>) -> Option<PathBuf> {
        if let Some(home) = home {
            return Some(home.to_owned());
        }
        let table = read::text(file).ok()?.parse::<Table>().ok()?;
        let named = match table.get("home") {
            Some(named) => PathBuf::from(named.as_str()?),
            None => PathBuf::from(DEFAULT_HOME),
        };
        Some(file.parent().unwrap_or(Path::new("")).join(named))
    }

    fn from_table(table: Table, folder: &Path, home: Option<&Path>) -> Result<Self, Vec<Problem>> {
        let mut reader = Reader::default();
        let (mut settings, top) = sections(&mut reader, table);
        let home = match home {
            Some(home) => home.to_owned(),
            None => folder.join(top.home.unwrap_or_else(|| PathBuf::from(DEFAULT_HOME))),
        };
        settings.home = home.canonicalize().unwrap_or(home);
        settings.make_absolute();
        check(&settings, &mut reader);
        let agent = &mut settings.agent;
        if settings.channel.is_some() && agent.version.is_none() {
            let usual = || settings.home.join(VERSION_FILE);
            agent.version_file.get_or_insert_with(usual);
        }
        if reader.problems.is_empty() {
            Ok(settings)
        } else {
            Err(reader.problems)
        }
    }

    /// Lets every relative path start at the home.
    fn make_absolute(&mut self) {
        let home = &self.home;
        for path in &mut self.upgrade.ca_verification.ca_store {
            *path = home.join(&path);
        }
        if let Some(path) = &mut self.agent.version_file {
            *path = home.join(&path);
        }
        if let Some(listen) = &mut self.listen {
            listen.socket = home.join(&listen.socket);
            listen.queue = home.join(&listen.queue);
        }
        if let Some(channel) = &mut self.channel {
            for path in [&mut channel.ca, &mut channel.certificate, &mut channel.key] {
                *path = home.join(&path);
            }
        }
    }

    /// What is no mistake but probably not meant, one text each.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let ca = &self.upgrade.ca_verification;
        if let Some(channel) = &self.channel {
            let mode = files::mode(&channel.key).unwrap_or_default();
            let version = self.agent.version_file.as_deref();
            let told = |file: &Path| file.metadata().is_ok_and(|meta| meta.len() > 0);
            if let (None, Some(file)) = (&self.agent.version, version)
                && !told(file)
            {
                let file = file.display();
                warnings.push(format!(
                    "{file} tells no version, so the manager is told none: put a line such \
                     as v4.14.0 there, or set agent.version"
                ));
            }
            if mode & 0o077 != 0 {
                let key = channel.key.display();
                warnings.push(format!(
                    "{key} may be used by others: run `chmod 0600` on it"
                ));
            }
        }
        if !self.upgrade.enabled {
            warnings.push("upgrade.enabled is false: every upgrade will be refused".to_owned());
        }
        if ca.enabled {
            match wpk_package::CaStore::load(&ca.ca_store) {
                Ok(store) => warnings.extend(store.problems().iter().cloned()),
                Err(error) => warnings.push(format!("every package will be refused: {error}")),
            }
        } else {
            warnings.push(
                "upgrade.ca_verification.enabled is false: packages of any signer will be run"
                    .to_owned(),
            );
        }
        warnings
    }
}

/// Reads all sections; where there is a mistake the default stands in.
fn sections(reader: &mut Reader, mut table: Table) -> (Settings, Top) {
    let mut upgrade_table = reader
        .take(&mut table, "upgrade", "upgrade")
        .unwrap_or_default();
    let shown = "upgrade.ca_verification";
    let ca = reader
        .take(&mut upgrade_table, "ca_verification", shown)
        .unwrap_or_default();
    let mut upgrade: UpgradeSettings = reader.section("upgrade", upgrade_table);
    upgrade.ca_verification = reader.section(shown, ca);
    let mut take = |reader: &mut Reader, key: &str| reader.take(&mut table, key, key);
    let agent = take(reader, "agent").unwrap_or_default();
    let agent = reader.section("agent", agent);
    let limits = take(reader, "limits").unwrap_or_default();
    let limits = reader.section("limits", limits);
    let listen = take(reader, "listen").map(|listen| reader.section("listen", listen));
    let channel = take(reader, "channel").map(|channel| reader.section("channel", channel));
    let settings = Settings {
        home: PathBuf::new(),
        upgrade,
        agent,
        limits,
        listen,
        channel,
    };
    (settings, reader.section("", table))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Settings, Problems> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("agent.toml");
        std::fs::write(&file, text).unwrap();
        Settings::load(&file, Some(dir.path()))
    }

    #[test]
    fn defaults_are_those_of_the_reference() {
        let settings = load("[listen]").unwrap();
        let upgrade = &settings.upgrade;
        assert_eq!(upgrade.notification_wait_start, Span::seconds(30));
        assert_eq!(upgrade.notification_wait_max, Span::seconds(3600));
        assert_eq!(
            upgrade.ca_verification.ca_store,
            [settings.home.join("etc/wpk_root.pem")]
        );
        let listen = settings.listen.unwrap();
        assert_eq!(listen.socket, settings.home.join("queue/sockets/upgrade"));
    }

    #[test]
    fn every_mistake_is_told_with_its_key() {
        let problems = load(
            "homes = 1\n[upgrade]\nenabled = \"perhaps\"\nnotification_wait_start = 30\n\
             execution_timeout = \"1 moon\"\n\
             [upgrade.ca_verification]\nca_stores = []\n[limits]\nentries = -1\n\
             [channel]\nport = 5\n[agent]\nversion = 4\n",
        )
        .unwrap_err();
        let keys: Vec<_> = problems.problems.iter().map(|p| p.key.as_str()).collect();
        for key in [
            "homes",
            "upgrade.enabled",
            "upgrade.notification_wait_start",
            "upgrade.execution_timeout",
            "upgrade.ca_verification.ca_stores",
            "limits.entries",
            "channel.port",
            "channel.address",
            "channel.certificate",
            "agent.version",
        ] {
            assert!(keys.contains(&key), "{key} is missing in {keys:?}");
        }
        assert_eq!(
            problems.to_string().lines().count(),
            problems.problems.len()
        );
    }

    #[test]
    fn values_out_of_range_are_mistakes() {
        for (text, key) in [
            (
                "upgrade.notification_wait_factor = 1.0",
                "upgrade.notification_wait_factor",
            ),
            (
                "upgrade.notification_wait_factor = nan",
                "upgrade.notification_wait_factor",
            ),
            (
                "upgrade.notification_wait_max = \"1s\"",
                "upgrade.notification_wait_max",
            ),
            ("upgrade.result_check = \"0s\"", "upgrade.result_check"),
            ("upgrade.result_wait = \"367d\"", "upgrade.result_wait"),
            ("upgrade.result_grace = \"0s\"", "upgrade.result_grace"),
            ("upgrade.result_within = \"0s\"", "upgrade.result_within"),
            ("limits.incoming = \"-1\"", "limits.incoming"),
            (
                "upgrade.ca_verification.ca_store = []",
                "upgrade.ca_verification.ca_store",
            ),
            ("listen.group = \"no such group\"", "listen.group"),
            ("limits.unpacked = 0", "limits.unpacked"),
            ("channel.address = \"nowhere\"", "channel.address"),
            ("upgrade = 3", "upgrade"),
        ] {
            let problems = load(&format!("{text}\n")).unwrap_err();
            assert!(
                problems.problems.iter().any(|p| p.key == key),
                "{text}: {problems}"
            );
        }
        assert!(load("").unwrap_err().to_string().contains("[listen]"));
        assert!(load("this is = no = toml").is_err());
    }
}
