//! The repository as the engine asks it.

use async_trait::async_trait;
use reqwest::Url;
use wpk_api::repository::shown;
use wpk_api::{
    ByteStream, Listed, Offer, OfferSource, ProviderError, Target, Wanted, WantedRelease,
    WpkProvider,
};

use crate::download::Download;
use crate::provider::Repository;
use crate::stock;

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
            .ok_or_else(|| {
                ProviderError::NoFile(format!("{:?} is no URL of a file", shown(text)))
            })?;
        let login = self.logins.of_file(&url, text).await;
        let login = login.map_err(ProviderError::NoFile)?;
        let (client, limits) = (self.client.clone(), self.limits.clone());
        Ok(Download::new(client, url, login, limits).into_stream())
    }

    async fn versions(&self, wishes: &[WantedRelease]) -> Result<Option<Listed>, ProviderError> {
        stock::versions(self, wishes).await.map(Some)
    }
}
