//! Which repository: the base of every URL (protocol.md, section 4).
//!
//! Pure; `provider` enters here. The request's `wpk_repo` is foreign text: it
//! may name any host (unless `allow_hosts` says otherwise), but it cannot choose
//! another scheme, carry a password, or bend the path with a query.

use reqwest::Url;
use wpk_api::Version;

/// Longest base accepted, in bytes; longer ones are of no server.
pub const MAX_BASE: usize = 2_048;

/// Why a text is no base of a repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no repository: {reason}")]
pub struct BaseError {
    /// The text, shortened.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// The repository's address, complete: `http://` or `https://`, a host, a path
/// that ends with `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base(String);

impl Base {
    /// Completes a base as a user or a request wrote it: one without a scheme
    /// gets `https://`, or `http://` under `use_http`; a missing final `/` is added.
    ///
    /// # Errors
    /// [`BaseError`] for what is no address of an HTTP server: another scheme,
    /// no host, blanks and control characters, a query, a fragment, a user name.
    pub fn complete(text: &str, use_http: bool) -> Result<Self, BaseError> {
        let refuse = |reason| BaseError {
            text: text.chars().take(200).collect(),
            reason,
        };
        if text.is_empty() {
            return Err(refuse("it is empty"));
        }
        if text.len() > MAX_BASE {
            return Err(refuse("it is longer than 2048 bytes"));
        }
        let (scheme, rest) = match split_scheme(text) {
            Some(parts) => parts,
            None if use_http => ("http", text),
            None => ("https", text),
        };
        if rest.contains("://") {
            return Err(refuse("only http:// and https:// are supported"));
        }
        if rest.contains(|c: char| c.is_whitespace() || c.is_control() || "?#\\".contains(c)) {
            return Err(refuse(
                "it holds a blank, a query, a fragment or a backslash",
            ));
        }
        if rest.starts_with('/') || rest.starts_with(':') {
            return Err(refuse("it names no host"));
        }
        let slash = if rest.ends_with('/') { "" } else { "/" };
        let complete = format!("{scheme}://{rest}{slash}");
        let url = Url::parse(&complete).map_err(|_| refuse("it is no URL"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("user names and passwords in it are not supported"));
        }
        Ok(Self(complete))
    }

    /// The public repository of a version: `packages.wazuh.com/wpk/` below
    /// v4.0.0, `packages.wazuh.com/MAJOR.x/wpk/` from there on.
    pub fn public(version: Version, use_http: bool) -> Self {
        let scheme = if use_http { "http" } else { "https" };
        Self(if version < Version::new(4, 0, 0) {
            format!("{scheme}://packages.wazuh.com/wpk/")
        } else {
            format!("{scheme}://packages.wazuh.com/{}.x/wpk/", version.major)
        })
    }

    /// The base that counts: the request's, else the configured one, else the
    /// public one of `version`.
    ///
    /// # Errors
    /// [`BaseError`] of the text that was chosen.
    pub fn choose(
        requested: Option<&str>,
        configured: Option<&str>,
        version: Version,
        use_http: bool,
    ) -> Result<Self, BaseError> {
        match requested.or(configured) {
            Some(text) => Self::complete(text, use_http),
            None => Ok(Self::public(version, use_http)),
        }
    }

    /// The URL of a file: `path` is relative and has been made by [`layout`](crate::layout).
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// The whole base, ending with `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The scheme in lower case and what follows it, if it is one of the two.
fn split_scheme(text: &str) -> Option<(&'static str, &str)> {
    ["https", "http"].into_iter().find_map(|scheme| {
        let (start, rest) = text.split_once("://")?;
        start.eq_ignore_ascii_case(scheme).then_some((scheme, rest))
    })
}

/// One entry of `allow_hosts`: a host, with or without a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedHost {
    host: String,
    port: Option<u16>,
}

impl AllowedHost {
    /// Reads `host`, `host:port`, `10.0.0.1:8080` or `[::1]:8080`; `None` for
    /// anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port.parse().ok()?)),
            _ => (text, None),
        };
        // The URL parser decides what a host is, and writes it as it will in URLs.
        let url = Url::parse(&format!("http://{host}/")).ok()?;
        let only_host = url.path() == "/"
            && url.port().is_none()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
            && !host.contains(['/', '\\', '@']);
        only_host.then_some(Self {
            host: url.host_str()?.to_owned(),
            port,
        })
    }

    /// Whether the URL leads to this host; without a port, to any of its ports.
    pub fn covers(&self, url: &Url) -> bool {
        url.host_str() == Some(self.host.as_str())
            && self
                .port
                .is_none_or(|port| url.port_or_known_default() == Some(port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_bases_are_refused() {
        for bad in [
            "",
            "/",
            "://",
            "http://",
            "https:///x",
            "ftp://r.local/",
            "file:///etc/",
            "r local",
            "r.local?x=http://y",
            "r.local/#",
            "r.local/?",
            "user@r.local",
            "http://u:p@r.local/",
            "r.local\n",
            "r.local\\x",
            "http://http://r.local/",
            "r.local:99999/",
            "[::1/",
        ] {
            assert!(Base::complete(bad, false).is_err(), "{bad:?}");
        }
        assert!(Base::complete(&"a".repeat(MAX_BASE + 1), false).is_err());
    }

    #[test]
    fn schemes_are_read_in_either_case() {
        let base = Base::complete("HTTP://r.local/x", false).unwrap();
        assert_eq!(base.as_str(), "http://r.local/x/");
    }

    #[test]
    fn allowed_hosts_cover_their_urls_only() {
        let url = |text: &str| Url::parse(text).unwrap();
        let host = AllowedHost::parse("Mirror.local").unwrap();
        assert!(host.covers(&url("http://mirror.local:8080/x")));
        assert!(!host.covers(&url("http://mirror.local.evil/x")));
        let host = AllowedHost::parse("mirror.local:443").unwrap();
        assert!(host.covers(&url("https://mirror.local/x")));
        assert!(!host.covers(&url("http://mirror.local/x")));
        let host = AllowedHost::parse("[::1]:80").unwrap();
        assert!(host.covers(&url("http://[::1]/")));
        assert!(
            AllowedHost::parse("[::1]")
                .unwrap()
                .covers(&url("http://[::1]:8080/"))
        );
        for bad in [
            "", "a/b", "http://a", "a:b", "u@a", "a?b", "a:70000", "a b", "a#",
        ] {
            assert_eq!(AllowedHost::parse(bad), None, "{bad:?}");
        }
    }
}
