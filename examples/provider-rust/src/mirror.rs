//! The provider: from a wish to a file in the folder, and its bytes.

use std::path::{Path, PathBuf};

use bytes::BytesMut;
use futures_util::stream;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use wpk_plugin::api::repository::{Layout, Place};
use wpk_plugin::api::{
    ByteStream, Listed, Offer, OfferSource, ProviderError, Target, Wanted, WantedRelease,
    WpkProvider,
};
use wpk_plugin::async_trait;

use crate::sums::Sums;

/// A folder of WPK files.
#[derive(Debug)]
pub struct Mirror {
    folder: PathBuf,
    piece: usize,
}

impl Mirror {
    /// The mirror in `folder`, read `piece` bytes at a time.
    pub fn new(folder: PathBuf, piece: usize) -> Self {
        Self { folder, piece }
    }
}

#[async_trait]
impl WpkProvider for Mirror {
    fn serves(&self, wanted: &Wanted) -> bool {
        // A request that names a repository of its own does not mean this folder.
        matches!(wanted, Wanted::Release(release) if release.repository.is_none())
    }

    async fn resolve(&self, wanted: &Wanted) -> Result<Offer, ProviderError> {
        let Wanted::Release(release) = wanted else {
            return Err(ProviderError::NoFile(
                "a mirror holds releases only".to_owned(),
            ));
        };
        let (platform, kind) = (&release.platform, release.package_type);
        // Each version has the name its number gives it; the newest has a current one.
        let place = match &release.target {
            Target::Exactly(version) => Place::of(platform, kind, *version)?,
            _ => Layout::current(platform).place(platform, kind)?,
        };
        let sums = Sums::read(&self.folder).await?;
        let not_listed = |what: &str| {
            ProviderError::NotListed(format!("{what} is not in {}", self.folder.display()))
        };
        let version = match &release.target {
            Target::Exactly(version) => *version,
            Target::Latest => sums.newest(&place).ok_or_else(|| {
                not_listed(&format!(
                    "a WPK of {}",
                    place.folder().trim_end_matches('/')
                ))
            })?,
            Target::Invalid(text) => {
                let text: String = text.chars().take(64).collect();
                return Err(not_listed(&format!("{text:?}, which is no version,")));
            }
        };
        let file_name = place.file_name(version);
        let sha1 = sums
            .find(&file_name)
            .ok_or_else(|| not_listed(&file_name))?;
        Ok(Offer {
            source: OfferSource::Download(self.folder.join(&file_name).display().to_string()),
            version: Some(version),
            sha1: Some(sha1),
            file_name,
        })
    }

    async fn fetch(&self, offer: &Offer) -> Result<ByteStream, ProviderError> {
        let name = Path::new(&offer.file_name);
        if name.file_name() != Some(name.as_os_str()) {
            return Err(no_file(name, "is no bare file name"));
        }
        let path = self.folder.join(name);
        let about = tokio::fs::metadata(&path).await;
        if !about.map_err(|error| no_file(&path, error))?.is_file() {
            return Err(no_file(&path, "is no regular file"));
        }
        let mut file = File::open(&path)
            .await
            .map_err(|error| no_file(&path, error))?;
        file.set_max_buf_size(self.piece);
        // The stream owns all it needs: it may outlive the mirror, and whoever
        // drops it closes the file. Nothing is read before it is asked for.
        let piece = self.piece;
        Ok(Box::pin(stream::try_unfold(
            (file, path),
            move |(mut file, path)| async move {
                let mut bytes = BytesMut::with_capacity(piece);
                match file.read_buf(&mut bytes).await {
                    Ok(0) => Ok(None),
                    Ok(_) => Ok(Some((bytes.freeze(), (file, path)))),
                    Err(error) => Err(no_file(&path, error)),
                }
            },
        )))
    }

    // Optional: completions on the command line propose them.
    async fn versions(&self, wishes: &[WantedRelease]) -> Result<Option<Listed>, ProviderError> {
        let sums = Sums::read(&self.folder).await?;
        let mut versions = Vec::new();
        for wish in wishes.iter().filter(|wish| wish.repository.is_none()) {
            for layout in Layout::of_platform(&wish.platform) {
                // A platform that lacks what an old layout needs has no file there.
                if let Ok(place) = layout.place(&wish.platform, wish.package_type) {
                    versions.extend(sums.versions(&place));
                }
            }
        }
        Ok(Some(versions.into()))
    }
}

fn no_file(path: &Path, cause: impl std::fmt::Display) -> ProviderError {
    ProviderError::NoFile(format!("{}: {cause}", path.display()))
}
