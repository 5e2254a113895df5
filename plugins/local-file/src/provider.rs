//! From a wish for a file to an offer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use wpk_api::section;
use wpk_api::{
    BuildError, ByteStream, Context, Factory, Offer, OfferSource, ProviderError, Wanted,
    WpkProvider,
};

use crate::locate::locate;
use crate::settings::Settings;

/// How much of a path is repeated in a message.
const SHOWN: usize = 300;

/// `[[provider]] type = "local-file"`.
pub fn plugin() -> impl Factory<dyn WpkProvider> {
    section::plugin("local-file", LocalFile::open)
}

struct LocalFile {
    context: Context,
    roots: Option<Arc<[PathBuf]>>,
}

impl LocalFile {
    fn open(settings: Settings, context: &Context) -> Result<Self, BuildError> {
        let roots = settings.roots;
        Ok(Self {
            context: context.clone(),
            roots: roots.map(|roots| roots.iter().map(|root| context.path(root)).collect()),
        })
    }

    fn no_file(&self, path: &Path, cause: impl std::fmt::Display) -> ProviderError {
        let shown: String = path.to_string_lossy().chars().take(SHOWN).collect();
        ProviderError::NoFile(format!(
            "{shown:?} on node {}: {cause} (in a cluster the file must be on the node that delivers it)",
            self.context.node.name
        ))
    }
}

#[async_trait]
impl WpkProvider for LocalFile {
    fn serves(&self, wanted: &Wanted) -> bool {
        matches!(wanted, Wanted::File(_))
    }

    async fn resolve(&self, wanted: &Wanted) -> Result<Offer, ProviderError> {
        let Wanted::File(file) = wanted else {
            return Err(ProviderError::NoFile(
                "a release is wanted, and this provider has only files of this machine".into(),
            ));
        };
        let asked = file
            .path
            .as_deref()
            .filter(|path| !path.as_os_str().is_empty());
        let asked = asked.ok_or_else(|| {
            ProviderError::NoFile("the request names no file: give it a file_path".into())
        })?;
        let (path, roots) = (self.context.path(asked), self.roots.clone());
        let located = tokio::task::spawn_blocking(move || locate(&path, roots.as_deref()))
            .await
            .map_err(|error| self.no_file(asked, error))?
            .map_err(|error| self.no_file(asked, error))?;
        Ok(Offer {
            file_name: located.name,
            version: None,
            sha1: None,
            source: OfferSource::Local(located.path),
        })
    }

    async fn fetch(&self, offer: &Offer) -> Result<ByteStream, ProviderError> {
        Err(ProviderError::NoFile(format!(
            "{}: this provider has no downloads, its files are read in place",
            offer.file_name
        )))
    }
}
