//! Downloads listed files and holds them against their SHA-1. They are not kept.

use std::io::Write;

use sha1::{Digest, Sha1 as Hasher};
use tempfile::NamedTempFile;
use wpk_api::Sha1;

use super::http::{self, Failure};
use super::report::Check;
use super::repository::{Listed, Source};

/// The most bad files that are named.
const NAMED: usize = 5;

/// Checks the files; also gives the first good one.
pub(super) async fn look(
    source: &Source,
    files: Vec<Listed>,
    max_size: u64,
) -> (Check, Option<NamedTempFile>) {
    const NAME: &str = "files";
    let (mut bad, mut first) = (Vec::new(), None);
    let (count, mut bytes) = (files.len(), 0);
    for file in files {
        match fetch(source, &file, max_size).await {
            Ok((download, size)) => {
                bytes += size;
                first = first.or(Some(download));
            }
            Err(cause) => bad.push(format!("{} ({}): {cause}", file.version, file.url)),
        }
    }
    let check = if count == 0 {
        let detail = "no file of the platform is listed";
        Check::warning(NAME, detail, "choose another with --platform and --arch")
    } else if bad.is_empty() {
        let detail = format!("{count} of {count} have the SHA-1 that is listed ({bytes} bytes)");
        Check::ok(NAME, detail)
    } else {
        let more = match bad.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        let shown: Vec<String> = bad.iter().take(NAMED).cloned().collect();
        Check::failure(
            NAME,
            format!(
                "{} of {count} are bad: {}{more}",
                bad.len(),
                shown.join(", ")
            ),
            "upgrades to them will fail: mirror them again, or correct `versions`",
        )
    };
    (check, first)
}

async fn fetch(
    source: &Source,
    file: &Listed,
    max_size: u64,
) -> Result<(NamedTempFile, u64), String> {
    let told = |failure: Failure| failure.cause;
    let client = source.client.as_ref().map_err(|f| f.cause.clone())?;
    let mut response = http::get(client, &file.url).await.map_err(told)?;
    let mut download =
        NamedTempFile::new().map_err(|error| format!("no temporary file can be made: {error}"))?;
    let (mut hasher, mut size) = (Hasher::new(), 0u64);
    while let Some(chunk) = http::chunk(&mut response).await.map_err(told)? {
        let chunk = chunk.as_ref();
        size += chunk.len() as u64;
        if size > max_size {
            return Err(format!(
                "it is longer than cache.max_size ({max_size} bytes)"
            ));
        }
        hasher.update(chunk);
        download
            .write_all(chunk)
            .map_err(|error| format!("the temporary file cannot be written: {error}"))?;
    }
    let found = Sha1(hasher.finalize().into());
    if found == file.sha1 {
        Ok((download, size))
    } else {
        Err(format!("its SHA-1 is {found}, listed is {}", file.sha1))
    }
}
