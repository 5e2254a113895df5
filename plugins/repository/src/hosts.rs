//! What the HTTP client knows of an address and `wpk_api::repository` does not:
//! whether it is a URL, and to which host that leads.

use reqwest::Url;
use wpk_api::repository::{Base, BaseError};

/// A base as the client will take it. Some hosts are refused only here: names
/// that cannot be looked up, numbers that are no address.
///
/// # Errors
/// [`BaseError`] if the client would not take it.
pub(crate) fn url(base: &Base) -> Result<Url, BaseError> {
    Url::parse(base.as_str()).map_err(|_| BaseError::new(base.as_str(), "it is no URL"))
}

/// One entry of `allow_hosts`: a host, with or without a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AllowedHost {
    host: String,
    port: Option<u16>,
}

impl AllowedHost {
    /// Reads `host`, `host:port`, `10.0.0.1:8080` or `[::1]:8080`; `None` for
    /// anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
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
    pub(crate) fn covers(&self, url: &Url) -> bool {
        url.host_str() == Some(self.host.as_str())
            && self
                .port
                .is_none_or(|port| url.port_or_known_default() == Some(port))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_host_that_no_client_can_ask_for_is_refused() {
        for bad in [
            "1.2.3.999",
            "http://256.1.1.1:80/x",
            "x\u{fffd}.local",
            "xn--a.local",
        ] {
            let base = Base::complete(bad, false).unwrap();
            let error = url(&base).unwrap_err();
            assert_eq!(error, BaseError::new(base.as_str(), "it is no URL"));
        }
    }

    proptest! {
        /// The client must not see another host, or more, than the check of the base saw.
        #[test]
        fn a_base_is_the_url_it_looks_like(
            text in "(https?://)?[a-w.@:\\[\\]-]{1,12}(:[0-9+]{0,6})?(/\\PC{0,12})?",
        ) {
            if let Ok(base) = Base::complete(&text, false) {
                let url = url(&base).unwrap();
                let rest = base.as_str().split_once("://").unwrap().1;
                let authority = rest.split('/').next().unwrap();
                prop_assert!(authority.starts_with(url.host_str().unwrap()));
                prop_assert!(url.username().is_empty() && url.password().is_none());
                prop_assert!(url.query().is_none() && url.fragment().is_none());
                prop_assert!(url.path().ends_with('/'));
            }
        }
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
