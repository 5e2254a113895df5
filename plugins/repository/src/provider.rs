//! From a wish to an offer: choose the place, ask for its list of versions,
//! name the file (PROTOCOL.md, section 4). `serve` enters here, and `stock`.

use std::time::Duration;

use reqwest::Client;
use wpk_api::repository::{Base, Layout, Login, Place, UNKNOWN_MANAGER};
use wpk_api::{
    BuildError, Context, Offer, OfferSource, ProviderError, Sha1, Version, WantedRelease,
};

use crate::client;
use crate::download::Limits;
use crate::hosts::{self, AllowedHost};
use crate::list::{self, List, NoList, Patience};
use crate::login::Logins;
use crate::proxy::Proxies;
use crate::settings::Settings;

/// A repository, or the public ones.
pub(crate) struct Repository {
    pub(crate) client: Client,
    pub(crate) logins: Logins,
    configured: Option<String>,
    allow_hosts: Option<Vec<AllowedHost>>,
    manager: Version,
    timeout: Duration,
    pub(crate) limits: Limits,
}

/// A folder of a repository, and what it lists.
pub(crate) struct Folder {
    pub(crate) base: Base,
    /// The login with which a request named it.
    login: Option<Login>,
    pub(crate) place: Place,
    /// Where the list is.
    pub(crate) url: String,
    pub(crate) list: List,
}

impl Folder {
    /// The file of a version that it lists.
    pub(crate) fn offer(&self, version: Version, sha1: Sha1) -> Offer {
        Offer {
            file_name: self.place.file_name(version),
            version: Some(version),
            sha1: Some(sha1),
            source: OfferSource::Download(self.base.join(&self.place.file(version))),
        }
    }
}

/// Why there is no folder to look into.
pub(crate) enum NoFolder {
    /// None can be named.
    Unnamed(ProviderError),
    /// Its list cannot be had from there.
    NoList(String, NoList),
}

impl From<ProviderError> for NoFolder {
    fn from(error: ProviderError) -> Self {
        Self::Unnamed(error)
    }
}

impl From<NoFolder> for ProviderError {
    fn from(error: NoFolder) -> Self {
        match error {
            NoFolder::Unnamed(error) => error,
            NoFolder::NoList(url, error) => error.at(&url),
        }
    }
}

impl Repository {
    /// # Errors
    /// [`BuildError::Failed`] if `ca_file`, `password_file` or a proxy cannot be used.
    pub(crate) fn open(settings: Settings, context: &Context) -> Result<Self, BuildError> {
        let configured = (settings.url.clone()).or_else(|| context.wpk_repository.clone());
        let proxies = Proxies::of(settings.proxy());
        for told in proxies.unusable() {
            tracing::warn!("{told}");
        }
        if let Some(told) = proxies.told() {
            tracing::info!("{told}");
        }
        Ok(Self {
            client: client::build(&settings, &proxies, context)?,
            logins: Logins::new(&settings, configured.as_deref(), context)?,
            allow_hosts: settings.allowed_hosts(),
            configured,
            manager: context.node.version.unwrap_or(UNKNOWN_MANAGER),
            timeout: settings.timeout.0,
            limits: Limits {
                attempts: settings.attempts,
                stall: settings.timeout.0,
                total: settings.max_time.0,
                pause: settings.retry_pause.0,
                size: settings.max_size.0,
            },
        })
    }

    /// The same, but everything is tried once only.
    pub(crate) fn impatient(self) -> Self {
        let limits = Limits {
            attempts: 1,
            ..self.limits
        };
        Self { limits, ..self }
    }

    pub(crate) async fn exactly(
        &self,
        release: &WantedRelease,
        version: Version,
    ) -> Result<Offer, ProviderError> {
        let folder = self.folder_of(release, version).await?;
        let sha1 = folder.list.versions.find(version).ok_or_else(|| {
            ProviderError::NotListed(format!("{} does not list {version}", folder.url))
        })?;
        Ok(self.offered(&folder, version, sha1))
    }

    /// The offer of a folder's file, which `fetch` will find
    /// with the same login.
    fn offered(&self, folder: &Folder, version: Version, sha1: Sha1) -> Offer {
        let offer = folder.offer(version, sha1);
        if let OfferSource::Download(file) = &offer.source {
            self.logins.remember(file, folder.login.as_ref());
        }
        offer
    }

    /// The first version of the newest layout that the repository has.
    pub(crate) async fn latest(&self, release: &WantedRelease) -> Result<Offer, ProviderError> {
        let (layout, folder) = self.newest_folder(release).await?;
        let latest = folder.list.versions.latest();
        let (version, sha1) = latest
            .ok_or_else(|| ProviderError::NotListed(format!("{} lists no version", folder.url)))?;
        if Layout::of(&release.platform, version) == layout {
            return Ok(self.offered(&folder, version, sha1));
        }
        self.exactly(release, version).await
    }

    /// The folder of a version.
    pub(crate) async fn folder_of(
        &self,
        release: &WantedRelease,
        version: Version,
    ) -> Result<Folder, NoFolder> {
        let place = Place::of(&release.platform, release.package_type, version)
            .map_err(|error| ProviderError::NoPackage(format!("{version}: {error}")))?;
        self.folder(release, place, version).await
    }

    /// The folder of the newest layout that the repository has.
    pub(crate) async fn newest_folder(
        &self,
        release: &WantedRelease,
    ) -> Result<(Layout, Folder), NoFolder> {
        let mut missing = None;
        for layout in Layout::of_platform(&release.platform) {
            let place = match layout.place(&release.platform, release.package_type) {
                Ok(place) => place,
                // The repository's answer says more than what an old layout lacks.
                Err(error) => {
                    return Err(missing.unwrap_or_else(|| NoFolder::Unnamed(error.into())));
                }
            };
            let typical = self.typical_version(*layout);
            match self.folder(release, place, typical).await {
                Err(NoFolder::NoList(url, error)) if error.not_found() => {
                    missing.get_or_insert(NoFolder::NoList(url, error));
                }
                Err(error) => return Err(error),
                Ok(folder) => return Ok((*layout, folder)),
            }
        }
        Err(missing.unwrap_or_else(|| {
            NoFolder::Unnamed(ProviderError::NoPackage("no layout is known for it".into()))
        }))
    }

    async fn folder(
        &self,
        release: &WantedRelease,
        place: Place,
        version: Version,
    ) -> Result<Folder, NoFolder> {
        let base = self.base(release, version)?;
        self.folder_at(
            base,
            place,
            release.repository.is_some(),
            self.limits.attempts,
        )
        .await
    }

    /// The folder below a base that a request named if `requested`.
    pub(crate) async fn folder_at(
        &self,
        base: Base,
        place: Place,
        requested: bool,
        attempts: u32,
    ) -> Result<Folder, NoFolder> {
        let url = base.join(&place.versions());
        let login = self.logins.at(&base, requested).await;
        let login = login.map_err(ProviderError::NotReachable)?;
        let patience = Patience {
            limit: self.timeout,
            attempts,
            pause: self.limits.pause,
        };
        match list::fetch(&self.client, &url, login.as_ref(), patience).await {
            Ok(list) => Ok(Folder {
                login: login.filter(|_| requested),
                base,
                place,
                url,
                list,
            }),
            Err(error) => Err(NoFolder::NoList(url, error)),
        }
    }

    /// A version that lies in a layout, as near to the manager's as can be: it
    /// decides which public repository is asked when none is configured.
    pub(crate) fn typical_version(&self, layout: Layout) -> Version {
        match layout.ends_before() {
            Some(end) if end <= self.manager => Version {
                minor: end.minor.saturating_sub(1),
                ..end
            },
            _ => self.manager,
        }
    }

    pub(crate) fn base(
        &self,
        release: &WantedRelease,
        version: Version,
    ) -> Result<Base, ProviderError> {
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
}
