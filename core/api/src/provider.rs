//! WpkProvider: where WPK files come from.

use std::path::PathBuf;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;
use serde::{Deserialize, Serialize};

use crate::repository::{BaseError, LayoutError, VersionsError};
use crate::{Sha1, Version, Wanted, WantedRelease};

/// A WPK on its way: pieces of any size in order, ended by `None` or an error.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, ProviderError>> + Send>>;

/// Where WPK files come from (PROTOCOL.md, section 4). How a repository is laid
/// out, and an example that reads one, is in [`repository`](crate::repository).
///
/// The engine asks the configured providers in order
/// ([`would_serve`](WpkProvider::would_serve)) and takes the first that serves
/// the wish. Where that one cannot be reached, does not have the release, or delivers
/// another file than it offered, the next is asked; of a request that names its
/// repository only the first is.
#[async_trait]
pub trait WpkProvider: Send + Sync {
    /// Whether this provider is the one to ask. Must not do I/O.
    fn serves(&self, wanted: &Wanted) -> bool;

    /// The same question, asked where it may be waited for: what the engine asks.
    /// For a provider that has to ask somebody else first and must not block the
    /// thread meanwhile, as one behind the plugin border; all others leave it as
    /// it is. It may be asked often and concurrently, and given up at any time.
    async fn would_serve(&self, wanted: &Wanted) -> bool {
        self.serves(wanted)
    }

    /// Why this provider cannot be asked until the daemon starts anew; `None`,
    /// the default: it can. The engine goes on to the next provider that serves
    /// the wish. Must not do I/O.
    fn out_of_service(&self) -> Option<String> {
        None
    }

    /// Finds out which file answers the wish. Called often and concurrently;
    /// downloads nothing big.
    ///
    /// # Errors
    /// [`ProviderError`], whose variants are the codes 9 and 14 to 16 of section 2.
    async fn resolve(&self, wanted: &Wanted) -> Result<Offer, ProviderError>;

    /// Streams the offered file. Only called for [`OfferSource::Download`]; the
    /// engine checks SHA-1 and size while it streams and may drop the stream early.
    ///
    /// # Errors
    /// [`ProviderError`], here or as the stream's last item.
    async fn fetch(&self, offer: &Offer) -> Result<ByteStream, ProviderError>;

    /// Which versions there are for any of these wishes, whatever their `target`. A proposal
    /// for whoever types a version, nothing that is upgraded by: somebody waits, and the
    /// engine does so for 5 s. What cannot be looked at within 4 s is better left out,
    /// and told ([`Listed::incomplete`]). `None`, the default: this provider cannot be asked
    /// for a list, or has no versions, only files.
    ///
    /// # Errors
    /// [`ProviderError`] where nothing could be found out at all.
    async fn versions(&self, wishes: &[WantedRelease]) -> Result<Option<Listed>, ProviderError> {
        let _ = wishes;
        Ok(None)
    }
}

/// Which versions a provider has ([`WpkProvider::versions`]). As JSON a list of versions
/// where nothing is missing, else an object of both members.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "ListedText", into = "ListedText")]
pub struct Listed {
    /// In any order, each at least once.
    pub versions: Vec<Version>,
    /// Why there may be others: one reason for each place that could not be looked at, as
    /// a sentence for whoever asks, without secrets. Of one provider the engine reads 64,
    /// of each 512 bytes.
    pub incomplete: Vec<String>,
}

impl From<Vec<Version>> for Listed {
    fn from(versions: Vec<Version>) -> Self {
        Self {
            versions,
            incomplete: Vec::new(),
        }
    }
}

/// The first libraries that were asked know the list only.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum ListedText {
    Whole(Vec<Version>),
    Partly {
        versions: Vec<Version>,
        #[serde(default)]
        incomplete: Vec<String>,
    },
}

impl From<ListedText> for Listed {
    fn from(text: ListedText) -> Self {
        match text {
            ListedText::Whole(versions) => versions.into(),
            ListedText::Partly {
                versions,
                incomplete,
            } => Self {
                versions,
                incomplete,
            },
        }
    }
}

impl From<Listed> for ListedText {
    fn from(listed: Listed) -> Self {
        let Listed {
            versions,
            incomplete,
        } = listed;
        match incomplete.is_empty() {
            true => Self::Whole(versions),
            false => Self::Partly {
                versions,
                incomplete,
            },
        }
    }
}

/// One file that answers a wish.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Offer {
    /// The bare file name, as the agent and the cache will call it: no
    /// separator, not `.` or `..`, 1 to 200 bytes; the engine checks it.
    pub file_name: String,
    /// The version inside, if known.
    pub version: Option<Version>,
    /// The digest the file must have; `None` only for [`OfferSource::Local`].
    pub sha1: Option<Sha1>,
    /// Where its bytes are.
    pub source: OfferSource,
}

/// Where the bytes of an offer are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfferSource {
    /// Behind [`WpkProvider::fetch`]; the text (a URL, a key) is the provider's
    /// own and appears in logs, so it must hold no secret.
    Download(String),
    /// In a file on this machine, which is read in place.
    Local(PathBuf),
}

/// Why there is no file, in the terms of section 2's codes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// Code 9: there is no package for this platform.
    #[error("no WPK for this platform: {0}")]
    NoPackage(String),
    /// Code 14: the repository, or its list of versions, cannot be reached.
    #[error("the repository is not reachable: {0}")]
    NotReachable(String),
    /// Code 15: the version is not listed.
    #[error("the version is not in the repository: {0}")]
    NotListed(String),
    /// Code 16: the file is listed but cannot be had.
    #[error("the WPK file cannot be had: {0}")]
    NoFile(String),
}

impl ProviderError {
    /// What happened, without the kind in front.
    pub fn cause(&self) -> &str {
        match self {
            Self::NoPackage(cause)
            | Self::NotReachable(cause)
            | Self::NotListed(cause)
            | Self::NoFile(cause) => cause,
        }
    }
}

impl From<LayoutError> for ProviderError {
    fn from(error: LayoutError) -> Self {
        Self::NoPackage(error.to_string())
    }
}

impl From<BaseError> for ProviderError {
    fn from(error: BaseError) -> Self {
        Self::NotReachable(error.to_string())
    }
}

impl From<VersionsError> for ProviderError {
    fn from(error: VersionsError) -> Self {
        Self::NotReachable(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_is_an_object_only_where_something_is_missing() {
        let whole = Listed::from(vec![Version::new(4, 9, 0)]);
        let partly = Listed {
            incomplete: vec!["the cable is cut".to_owned()],
            ..whole.clone()
        };
        let both = r#"{"versions":["v4.9.0"],"incomplete":["the cable is cut"]}"#;
        for (listed, text) in [(&whole, r#"["v4.9.0"]"#), (&partly, both)] {
            assert_eq!(serde_json::to_string(listed).unwrap(), text);
            assert_eq!(serde_json::from_str::<Listed>(text).unwrap(), *listed);
        }
        let bare = serde_json::from_str::<Listed>(r#"{"versions":["v4.9.0"]}"#);
        assert_eq!(bare.unwrap(), whole);
        assert!(serde_json::from_str::<Listed>(r#"{"incomplete":[]}"#).is_err());
    }

    #[test]
    fn faults_of_a_repository_have_their_codes() {
        let no_type = ProviderError::from(LayoutError::NoType);
        assert_eq!(
            no_type,
            ProviderError::NoPackage(LayoutError::NoType.to_string())
        );
        let base = BaseError::new("ftp://x", "why");
        let text = base.to_string();
        assert_eq!(ProviderError::from(base), ProviderError::NotReachable(text));
        let long = VersionsError::TooLong;
        let text = long.to_string();
        assert_eq!(ProviderError::from(long), ProviderError::NotReachable(text));
    }
}
