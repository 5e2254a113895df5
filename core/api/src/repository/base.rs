//! Which repository: the base of every path (PROTOCOL.md, section 4).
//!
//! A request's `wpk_repo` is foreign text: it may name any host, but it cannot
//! choose another scheme, or bend the path with a query. A user and a password in
//! it are taken out before anybody sees it. Whether the host exists is for whoever
//! connects to it.

use std::net::Ipv6Addr;

use super::login::{Login, shown};
use crate::Version;

/// Longest base accepted, in bytes; longer ones are of no server.
pub const MAX_BASE: usize = 2_048;

/// Stands for the version of a manager that does not tell its own, where that
/// version chooses the public repository.
pub const UNKNOWN_MANAGER: Version = Version::new(4, 14, 0);

/// Where the public repository splits by major version.
const BY_MAJOR: Version = Version::new(4, 0, 0);

/// Why a text is no base of a repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no repository: {reason}")]
pub struct BaseError {
    /// The text, shortened, and without what may be secret in it.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl BaseError {
    /// An error about `text`, which is shortened and shown without a password.
    pub fn new(text: &str, reason: &'static str) -> Self {
        let text = shown(text).chars().take(200).collect();
        Self { text, reason }
    }
}

/// The repository's address, complete: `http://` or `https://`, a host, a path
/// that ends with `/`. Its text holds no secret; user and password lie beside it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Base {
    url: String,
    login: Option<Login>,
}

impl Base {
    /// Completes a base as a user or a request wrote it: one without a scheme
    /// gets `https://`, or `http://` under `use_http`; a missing final `/` is added.
    /// `USER:PASSWORD@` before the host becomes its [`login`](Self::login).
    ///
    /// # Errors
    /// [`BaseError`] for what is no address of an HTTP server: another scheme,
    /// no host, blanks and control characters, a query, a fragment.
    pub fn complete(text: &str, use_http: bool) -> Result<Self, BaseError> {
        let refuse = |reason| Err(BaseError::new(text, reason));
        if text.is_empty() {
            return refuse("it is empty");
        }
        if text.len() > MAX_BASE {
            return refuse("it is longer than 2048 bytes");
        }
        let (scheme, rest) = split_scheme(text).unwrap_or((scheme(use_http), text));
        if rest.contains("://") {
            return refuse("only http:// and https:// are supported");
        }
        if rest.contains(|c: char| c.is_whitespace() || c.is_control() || "?#\\".contains(c)) {
            return refuse("it holds a blank, a query, a fragment or a backslash");
        }
        let authority = rest.split('/').next().unwrap_or_default();
        let (login, rest) = match authority.rfind('@') {
            Some(at) => match Login::of_url(&rest[..at]) {
                Ok(login) => (Some(login), &rest[at + 1..]),
                Err(reason) => return refuse(reason),
            },
            None => (None, rest),
        };
        if !names_host(rest.split('/').next().unwrap_or_default()) {
            return refuse("it names no host");
        }
        // One slash at its end, however many were written: servers take `//` for another path.
        let url = format!("{scheme}://{}/", rest.trim_end_matches('/'));
        Ok(Self { url, login })
    }

    /// The public repository of a version: `packages.wazuh.com/wpk/` below
    /// v4.0.0, `packages.wazuh.com/MAJOR.x/wpk/` from there on.
    pub fn public(version: Version, use_http: bool) -> Self {
        let scheme = scheme(use_http);
        let url = if version < BY_MAJOR {
            format!("{scheme}://packages.wazuh.com/wpk/")
        } else {
            format!("{scheme}://packages.wazuh.com/{}.x/wpk/", version.major)
        };
        Self { url, login: None }
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

    /// The URL of a file: `path` is one that a [`Place`](super::Place) answered.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// The whole base, ending with `/`; without user and password.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// The user and password that were written into it, for its own host only.
    pub fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }
}

fn scheme(use_http: bool) -> &'static str {
    if use_http { "http" } else { "https" }
}

/// The scheme in lower case and what follows it, if it is one of the two.
fn split_scheme(text: &str) -> Option<(&'static str, &str)> {
    let (start, rest) = text.split_once("://")?;
    ["https", "http"]
        .into_iter()
        .find(|scheme| start.eq_ignore_ascii_case(scheme))
        .map(|scheme| (scheme, rest))
}

/// Whether an authority is `HOST`, `HOST:PORT` or the same with `[IPV6]`. Letters
/// beyond ASCII are left to whoever resolves the name.
fn names_host(authority: &str) -> bool {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let Some((address, port)) = rest.split_once(']') else {
                return false;
            };
            return address.parse::<Ipv6Addr>().is_ok()
                && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
        }
        None => authority.split_once(':').unwrap_or((authority, "")),
    };
    let of_hosts = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c) || !c.is_ascii();
    !host.is_empty() && host.chars().all(of_hosts) && is_port(port)
}

/// A port, or nothing: `HOST:` means the scheme's own port.
fn is_port(text: &str) -> bool {
    text.is_empty()
        || (text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reason(text: &str) -> &'static str {
        match Base::complete(text, false) {
            Err(error) => error.reason,
            Ok(base) => panic!("{text:?} became {base:?}"),
        }
    }

    #[test]
    fn what_is_missing_is_added() {
        for (text, https, http) in [
            ("r.local", "https://r.local/", "http://r.local/"),
            ("r.local/", "https://r.local/", "http://r.local/"),
            ("r.local/a/b", "https://r.local/a/b/", "http://r.local/a/b/"),
            (
                "r.local:8080",
                "https://r.local:8080/",
                "http://r.local:8080/",
            ),
            (
                "r_1-x:65535/",
                "https://r_1-x:65535/",
                "http://r_1-x:65535/",
            ),
            ("r.local:", "https://r.local:/", "http://r.local:/"),
            (
                "10.0.0.1:0/x",
                "https://10.0.0.1:0/x/",
                "http://10.0.0.1:0/x/",
            ),
            ("[::1]", "https://[::1]/", "http://[::1]/"),
            ("[::1]:443/x", "https://[::1]:443/x/", "http://[::1]:443/x/"),
            ("[fe80::1]:/", "https://[fe80::1]:/", "http://[fe80::1]:/"),
            (
                "größe.example",
                "https://größe.example/",
                "http://größe.example/",
            ),
            ("r.local/@x", "https://r.local/@x/", "http://r.local/@x/"),
            ("http://r.local/x", "http://r.local/x/", "http://r.local/x/"),
            (
                "https://r.local/x/",
                "https://r.local/x/",
                "https://r.local/x/",
            ),
            ("HTTP://r.local/x", "http://r.local/x/", "http://r.local/x/"),
            ("Https://R.local", "https://R.local/", "https://R.local/"),
        ] {
            for (use_http, wanted) in [(false, https), (true, http)] {
                let base = Base::complete(text, use_http).unwrap();
                assert_eq!(base.as_str(), wanted);
                assert_eq!(
                    base.join("windows/versions"),
                    format!("{wanted}windows/versions")
                );
            }
        }
    }

    #[test]
    fn hostile_bases_are_refused() {
        let scheme = "only http:// and https:// are supported";
        let blank = "it holds a blank, a query, a fragment or a backslash";
        let user = "it names no user before the @";
        let host = "it names no host";
        for (bad, why) in [
            ("", "it is empty"),
            ("ftp://r.local/", scheme),
            ("file:///etc/", scheme),
            ("://", scheme),
            ("httpx://r.local/", scheme),
            ("http://http://r.local/", scheme),
            ("r.local/x://y", scheme),
            ("r local", blank),
            ("r.local/a b", blank),
            ("r.local\u{a0}", blank),
            ("r.local\n", blank),
            ("r.local/\u{7f}", blank),
            ("r.local?x=http:/y", blank),
            ("r.local/#", blank),
            ("r.local/?", blank),
            ("r.local\\x", blank),
            ("http://@r.local/", user),
            (":p@r.local", user),
            ("http://u:p@/x", host),
            ("u:p@r.local:99999/", host),
            ("/", host),
            ("http://", host),
            ("https:///x", host),
            (":80", host),
            ("r.local:99999/", host),
            ("r.local:65536", host),
            ("r.local:+80", host),
            ("r.local:8o", host),
            ("r.local:80:80", host),
            ("r!.local", host),
            ("r%2e.local", host),
            ("[::1/", host),
            ("[r.local]/", host),
            ("[::1]80", host),
            ("[::1]:x", host),
            ("[::1]:65536", host),
            ("[]", host),
            ("::1", host),
        ] {
            assert_eq!(reason(bad), why, "{bad:?}");
        }
    }

    #[test]
    fn a_login_is_taken_out_of_the_text() {
        let base = Base::complete("https://user:s%40cret@r.local:8443/wpk", false).unwrap();
        assert_eq!(base.as_str(), "https://r.local:8443/wpk/");
        let login = base.login().unwrap();
        assert_eq!((&*login.user, &*login.password), ("user", "s@cret"));
        let told = format!("{base:?}");
        assert!(!told.contains("cret") && !told.contains("user"), "{told}");
        for bad in [
            "https://user:secret@r.local/?x",
            "https://user:sec/ret@r.local/",
            "https://user:%secret@r.local/",
            "ftp://user:secret@r.local",
            "user:secret@",
        ] {
            let error = Base::complete(bad, false).unwrap_err();
            for told in [error.to_string(), format!("{error:?}")] {
                assert!(!told.contains("sec") && !told.contains("ret"), "{told}");
            }
        }
    }

    #[test]
    fn a_base_ends_in_one_slash() {
        for text in [
            "r.local/wpk",
            "r.local/wpk/",
            "r.local/wpk//",
            "r.local/wpk////",
        ] {
            let base = Base::complete(text, false).unwrap();
            assert_eq!(base.as_str(), "https://r.local/wpk/");
        }
        let host = Base::complete("http://r.local//", false).unwrap();
        assert_eq!(host.as_str(), "http://r.local/");
    }

    #[test]
    fn a_base_has_a_longest() {
        let longest = "a".repeat(MAX_BASE);
        assert!(Base::complete(&longest, false).is_ok());
        let longer = format!("{longest}a");
        assert_eq!(reason(&longer), "it is longer than 2048 bytes");
        let error = Base::complete(&longer, false).unwrap_err();
        assert_eq!(error.text, "a".repeat(200));
    }

    #[test]
    fn the_request_comes_before_the_configuration_before_the_public_one() {
        let chosen = |requested, configured, version: &str, use_http| {
            let version = version.parse().unwrap();
            Base::choose(requested, configured, version, use_http).map(|base| base.url)
        };
        let ok = |text: &str| Ok(text.to_owned());
        let (one, two) = (Some("one.local"), Some("two.local"));
        assert_eq!(chosen(one, two, "v4.0.0", false), ok("https://one.local/"));
        assert_eq!(chosen(one, None, "v4.0.0", true), ok("http://one.local/"));
        assert_eq!(chosen(None, two, "v4.0.0", true), ok("http://two.local/"));
        // What was asked for is refused, not passed over.
        assert!(chosen(Some(""), two, "v4.0.0", false).is_err());
        for (version, path) in [
            ("v0.0.0", "wpk/"),
            ("v3.99.99", "wpk/"),
            ("v4.0.0", "4.x/wpk/"),
            ("v4.14.9", "4.x/wpk/"),
            ("v5.0.0", "5.x/wpk/"),
            ("v10.1.0", "10.x/wpk/"),
        ] {
            let public = format!("https://packages.wazuh.com/{path}");
            assert_eq!(chosen(None, None, version, false), Ok(public));
            let public = format!("http://packages.wazuh.com/{path}");
            assert_eq!(chosen(None, None, version, true), Ok(public));
        }
    }

    proptest! {
        #[test]
        fn a_base_is_complete(text in "(https?://)?[a-z.@:\\[\\]]{0,12}(/\\PC{0,12})?", use_http: bool) {
            if let Ok(base) = Base::complete(&text, use_http) {
                let rest = base.as_str().strip_prefix("https://");
                let rest = rest.or(base.as_str().strip_prefix("http://"));
                prop_assert!(rest.is_some_and(|rest| rest.len() > 1 && !rest.starts_with('/')));
                prop_assert!(base.as_str().ends_with('/'));
                // Completing it again changes nothing, and what is in it is no login.
                let again = Base::complete(base.as_str(), !use_http);
                prop_assert_eq!(again, Ok(Base { login: None, ..base }));
            }
        }
    }
}
