//! What is common to all requests: TLS, the proxy, which redirects are followed,
//! and how a failure is told. `provider`, `list` and `download` enter here.

use std::fmt;

use reqwest::redirect::{Action, Attempt, Policy};
use reqwest::{Client, Url};
use wpk_api::{BuildError, Context};

use crate::causes::causes;
use crate::hosts::AllowedHost;
use crate::proxy::Proxies;
use crate::settings::Settings;
use crate::tls;

/// How many redirects are followed, one after the other.
const MAX_REDIRECTS: usize = 5;

/// The client for everything this provider asks.
///
/// # Errors
/// [`BuildError::Failed`] if `ca_file` or the proxy cannot be used.
pub(crate) fn build(
    settings: &Settings,
    proxies: &Proxies,
    context: &Context,
) -> Result<Client, BuildError> {
    let ca_file = settings.ca_file.as_ref().map(|path| context.path(path));
    let tls = tls::client(ca_file.as_deref())?;
    let hosts = settings.allowed_hosts();
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("wpkd/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(settings.connect_timeout.0)
        .referer(false)
        .redirect(Policy::custom(move |attempt| {
            judge(attempt, hosts.as_deref())
        }))
        // The environment is read by `proxy`, which can say what it found.
        .no_proxy();
    for proxy in proxies.made()? {
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(|error| {
        BuildError::Failed(format!(
            "the HTTP client cannot be made: {}",
            causes(&error.without_url())
        ))
    })
}

/// Why a redirect is not followed.
#[derive(Debug, thiserror::Error)]
enum RedirectError {
    #[error("more than {MAX_REDIRECTS} redirects")]
    TooMany,
    #[error("the redirect to {0} leads from https to http")]
    Downgrade(String),
    #[error("the redirect to {0} leads to a scheme other than http and https")]
    Scheme(String),
    #[error("the redirect to {0} leads to a host that is not in allow_hosts")]
    Host(String),
}

fn judge(attempt: Attempt<'_>, hosts: Option<&[AllowedHost]>) -> Action {
    match refuse(attempt.url(), attempt.previous(), hosts) {
        None => attempt.follow(),
        Some(error) => attempt.error(error),
    }
}

fn refuse(next: &Url, previous: &[Url], hosts: Option<&[AllowedHost]>) -> Option<RedirectError> {
    // Foreign text: a user name in it is not for the log.
    let shown = || {
        let host = next.host_str().unwrap_or_default();
        format!("{}://{host}{}", next.scheme(), next.path())
    };
    if previous.len() > MAX_REDIRECTS {
        return Some(RedirectError::TooMany);
    }
    if !matches!(next.scheme(), "http" | "https") {
        return Some(RedirectError::Scheme(shown()));
    }
    if next.scheme() == "http" && previous.iter().any(|url| url.scheme() == "https") {
        return Some(RedirectError::Downgrade(shown()));
    }
    let origin = previous.first();
    let same_host = origin.is_some_and(|origin| {
        origin.host_str() == next.host_str()
            && origin.port_or_known_default() == next.port_or_known_default()
    });
    let allowed = hosts.is_none_or(|hosts| hosts.iter().any(|host| host.covers(next)));
    (!same_host && !allowed).then(|| RedirectError::Host(shown()))
}

/// A request that got no answer; the URL is told by the caller. Shown in one
/// line, with a hint where the cause alone does not help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    cause: String,
    help: Help,
}

/// Where to look for help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Help {
    Authority,
    Nameless,
    Certificate,
    Name,
    Redirect,
    Network,
    Server,
}

impl Failure {
    /// What was wrong, without the hint.
    pub(crate) fn cause(&self) -> &str {
        &self.cause
    }

    /// What to do.
    pub(crate) fn advice(&self) -> &'static str {
        match self.help {
            Help::Authority => {
                "the server's CA is not trusted here: name its certificate in ca_file"
            }
            Help::Nameless => tls::MAKE_GOOD,
            Help::Certificate => {
                "the server's certificate must be renewed, or url names another host than it"
            }
            Help::Name => {
                "the host's name cannot be resolved: check url and the machine's name servers"
            }
            Help::Redirect => {
                "name the place itself in url, or the host it leads to in allow_hosts"
            }
            Help::Network => "check url, the firewall and proxy",
            Help::Server => "look into the server's log",
        }
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        let network = error.is_connect() || error.is_timeout();
        let redirect = error.is_redirect();
        let cause = causes(&error.without_url());
        let help = if cause.contains("UnknownIssuer") {
            Help::Authority
        } else if cause.contains(tls::NO_NAMES) {
            Help::Nameless
        } else if cause.contains("certificate") {
            Help::Certificate
        } else if cause.contains("dns") || cause.contains("lookup") {
            Help::Name
        } else if redirect {
            Help::Redirect
        } else if network {
            Help::Network
        } else {
            Help::Server
        };
        Self { cause, help }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)?;
        match self.help {
            Help::Authority | Help::Nameless => write!(f, " ({})", self.advice()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_judged() {
        let url = |text: &str| Url::parse(text).unwrap();
        let from = |text: &str| vec![url(text)];
        let hosts = [AllowedHost::parse("cdn.example:443").unwrap()];
        let refused = |to: &str, previous: &[Url], hosts: Option<&[AllowedHost]>| {
            refuse(&url(to), previous, hosts).map(|error| error.to_string())
        };
        assert_eq!(refused("https://b/x", &from("http://a/"), None), None);
        let text = refused("http://a/x", &from("https://a/"), None).unwrap();
        assert!(text.contains("from https to http"), "{text}");
        // Not by a detour either.
        let detour = [url("https://a/"), url("https://b/")];
        assert!(refused("http://c/", &detour, None).is_some());
        assert!(refused("ftp://a/x", &from("http://a/"), None).is_some());
        let text = refused("http://u:secret@b/x", &from("http://a/"), Some(&hosts)).unwrap();
        assert!(
            text.contains("allow_hosts") && !text.contains("secret"),
            "{text}"
        );
        assert_eq!(
            refused("https://cdn.example/x", &from("http://a/"), Some(&hosts)),
            None
        );
        assert_eq!(
            refused("http://a:80/x", &from("http://a/"), Some(&hosts)),
            None
        );
        assert!(refused("http://a:81/x", &from("http://a/"), Some(&hosts)).is_some());
        assert!(refused("http://a/x", &vec![url("http://a/"); 6], None).is_some());
        assert!(refused("http://a/x", &vec![url("http://a/"); 5], None).is_none());
    }
}
