//! From a wish to an offer: choose the place, ask for its list of versions,
//! name the file (protocol.md, section 4).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Client, StatusCode, Url};
use serde_json::Value;
use wpk_api::repository::{
    Base, Layout, MAX_BYTES, Place, UNKNOWN_MANAGER, Versions, VersionsError,
};
use wpk_api::settings::Problem;
use wpk_api::{
    BuildError, ByteStream, Context, Factory, Offer, OfferSource, ProviderError, Sha1, Target,
    Version, Wanted, WantedRelease, WpkProvider,
};

use crate::client;
use crate::download::{Download, Limits};
use crate::hosts::{self, AllowedHost};
use crate::settings::Settings;

/// Makes providers of `type = "repository"`.
#[derive(Debug, Clone, Copy, Default)]
pub struct RepositoryFactory;

impl Factory<dyn WpkProvider> for RepositoryFactory {
    fn kind(&self) -> &'static str {
        "repository"
    }

    fn check(&self, settings: &Value) -> Vec<Problem> {
        Settings::read(settings).err().unwrap_or_default()
    }

    fn build(
        &self,
        settings: &Value,
        context: &Context,
    ) -> Result<Arc<dyn WpkProvider>, BuildError> {
        let settings = Settings::read(settings).map_err(BuildError::Settings)?;
        Ok(Arc::new(Repository {
            client: client::build(&settings, context)?,
            allow_hosts: settings.allowed_hosts(),
            configured: settings.url.or_else(|| context.wpk_repository.clone()),
            manager: context.node.version.unwrap_or(UNKNOWN_MANAGER),
            timeout: settings.timeout.0,
            limits: Limits {
                attempts: settings.attempts,
                stall: settings.timeout.0,
                total: settings.max_time.0,
                pause: settings.retry_pause.0,
                size: settings.max_size.0,
            },
        }))
    }
}

struct Repository {
    client: Client,
    configured: Option<String>,
    allow_hosts: Option<Vec<AllowedHost>>,
    manager: Version,
    timeout: Duration,
    limits: Limits,
}

#[async_trait]
impl WpkProvider for Repository {
    fn serves(&self, wanted: &Wanted) -> bool {
        matches!(wanted, Wanted::Release(_))
    }

    async fn resolve(&self, wanted: &Wanted) -> Result<Offer, ProviderError> {
        let Wanted::Release(release) = wanted else {
            return Err(ProviderError::NoFile(
                "a repository holds releases, not files of this machine".into(),
            ));
        };
        match &release.target {
            Target::Exactly(version) => self.exactly(release, *version).await,
            Target::Latest => self.latest(release).await,
            Target::Invalid(text) => Err(ProviderError::NotListed(format!(
                "{:?} is no version: write vX.Y.Z, for example v4.14.0",
                text.chars().take(64).collect::<String>()
            ))),
        }
    }

    async fn fetch(&self, offer: &Offer) -> Result<ByteStream, ProviderError> {
        let OfferSource::Download(text) = &offer.source else {
            return Err(ProviderError::NoFile(format!(
                "{} is a file of this machine and is read in place",
                offer.file_name
            )));
        };
        let url = Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or_else(|| ProviderError::NoFile(format!("{text:?} is no URL of a file")))?;
        Ok(Download::new(self.client.clone(), url, self.limits.clone()).into_stream())
    }
}

impl Repository {
    async fn exactly(
        &self,
        release: &WantedRelease,
        version: Version,
    ) -> Result<Offer, ProviderError> {
        let place = Place::of(&release.platform, release.package_type, version)
            .map_err(|error| ProviderError::NoPackage(format!("{version}: {error}")))?;
        let base = self.base(release, version)?;
        let url = base.join(&place.versions());
        let versions = self.versions(&url).await.map_err(NoVersions::into_error)?;
        let sha1 = versions
            .find(version)
            .ok_or_else(|| ProviderError::NotListed(format!("{url} does not list {version}")))?;
        Ok(offer(&base, &place, version, sha1))
    }

    /// The first version of the newest layout that the repository has.
    async fn latest(&self, release: &WantedRelease) -> Result<Offer, ProviderError> {
        let mut missing = None;
        for layout in Layout::of_platform(&release.platform) {
            let place = match layout.place(&release.platform, release.package_type) {
                Ok(place) => place,
                // The repository's answer says more than what an old layout lacks.
                Err(error) => {
                    return Err(
                        missing.unwrap_or_else(|| ProviderError::NoPackage(error.to_string()))
                    );
                }
            };
            let base = self.base(release, self.typical_version(*layout))?;
            let url = base.join(&place.versions());
            let versions = match self.versions(&url).await {
                Ok(versions) => versions,
                Err(error) if error.not_found => {
                    missing.get_or_insert(error.into_error());
                    continue;
                }
                Err(error) => return Err(error.into_error()),
            };
            let (version, sha1) = versions
                .latest()
                .ok_or_else(|| ProviderError::NotListed(format!("{url} lists no version")))?;
            if Layout::of(&release.platform, version) == *layout {
                return Ok(offer(&base, &place, version, sha1));
            }
            return self.exactly(release, version).await;
        }
        Err(missing.unwrap_or_else(|| ProviderError::NoPackage("no layout is known for it".into())))
    }

    /// A version that lies in a layout, as near to the manager's as can be: it
    /// decides which public repository is asked when none is configured.
    fn typical_version(&self, layout: Layout) -> Version {
        match layout.ends_before() {
            Some(end) if end <= self.manager => Version {
                minor: end.minor.saturating_sub(1),
                ..end
            },
            _ => self.manager,
        }
    }

    fn base(&self, release: &WantedRelease, version: Version) -> Result<Base, ProviderError> {
        let requested = release.repository.as_deref();
        let base = Base::choose(
            requested,
            self.configured.as_deref(),
            version,
            release.use_http,
        )?;
        let url = hosts::url(&base)?;
        if let (Some(_), Some(hosts)) = (requested, &self.allow_hosts)
            && !hosts.iter().any(|host| host.covers(&url))
        {
            return Err(ProviderError::NotReachable(format!(
                "{}: requests may not name this host: add it to allow_hosts to permit it",
                base.as_str()
            )));
        }
        Ok(base)
    }

    /// Reads a list of versions, asked for once: a wrong address must be
    /// reported fast, and a task can be asked for again.
    async fn versions(&self, url: &str) -> Result<Versions, NoVersions> {
        let no = |cause: String, not_found| NoVersions {
            text: format!("{url}: {cause}"),
            not_found,
        };
        let get = async {
            let response = self.client.get(url).send().await.map_err(client::failure);
            let mut response = response.map_err(|cause| no(cause, false))?;
            let status = response.status();
            if !status.is_success() {
                return Err(no(
                    format!("the answer is {status}"),
                    status == StatusCode::NOT_FOUND,
                ));
            }
            let mut file = Vec::new();
            loop {
                let piece = response.chunk().await.map_err(client::failure);
                match piece.map_err(|cause| no(cause, false))? {
                    Some(piece) => file.extend_from_slice(&piece),
                    None => return Ok(file),
                }
                if file.len() > MAX_BYTES {
                    return Err(no(VersionsError::TooLong.to_string(), false));
                }
            }
        };
        let file = tokio::time::timeout(self.timeout, get)
            .await
            .map_err(|_| {
                no(
                    format!("no complete answer within {:?}", self.timeout),
                    false,
                )
            })??;
        let versions = Versions::parse(&file).map_err(|error| no(error.to_string(), false))?;
        if !versions.skipped().is_empty() {
            tracing::warn!(url, lines = ?versions.skipped(), "lines that are no version and SHA-1 were skipped");
        }
        Ok(versions)
    }
}

/// Why there is no list of versions.
struct NoVersions {
    text: String,
    /// The server says that there is no such file.
    not_found: bool,
}

impl NoVersions {
    fn into_error(self) -> ProviderError {
        ProviderError::NotReachable(self.text)
    }
}

fn offer(base: &Base, place: &Place, version: Version, sha1: Sha1) -> Offer {
    Offer {
        file_name: place.file_name(version),
        version: Some(version),
        sha1: Some(sha1),
        source: OfferSource::Download(base.join(&place.file(version))),
    }
}
