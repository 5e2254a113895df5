//! Which proxies the client goes through: that of the settings, else those that
//! the environment names (`HTTPS_PROXY`, `HTTP_PROXY`, and `NO_PROXY` for hosts that
//! are asked directly), in capital or small letters. `provider` and `examine` enter
//! here. An address may hold a password and is shown without.

use reqwest::{NoProxy, Proxy, Url};
use wpk_api::BuildError;
use wpk_api::repository::shown;

use crate::causes::causes;

/// Where proxies are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    Everything,
    Https,
    Http,
}

/// The proxies in force. `Debug` is left out: their addresses may hold passwords.
#[derive(Default)]
pub(crate) struct Proxies {
    proxies: Vec<(For, Url)>,
    /// `NO_PROXY`.
    direct: Option<String>,
    /// What the environment says and cannot be used.
    unusable: Vec<String>,
}

impl Proxies {
    /// That of the settings, else those of this process's environment.
    pub(crate) fn of(settings: Option<Url>) -> Self {
        Self::choose(settings, |name| std::env::var(name).ok())
    }

    fn choose(settings: Option<Url>, variable: impl Fn(&str) -> Option<String>) -> Self {
        if let Some(proxy) = settings {
            return Self {
                proxies: vec![(For::Everything, proxy)],
                ..Self::default()
            };
        }
        let value = |name: &str| {
            let small = name.to_ascii_lowercase();
            let found = variable(name).or_else(|| variable(&small));
            found.filter(|value| !value.trim().is_empty())
        };
        let mut found = Self {
            direct: value("NO_PROXY"),
            ..Self::default()
        };
        for (name, scheme) in [("HTTPS_PROXY", For::Https), ("HTTP_PROXY", For::Http)] {
            let Some(text) = value(name) else { continue };
            match address(text.trim()) {
                Some(proxy) => found.proxies.push((scheme, proxy)),
                None => found.unusable.push(format!(
                    "{name} of the environment is {:?}, which is passed over: write a proxy's \
                     address such as http://proxy.example:3128",
                    shown(&text)
                )),
            }
        }
        found
    }

    /// The same for the client.
    ///
    /// # Errors
    /// [`BuildError::Failed`] if the client does not take one.
    pub(crate) fn made(&self) -> Result<Vec<Proxy>, BuildError> {
        let direct = self.direct.as_deref().and_then(NoProxy::from_string);
        let made = self.proxies.iter().map(|(scheme, address)| {
            let address = address.clone();
            let proxy = match scheme {
                For::Everything => Proxy::all(address),
                For::Https => Proxy::https(address),
                For::Http => Proxy::http(address),
            };
            proxy.map(|proxy| proxy.no_proxy(direct.clone()))
        });
        made.collect::<Result<_, _>>().map_err(|error| {
            let causes = causes(&error.without_url());
            BuildError::Failed(format!("the proxy cannot be used: {causes}"))
        })
    }

    /// What the environment says and cannot be used, in words.
    pub(crate) fn unusable(&self) -> &[String] {
        &self.unusable
    }

    /// What is in force, in words; `None`: everything is asked directly.
    pub(crate) fn told(&self) -> Option<String> {
        let told = self.proxies.iter().map(|(scheme, address)| {
            let address = shown(address.as_str());
            match scheme {
                For::Everything => format!("everything goes through {address}"),
                For::Https => format!("https goes through {address} (HTTPS_PROXY)"),
                For::Http => format!("http goes through {address} (HTTP_PROXY)"),
            }
        });
        let told = told.collect::<Vec<_>>().join(", ");
        match &self.direct {
            _ if told.is_empty() => None,
            None => Some(told),
            Some(direct) => Some(format!("{told}, but for {direct} (NO_PROXY)")),
        }
    }
}

/// A proxy's address of the environment, where many leave the scheme out.
fn address(text: &str) -> Option<Url> {
    match text.contains("://") {
        true => parse(text),
        false => parse(&format!("http://{text}")),
    }
}

/// A proxy's address as the settings want it: `http://HOST:PORT`.
pub(crate) fn parse(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    (url.scheme() == "http" && url.has_host() && bare).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(proxy: Option<&str>, environment: &[(&str, &str)]) -> Proxies {
        let proxies = Proxies::choose(proxy.and_then(parse), |name| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        });
        assert_eq!(
            proxies.made().map(|made| made.len()),
            Ok(proxies.proxies.len())
        );
        proxies
    }

    #[test]
    fn the_settings_win_over_the_environment() {
        let environment = [
            ("HTTPS_PROXY", "http://user:secret@one.example:3128"),
            ("http_proxy", "two.example:8080"),
            ("no_proxy", "localhost,.corp"),
        ];
        let own = proxies(Some("http://u:secret@own.example:1"), &environment);
        let text = own.told().unwrap();
        assert_eq!(text, "everything goes through http://***@own.example:1/");
        assert_eq!(
            proxies(None, &environment).told().unwrap(),
            "https goes through http://***@one.example:3128/ (HTTPS_PROXY), http goes through \
             http://two.example:8080/ (HTTP_PROXY), but for localhost,.corp (NO_PROXY)"
        );
        let none = proxies(None, &[("NO_PROXY", "x"), ("HTTPS_PROXY", " ")]);
        assert_eq!(none.told(), None);
        assert_eq!(none.unusable(), [""; 0]);
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_told() {
        let bad = proxies(None, &[("https_proxy", "socks5://user:secret@x")]);
        let [told] = bad.unusable() else {
            panic!("{:?}", bad.unusable());
        };
        assert!(
            told.contains("HTTPS_PROXY") && !told.contains("secret"),
            "{told}"
        );
    }
}
