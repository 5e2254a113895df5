//! The section `[[provider]] type = "repository"`: what it may say, and every
//! mistake in it.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use schemars::JsonSchema;
use serde::Deserialize;
use wpk_api::repository::Base;
use wpk_api::settings::{ByteSize, Problem, Problems, Span};

use crate::hosts::{self, AllowedHost};
use crate::proxy;

/// The settings of a repository.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The repository used when a request names none; absent: the one the
    /// manager around us names, else the public one of the target's version. Without a
    /// scheme it gets `https://`, or `http://` where the request says `use_http`.
    /// `USER:PASSWORD@` before the host is sent to it alone, as HTTP basic
    /// authentication, and shown nowhere.
    pub url: Option<String>,
    /// The user at the configured repository; with `password_file`. Absent: nobody logs in.
    pub user: Option<String>,
    /// The file with the password of `user`, such as a credential of systemd. Not
    /// every user of the machine may read it. It is read for each request, so that a
    /// new password needs no restart. Absent: no password.
    pub password_file: Option<PathBuf>,
    /// How often a download is tried, 1 to 100. The list of versions is asked for as
    /// often, but only where the server cannot answer just now (HTTP 5xx, 429) or
    /// breaks off, so that a wrong address is reported at once.
    #[schemars(extend("unit" = "attempts"))]
    pub attempts: u32,
    /// The time for one answer with the list of versions as a whole, and the longest
    /// a download may stand still, 1ms to 36500d.
    pub timeout: Span,
    /// The longest it may take to reach the server, name look-up and TLS included, 1ms to
    /// 36500d.
    pub connect_timeout: Span,
    /// The longest a whole download may take, all attempts and pauses together, 1ms to
    /// 36500d.
    pub max_time: Span,
    /// The pause after the first failed attempt, 0s to 36500d; after the second it is
    /// twice as long, after the third three times.
    pub retry_pause: Span,
    /// The largest file downloaded, 1B to 4294967296GiB.
    pub max_size: ByteSize,
    /// A file with certificates (PEM) trusted beside the system's CAs: of CAs, or of
    /// a server that signed its own. Absent: those of the system alone.
    pub ca_file: Option<PathBuf>,
    /// A proxy, `http://HOST:PORT` or `http://USER:PASSWORD@HOST:PORT`, for
    /// everything. Absent: those of the environment, `HTTPS_PROXY`, `HTTP_PROXY` and
    /// `NO_PROXY`.
    pub proxy: Option<String>,
    /// When present, repositories named by requests, and redirects away from a
    /// host, are limited to these hosts (`HOST` or `HOST:PORT`). The configured
    /// and the public repository need no entry. Absent: any host.
    pub allow_hosts: Option<Vec<String>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: None,
            user: None,
            password_file: None,
            attempts: 5,
            timeout: Span(Duration::from_secs(60)),
            connect_timeout: Span(Duration::from_secs(10)),
            max_time: Span(Duration::from_secs(2 * 3_600)),
            retry_pause: Span(Duration::from_secs(1)),
            max_size: ByteSize(2 << 30),
            ca_file: None,
            proxy: None,
            allow_hosts: None,
        }
    }
}

impl Settings {
    /// What types cannot tell.
    pub(crate) fn mistakes(&self) -> Vec<Problem> {
        let mut problems = Problems::new();
        let base = self.url.as_deref().map(|url| Base::complete(url, false));
        let named = matches!(&base, Some(Ok(base)) if base.login().is_some());
        if let Some(Err(error)) = base.map(|base| base.and_then(|base| hosts::url(&base))) {
            problems.add("url", error.to_string());
        }
        self.login_mistakes(named, &mut problems);
        problems.in_range("attempts", self.attempts, 1..=100);
        problems.not_zero("timeout", self.timeout, "60s");
        problems.not_zero("connect_timeout", self.connect_timeout, "10s");
        problems.not_zero("max_time", self.max_time, "2h");
        if self.max_size.0 == 0 {
            problems.add("max_size", "must be more than 0");
        }
        if let Some(path) = &self.ca_file {
            problems.not_empty("ca_file", path, "name a file, or leave it out");
        }
        if (self.proxy.as_deref()).is_some_and(|proxy| proxy::parse(proxy).is_none()) {
            // The text may hold a password and is not repeated.
            problems.add(
                "proxy",
                "must be a proxy's address such as \"http://proxy.example:3128\"",
            );
        }
        for (index, host) in self.allow_hosts.iter().flatten().enumerate() {
            if AllowedHost::parse(host).is_none() {
                problems.add(
                    format!("allow_hosts.{index}"),
                    format!("{host:?} is no host: write HOST or HOST:PORT"),
                );
            }
        }
        problems.found()
    }

    /// `named`: there is a user in `url`.
    fn login_mistakes(&self, named: bool, problems: &mut Problems) {
        match (&self.user, &self.password_file) {
            (None, None) => {}
            (Some(_), _) if named => problems.add("user", "there is one in url already"),
            (Some(user), _) if user.is_empty() || user.contains(':') => {
                problems.add("user", "must be a name without a colon");
            }
            (Some(_), None) => {
                problems.add(
                    "password_file",
                    "is missing: name the file with the password",
                );
            }
            (None, Some(_)) => problems.add("user", "is missing: password_file holds its password"),
            (Some(_), Some(path)) => {
                problems.not_empty("password_file", path, "name the file with the password");
            }
        }
    }

    /// The proxy's address, if there is one.
    pub(crate) fn proxy(&self) -> Option<Url> {
        self.proxy.as_deref().and_then(proxy::parse)
    }

    /// The hosts requests are limited to; `None`: they are not.
    pub(crate) fn allowed_hosts(&self) -> Option<Vec<AllowedHost>> {
        let hosts = self.allow_hosts.as_ref()?;
        Some(
            hosts
                .iter()
                .filter_map(|host| AllowedHost::parse(host))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wpk_api::section::Section;

    use super::*;

    #[test]
    fn the_empty_section_is_good() {
        let settings = Settings::read(&json!({})).unwrap_or_else(|e| panic!("{e:?}"));
        assert_eq!(settings.attempts, 5);
        assert_eq!(settings.timeout, Span(Duration::from_secs(60)));
        assert!(settings.allowed_hosts().is_none());
    }

    #[test]
    fn every_mistake_is_found() {
        let keys = |section| {
            let problems = Settings::read(&section).err().unwrap_or_default();
            problems.into_iter().map(|p| p.key).collect::<Vec<_>>()
        };
        assert_eq!(
            keys(json!({
                "url": "ftp://x/", "attempts": 0, "timeout": "0s", "max_size": 0, "ca_file": "",
                "proxy": "socks5://user:secret@x", "allow_hosts": ["good.example:443", "a/b"],
            })),
            [
                "url",
                "attempts",
                "timeout",
                "max_size",
                "ca_file",
                "proxy",
                "allow_hosts.1"
            ]
        );
        for (section, key) in [
            (json!({"user": "u"}), "password_file"),
            (json!({"password_file": "p"}), "user"),
            (json!({"user": "u:v", "password_file": "p"}), "user"),
            (json!({"user": "u", "password_file": ""}), "password_file"),
            (
                json!({"url": "a@r.local", "user": "u", "password_file": "p"}),
                "user",
            ),
        ] {
            assert_eq!(keys(section.clone()), [key], "{section}");
        }
        assert_eq!(
            keys(json!({"attemps": 3, "timeout": 5})),
            ["attemps", "timeout"]
        );
    }

    #[test]
    fn a_password_is_not_repeated() {
        for section in [
            json!({"proxy": "ftp://user:secret@x"}),
            json!({"url": "ftp://user:secret@x"}),
            json!({"url": "https://user:secret@1.2.3.999/"}),
            json!({"url": "https://user:sec/secret@x/"}),
            json!({"url": "https://x/?key=secret"}),
        ] {
            let problems = Settings::read(&section).err().unwrap();
            assert!(!format!("{problems:?}").contains("secret"), "{problems:?}");
        }
    }
}
