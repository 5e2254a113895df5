//! The settings of the agent: a TOML file, checked as a whole before anything
//! is started. The program enters through [`Settings::load`]; all later code
//! sees only values that were found good, and absolute paths.
//!
//! Relative paths start at `home`; a relative `home` starts at the folder of
//! the settings file.

mod read;
mod sections;
mod span;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls::pki_types::ServerName;
use serde::Deserialize;
use toml::Table;

pub use read::{Problem, Problems};
pub use sections::{
    AgentSettings, CaVerification, ChannelSettings, Limits, ListenSettings, MANAGER_NAME,
    UpgradeSettings,
};
pub use span::{ByteSize, Span};

use read::Reader;

/// Where a 4.x agent lives.
const DEFAULT_HOME: &str = "/var/ossec";

/// All settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `DIR` of the protocol reference; it exists.
    pub home: PathBuf,
    /// `[upgrade]`.
    pub upgrade: UpgradeSettings,
    /// `[agent]`.
    pub agent: AgentSettings,
    /// `[limits]`.
    pub limits: Limits,
    /// `[listen]`; absent: no listener.
    pub listen: Option<ListenSettings>,
    /// `[channel]`; absent: no channel.
    pub channel: Option<ChannelSettings>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Top {
    home: Option<PathBuf>,
}

impl Settings {
    /// Reads `file`; `home` replaces the one in it.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn load(file: &Path, home: Option<&Path>) -> Result<Self, Problems> {
        let fail = |problems| Problems {
            file: file.to_owned(),
            problems,
        };
        let whole = |message| {
            fail(vec![Problem {
                key: String::new(),
                message,
            }])
        };
        let text = read::text(file).map_err(whole)?;
        let table = text
            .parse::<Table>()
            .map_err(|error| whole(error.to_string()))?;
        let folder = file.parent().unwrap_or(Path::new(""));
        Self::from_table(table, folder, home).map_err(fail)
    }

    fn from_table(
        mut table: Table,
        folder: &Path,
        home: Option<&Path>,
    ) -> Result<Self, Vec<Problem>> {
        let mut reader = Reader::default();
        let mut upgrade_table = reader
            .take(&mut table, "upgrade", "upgrade")
            .unwrap_or_default();
        let ca = reader
            .take(
                &mut upgrade_table,
                "ca_verification",
                "upgrade.ca_verification",
            )
            .unwrap_or_default();
        let mut upgrade: UpgradeSettings = reader.section("upgrade", upgrade_table);
        upgrade.ca_verification = reader.section("upgrade.ca_verification", ca);
        let agent = reader
            .take(&mut table, "agent", "agent")
            .unwrap_or_default();
        let mut agent: AgentSettings = reader.section("agent", agent);
        let limits = reader
            .take(&mut table, "limits", "limits")
            .unwrap_or_default();
        let limits: Limits = reader.section("limits", limits);
        let listen = reader.take(&mut table, "listen", "listen");
        let mut listen: Option<ListenSettings> = listen.map(|t| reader.section("listen", t));
        let channel = reader.take(&mut table, "channel", "channel");
        let mut channel: Option<ChannelSettings> = channel.map(|t| reader.section("channel", t));
        let top: Top = reader.section("", table);

        let home = match home {
            Some(home) => home.to_owned(),
            None => folder.join(top.home.unwrap_or_else(|| PathBuf::from(DEFAULT_HOME))),
        };
        let home = home.canonicalize().unwrap_or(home);
        if !home.is_dir() {
            reader.problem(
                "home",
                format!("{} is no folder: create it", home.display()),
            );
        }
        check_upgrade(&mut reader, &upgrade);
        check_limits(&mut reader, &limits);
        for path in &mut upgrade.ca_verification.ca_store {
            *path = home.join(&path);
        }
        if let Some(path) = &mut agent.version_file {
            *path = home.join(&path);
        }
        if let Some(listen) = &mut listen {
            listen.socket = home.join(&listen.socket);
            listen.queue = home.join(&listen.queue);
            check_listen(&mut reader, listen);
        }
        if let Some(channel) = &mut channel {
            for path in [&mut channel.ca, &mut channel.certificate, &mut channel.key] {
                *path = home.join(&path);
            }
            check_channel(&mut reader, channel);
            if agent.version.is_none() && agent.version_file.is_none() {
                let path = home.join("VERSION");
                if !path.is_file() {
                    let text = format!(
                        "missing, and {} cannot be read: set `version` or `version_file`",
                        path.display()
                    );
                    reader.problem("agent.version", text);
                }
                agent.version_file = Some(path);
            }
        }
        if listen.is_none() && channel.is_none() && reader.problems.is_empty() {
            reader.problem(
                "",
                "neither [listen] nor [channel] is there: the agent would hear nobody",
            );
        }
        if reader.problems.is_empty() {
            Ok(Self {
                home,
                upgrade,
                agent,
                limits,
                listen,
                channel,
            })
        } else {
            Err(reader.problems)
        }
    }

    /// What is no mistake but probably not meant, one text each.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let ca = &self.upgrade.ca_verification;
        if let Some(channel) = &self.channel {
            let mode = std::fs::metadata(&channel.key).map_or(0, |meta| meta.permissions().mode());
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

fn check_upgrade(reader: &mut Reader, upgrade: &UpgradeSettings) {
    let factor = upgrade.notification_wait_factor;
    if !(factor > 1.0 && factor <= 100.0) {
        let text = format!("{factor} is not above 1.0 and at most 100");
        reader.problem("upgrade.notification_wait_factor", text);
    }
    if upgrade.notification_wait_max < upgrade.notification_wait_start {
        reader.problem(
            "upgrade.notification_wait_max",
            "is shorter than notification_wait_start: make it at least as long",
        );
    }
    for (key, span) in [
        ("notification_wait_start", upgrade.notification_wait_start),
        ("notification_wait_max", upgrade.notification_wait_max),
        ("result_wait", upgrade.result_wait),
        ("result_check", upgrade.result_check),
        ("execution_timeout", upgrade.execution_timeout),
    ] {
        not_zero(reader, &format!("upgrade.{key}"), span);
    }
    if upgrade.ca_verification.enabled && upgrade.ca_verification.ca_store.is_empty() {
        reader.problem(
            "upgrade.ca_verification.ca_store",
            "is empty: name at least one file or folder of CA certificates",
        );
    }
}

fn check_limits(reader: &mut Reader, limits: &Limits) {
    if limits.installer_log < ByteSize(4096) {
        reader.problem(
            "limits.installer_log",
            "is below 4KiB: too little to tell anything",
        );
    }
    for (key, zero) in [
        ("incoming", limits.incoming.0 == 0),
        ("unpacked", limits.unpacked.0 == 0),
        ("entries", limits.entries == 0),
        ("name", limits.name == 0),
        ("certificate", limits.certificate.0 == 0),
    ] {
        if zero {
            reader.problem(
                format!("limits.{key}"),
                "is 0: no package would be accepted",
            );
        }
    }
}

fn check_listen(reader: &mut Reader, listen: &ListenSettings) {
    not_zero(reader, "listen.timeout", listen.timeout);
    for (key, path) in [
        ("listen.socket", &listen.socket),
        ("listen.queue", &listen.queue),
    ] {
        if path.as_os_str().len() > 107 {
            let text = format!(
                "{} has over 107 bytes, more than a socket may have",
                path.display()
            );
            reader.problem(key, text);
        }
    }
    if let Some(Err(message)) = listen.group.as_deref().map(crate::socket::group_id) {
        reader.problem("listen.group", message);
    }
}

fn check_channel(reader: &mut Reader, channel: &ChannelSettings) {
    let port = channel
        .address
        .rsplit_once(':')
        .map(|(host, port)| (host, port.parse::<u16>()));
    if !matches!(port, Some((host, Ok(1..))) if !host.is_empty()) {
        let text = format!("{:?} is no address: write \"host:port\"", channel.address);
        reader.problem("channel.address", text);
    }
    if ServerName::try_from(channel.server_name.as_str()).is_err() {
        reader.problem(
            "channel.server_name",
            format!("{:?} is no DNS name", channel.server_name),
        );
    }
    for (key, path) in [
        ("ca", &channel.ca),
        ("certificate", &channel.certificate),
        ("key", &channel.key),
    ] {
        if let Err(error) = std::fs::File::open(path) {
            let text = format!("{}: {error}; enroll the agent again", path.display());
            reader.problem(format!("channel.{key}"), text);
        }
    }
    for (key, span) in [
        ("connect_timeout", channel.connect_timeout),
        ("reconnect_min", channel.reconnect_min),
        ("reconnect_max", channel.reconnect_max),
    ] {
        not_zero(reader, &format!("channel.{key}"), span);
    }
    if channel.reconnect_max < channel.reconnect_min {
        reader.problem("channel.reconnect_max", "is shorter than reconnect_min");
    }
}

fn not_zero(reader: &mut Reader, key: &str, span: Span) {
    if span.0 == Duration::ZERO {
        reader.problem(key, "is 0: give a time");
    }
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
