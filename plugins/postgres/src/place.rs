//! Where the database is and how it is reached: the settings as the driver takes them.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use crate::fault::Fault;
use crate::settings::{Settings, Tls};
use crate::tls;

/// The environment's word for the password, as every client of PostgreSQL knows it.
pub(crate) const PASSWORD: &str = "PGPASSWORD";

/// A database, and how to reach it.
pub(crate) struct Place {
    config: Config,
    password_file: Option<PathBuf>,
    /// Absent where the connection is not encrypted.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// How long a connection may take to come about.
    pub(crate) connect_timeout: Duration,
    /// How errors and logs name it: user, hosts and database.
    pub(crate) shown: String,
}

impl Place {
    /// The database of the section; `path` makes paths absolute.
    ///
    /// # Errors
    /// A key of the section and what is wrong with it.
    pub(crate) fn of(
        settings: &Settings,
        path: impl Fn(&Path) -> PathBuf,
    ) -> Result<Self, (&'static str, String)> {
        let config = match &settings.url {
            Some(url) => read_url(url).map_err(|error| ("url", error))?,
            None => from_keys(settings),
        };
        Self::new(settings, config, path)
    }

    /// The place where LISTEN is possible.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub(crate) fn to_listen(
        settings: &Settings,
        path: impl Fn(&Path) -> PathBuf,
    ) -> Result<Self, (&'static str, String)> {
        match &settings.listen_url {
            Some(url) => {
                let config = read_url(url).map_err(|error| ("listen_url", error))?;
                Self::new(settings, config, path)
            }
            None => Self::of(settings, path),
        }
    }

    fn new(
        settings: &Settings,
        mut config: Config,
        path: impl Fn(&Path) -> PathBuf,
    ) -> Result<Self, (&'static str, String)> {
        if config.get_user().is_none() {
            config.user(&settings.user);
        }
        if config.get_dbname().is_none() {
            config.dbname(&settings.database);
        }
        config.application_name("wpkd");
        config.connect_timeout(settings.connect_timeout.0);
        config.tcp_user_timeout(settings.timeout.0);
        config.keepalives_idle(Duration::from_secs(10));
        config.keepalives_interval(Duration::from_secs(2));
        config.keepalives_retries(3);
        // Of several servers the one that can be written.
        if config.get_hosts().len() > 1 {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        let encrypted = match (settings.tls, config.get_ssl_mode()) {
            (Tls::Off, _) | (Tls::Auto, SslMode::Disable) => false,
            (Tls::On, _) | (Tls::Auto, SslMode::Require) => true,
            (Tls::Auto, _) => !config.get_hosts().iter().all(is_here),
        };
        let tls = match encrypted {
            true => {
                let file = settings.ca_file.as_deref().map(&path);
                Some(tls::trust(file.as_deref()).map_err(|error| ("ca_file", error))?)
            }
            false => None,
        };
        config.ssl_mode(match encrypted {
            true => SslMode::Require,
            false => SslMode::Disable,
        });
        Ok(Self {
            password_file: settings.password_file.as_deref().map(path),
            connect_timeout: settings.connect_timeout.0,
            shown: shown(&config),
            config,
            tls,
        })
    }

    /// What to connect with. The password is read each time, so that a new one counts from
    /// the next connection on.
    ///
    /// # Errors
    /// The file of the password cannot be read.
    pub(crate) fn config(&self) -> Result<Config, Fault> {
        let mut config = self.config.clone();
        if let Some(password) = self.password()? {
            config.password(password);
        }
        Ok(config)
    }

    /// The password: from its file, or the environment.
    pub(crate) fn password(&self) -> Result<Option<String>, Fault> {
        let Some(file) = &self.password_file else {
            return Ok(std::env::var(PASSWORD).ok());
        };
        let read = std::fs::read_to_string(file).map_err(|error| {
            Fault::Unavailable(format!("store.password_file {}: {error}", file.display()))
        })?;
        let password = read.strip_suffix('\n').unwrap_or(&read);
        Ok(Some(
            password.strip_suffix('\r').unwrap_or(password).to_owned(),
        ))
    }

    /// Whether what is said stays on this machine.
    pub(crate) fn is_here(&self) -> bool {
        self.config.get_hosts().iter().all(is_here)
    }

    /// Whether the server's certificate is verified.
    #[cfg(test)]
    fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }
}

fn from_keys(settings: &Settings) -> Config {
    let mut config = Config::new();
    config
        .host(&settings.host)
        .port(settings.port)
        .user(&settings.user)
        .dbname(&settings.database);
    config
}

/// Reads a URL. What the driver knows no word for means the same to us as `require`: a
/// certificate is always verified.
pub(crate) fn read_url(url: &str) -> Result<Config, String> {
    let mut url = url.to_owned();
    for verified in ["sslmode=verify-full", "sslmode=verify-ca"] {
        url = url.replace(verified, "sslmode=require");
    }
    if !url.starts_with("postgresql://") && !url.starts_with("postgres://") {
        return Err("must begin with \"postgresql://\"".to_owned());
    }
    // The driver's own words may repeat the URL, and with it a password.
    let config = Config::from_str(&url)
        .map_err(|_| "is no URL of a PostgreSQL database: postgresql://USER@HOST:PORT/DATABASE")?;
    if config.get_password().is_some() {
        return Err(format!(
            "holds a password, which whoever reads these settings would read too: write it into \
             a file of its own and name that with password_file, or set {PASSWORD}"
        ));
    }
    if config.get_hosts().is_empty() {
        return Err("names no host: postgresql://USER@HOST:PORT/DATABASE".to_owned());
    }
    Ok(config)
}

/// Whether what is said to a host stays on this machine.
fn is_here(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || IpAddr::from_str(name).is_ok_and(|address| address.is_loopback())
        }
    }
}

fn shown(config: &Config) -> String {
    let ports = config.get_ports();
    let hosts = config.get_hosts().iter().enumerate().map(|(at, host)| {
        let port = ports.get(at).or(ports.first()).copied().unwrap_or(5432);
        match host {
            Host::Tcp(name) if name.contains(':') => format!("[{name}]:{port}"),
            Host::Tcp(name) => format!("{name}:{port}"),
            Host::Unix(folder) => format!("{}/.s.PGSQL.{port}", folder.display()),
        }
    });
    format!(
        "{}@{}/{}",
        config.get_user().unwrap_or_default(),
        hosts.collect::<Vec<_>>().join(","),
        config.get_dbname().unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(settings: Settings) -> Place {
        Place::of(&settings, Path::to_owned)
            .map_err(|(key, error)| format!("{key}: {error}"))
            .unwrap()
    }

    #[test]
    fn what_leaves_the_machine_is_encrypted_unless_told_otherwise() {
        let url = |url: &str| Settings {
            url: Some(url.into()),
            ..Settings::default()
        };
        for (settings, encrypted) in [
            (Settings::default(), false),
            (url("postgresql://u@127.0.0.1/d"), false),
            (url("postgresql://u@localhost/d"), false),
            (
                url("postgresql://u@db.example.org/d?sslmode=disable"),
                false,
            ),
            (url("postgresql://u@db.example.org/d"), true),
            (url("postgresql://u@db.example.org/d?sslmode=prefer"), true),
            (
                url("postgresql://u@db.example.org/d?sslmode=verify-full"),
                true,
            ),
            (url("postgresql://u@127.0.0.1/d?sslmode=require"), true),
            (url("postgresql://u@127.0.0.1,10.0.0.1/d"), true),
        ] {
            let place = place(settings);
            assert_eq!(place.is_encrypted(), encrypted, "{}", place.shown);
        }
    }

    #[test]
    fn a_password_in_a_url_is_refused_and_not_repeated() {
        for url in [
            "postgresql://u:secret@h/d",
            "postgresql://u@h/d?password=secret",
            "postgresql://u:secret@h:port/d",
            "u:secret@h",
        ] {
            let error = read_url(url).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_place_is_shown_with_all_its_hosts() {
        let settings = Settings {
            url: Some("postgresql://u@a:1,b:2/d".into()),
            ..Settings::default()
        };
        assert_eq!(place(settings).shown, "u@a:1,b:2/d");
        assert_eq!(
            place(Settings::default()).shown,
            "wpkd@/var/run/postgresql/.s.PGSQL.5432/wpkd"
        );
    }
}
