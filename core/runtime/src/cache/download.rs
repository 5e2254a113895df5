//! One download: streamed into an unnamed file of the cache's folder, length
//! and digest checked on the way.

use std::sync::Arc;

use futures_util::StreamExt;
use sha1::{Digest, Sha1 as Hasher};
use tokio::io::AsyncWriteExt;
use wpk_api::Sha1;
use wpk_wire::UpgradeCode;

use super::blocking::blocking;
use super::folder::{Downloaded, Folder};
use crate::failure::Failure;
use crate::resolver::Resolved;

/// What is to be downloaded.
#[derive(Clone)]
pub(super) struct Download {
    /// The offer and who made it.
    pub(super) resolved: Resolved,
    /// Where the provider says it is, for messages.
    pub(super) location: String,
    /// The digest it is listed with.
    pub(super) sha1: Sha1,
    /// The most it may have, in bytes.
    pub(super) max_size: u64,
}

impl Download {
    /// Streams the file into `folder` and makes it durable.
    ///
    /// # Errors
    /// The provider's; code 16 if it is too long, 17 if it is another file, and
    /// the disk's. Nothing is left behind.
    pub(super) async fn run(self, folder: &Arc<Folder>) -> Result<Downloaded, Failure> {
        let Self {
            resolved,
            location,
            sha1,
            max_size,
        } = self;
        let disk = |error| folder.disk(&error);
        let part = {
            let folder = folder.clone();
            blocking(move || folder.part()).await?
        };
        let (file, part) = part.into_parts();
        let mut file = tokio::fs::File::from_std(file);
        let mut stream = resolved.provider.fetch(&resolved.offer).await?;
        let (mut hasher, mut len) = (Hasher::new(), 0u64);
        let mut claim = folder.claim();
        while let Some(piece) = stream.next().await {
            let piece = piece?;
            len += piece.len() as u64;
            if len > max_size {
                return Err(Failure::new(
                    UpgradeCode::FileNotFound,
                    format!("{location} is longer than cache.max_size ({max_size} bytes)"),
                ));
            }
            if !claim.covers(len) {
                claim = blocking(move || claim.grow(len).map(|()| claim)).await?;
            }
            hasher.update(&piece);
            file.write_all(&piece).await.map_err(disk)?;
        }
        let got = Sha1(hasher.finalize().into());
        if got != sha1 {
            return Err(Failure::new(
                UpgradeCode::Sha1Mismatch,
                format!("{location}: the SHA-1 is {got}, the repository lists {sha1}"),
            ));
        }
        file.flush().await.map_err(disk)?;
        file.sync_all().await.map_err(disk)?;
        Ok(Downloaded {
            file: file.into_std().await,
            part,
            name: resolved.offer.file_name,
            location,
            sha1,
            claim,
        })
    }
}
