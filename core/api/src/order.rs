//! What has to be remembered with a task so that it can still be carried out
//! after a restart: the agent as it was when the request was accepted, and
//! which WPK it is to get. Stores keep an [`Order`] as JSON and never look inside.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::repository::{PackageType, shown};
use crate::{AgentInfo, Platform, Version};

/// How to carry out one task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The agent as its directory described it when the request was accepted.
    pub agent: AgentInfo,
    /// The WPK it is to get.
    pub wanted: Wanted,
    /// The installer inside the WPK; `None`: the platform's default name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installer: Option<String>,
    /// Whether the request set `force_upgrade`: the checks 12 and 13 of
    /// section 2 are left out, also where they are made at delivery because the
    /// target was not known before.
    #[serde(default)]
    pub force: bool,
}

/// An [`Order`] as a store keeps it: its JSON. A request may make tens of thousands: as a
/// text each takes a third of what it takes otherwise, and what is the same for many is
/// held once for all of them ([`KeptWish`]).
#[derive(Clone, PartialEq, Eq)]
pub struct KeptOrder {
    /// The JSON up to the agent's end.
    agent: Box<str>,
    /// The rest of it.
    wish: KeptWish,
}

/// What an order says beside its agent, as [`KeptOrder`] keeps it; many orders share one.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptWish(Arc<str>);

impl KeptWish {
    /// Writes it.
    ///
    /// # Errors
    /// It holds what JSON cannot say: a path that is no UTF-8.
    pub fn of(wanted: &Wanted, installer: Option<&str>, force: bool) -> serde_json::Result<Self> {
        /// The members of an [`Order`] behind the agent.
        #[derive(Serialize)]
        struct Rest<'a> {
            wanted: &'a Wanted,
            #[serde(skip_serializing_if = "Option::is_none")]
            installer: Option<&'a str>,
            force: bool,
        }
        let rest = Rest {
            wanted,
            installer,
            force,
        };
        let mut text = serde_json::to_string(&rest)?;
        // It goes on where the agent ended.
        text.replace_range(..1, ",");
        Ok(Self(text.into()))
    }
}

impl KeptOrder {
    /// Writes it.
    ///
    /// # Errors
    /// As [`KeptWish::of`].
    pub fn of(order: &Order) -> serde_json::Result<Self> {
        let wish = KeptWish::of(&order.wanted, order.installer.as_deref(), order.force)?;
        Self::of_parts(&order.agent, &wish)
    }

    /// Writes the order for this agent.
    ///
    /// # Errors
    /// None that an agent is known for.
    pub fn of_parts(agent: &AgentInfo, wish: &KeptWish) -> serde_json::Result<Self> {
        const HEAD: &[u8] = b"{\"agent\":";
        let mut text = Vec::with_capacity(256);
        text.extend_from_slice(HEAD);
        serde_json::to_writer(&mut text, agent)?;
        let text = String::from_utf8(text).map_err(serde::ser::Error::custom)?;
        Ok(Self {
            agent: text.into(),
            wish: wish.clone(),
        })
    }

    /// The JSON.
    pub fn to_json(&self) -> String {
        [&*self.agent, &*self.wish.0].concat()
    }

    /// Reads it again.
    ///
    /// # Errors
    /// Never for one that [`of`](Self::of) made.
    pub fn read(&self) -> serde_json::Result<Order> {
        serde_json::from_str(&self.to_json())
    }
}

/// As the order does: it may hold a password, and that never shows it.
impl fmt::Debug for KeptOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeptOrder")
            .field(&self.read().map_err(|_| "unreadable"))
            .finish()
    }
}

/// As the order itself.
impl Serialize for KeptOrder {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let order = self.read().map_err(serde::ser::Error::custom)?;
        order.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for KeptOrder {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let order = Order::deserialize(deserializer)?;
        Self::of(&order).map_err(serde::de::Error::custom)
    }
}

/// Which WPK is wanted. Holds nothing about a single agent, so that equal
/// wishes of thousands of agents are equal values and are answered once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// A release from a repository (`upgrade`).
    Release(WantedRelease),
    /// A file on this machine (`upgrade_custom`).
    File(WantedFile),
}

/// A release for a platform (PROTOCOL.md, section 4).
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WantedRelease {
    /// The agent's operating system.
    pub platform: Platform,
    /// Which version.
    pub target: Target,
    /// The request's `wpk_repo`; `None`: the configured repository. It may hold a
    /// password: show it by [`shown`](crate::repository::shown) only, as `Debug` does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Complete a repository base without a scheme to `http://`.
    #[serde(default)]
    pub use_http: bool,
    /// The type of package (rules of section 4 already applied); `None`: not
    /// known, which is an error only where the target's layout needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package_type: Option<PackageType>,
}

impl fmt::Debug for WantedRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WantedRelease")
            .field("platform", &self.platform)
            .field("target", &self.target)
            .field("repository", &self.repository.as_deref().map(shown))
            .field("use_http", &self.use_http)
            .field("package_type", &self.package_type)
            .finish()
    }
}

/// The version asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The first line of the repository's `versions`.
    Latest,
    /// Exactly this one.
    Exactly(Version),
    /// What the request wrote is no version; no repository has it (code 15).
    Invalid(String),
}

/// A WPK file on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WantedFile {
    /// The request's `file_path`; `None` where the dialect let a request pass
    /// without it, which ends as code 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AgentId, ConnectionStatus};

    #[test]
    fn an_order_survives_its_json() {
        let order = Order {
            agent: AgentInfo {
                id: AgentId::new(7).unwrap(),
                name: Some("web".into()),
                platform: Platform {
                    name: Some("ubuntu".into()),
                    ..Platform::default()
                },
                version: Some("Wazuh v4.2.1".into()),
                connection: ConnectionStatus::Active,
                group: None,
                node: None,
            },
            wanted: Wanted::Release(WantedRelease {
                platform: Platform::default(),
                target: Target::Exactly(Version::new(4, 14, 0)),
                repository: None,
                use_http: true,
                package_type: Some(PackageType::Deb),
            }),
            installer: None,
            force: false,
        };
        let json = serde_json::to_string(&order).unwrap();
        assert_eq!(serde_json::from_str::<Order>(&json).unwrap(), order);
        for installer in [None, Some("own.sh")] {
            let order = Order {
                installer: installer.map(str::to_owned),
                ..order.clone()
            };
            let kept = KeptOrder::of(&order).unwrap();
            assert_eq!(kept.to_json(), serde_json::to_string(&order).unwrap());
            assert_eq!(kept.read().unwrap(), order);
        }
    }

    #[test]
    fn a_wish_is_told_without_its_password() {
        let wanted = Wanted::Release(WantedRelease {
            platform: Platform::default(),
            target: Target::Latest,
            repository: Some("https://user:secret@r.local/".into()),
            use_http: false,
            package_type: None,
        });
        let told = format!("{wanted:?}");
        assert!(
            told.contains("r.local") && !told.contains("secret"),
            "{told}"
        );
    }
}
