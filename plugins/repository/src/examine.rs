//! What `wpkctl doctor` is told of a repository: whether it can be reached, what
//! its list is worth, what time it has, and whether its files are those that are
//! listed. It is asked by the provider itself, as for a request that names no
//! repository: what a request would be refused for is told here.

use std::io;
use std::path::Path;

use futures_util::StreamExt;
use sha1::{Digest, Sha1 as Hasher};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use wpk_api::examine::{Check, Examine};
use wpk_api::repository::{Place, Versions};
use wpk_api::{Context, Offer, Platform, Sha1, Target, Version, WantedRelease, WpkProvider};

use crate::clock;
use crate::list::NoList;
use crate::provider::{Folder, NoFolder, Repository};
use crate::proxy::Proxies;
use crate::settings::Settings;

const NAME: &str = "repository";
/// The most bad files that are named.
const NAMED: usize = 5;

/// Looks at the repository of one section.
pub(crate) async fn examine(settings: Settings, context: &Context, asked: &Examine) -> Vec<Check> {
    let mut checks = proxies(&Proxies::of(settings.proxy()));
    let repository = match Repository::open(settings, context) {
        Ok(repository) => repository.impatient(),
        Err(error) => {
            let advice = "correct the settings";
            checks.push(Check::failure(NAME, error.to_string(), advice));
            return checks;
        }
    };
    let Some(platform) = &asked.platform else {
        return checks;
    };
    let release = WantedRelease {
        platform: platform.clone(),
        target: asked.version.map_or(Target::Latest, Target::Exactly),
        repository: None,
        use_http: false,
        package_type: asked.package_type,
    };
    let found = match asked.version {
        Some(version) => repository.folder_of(&release, version).await,
        None => repository
            .newest_folder(&release)
            .await
            .map(|(_, folder)| folder),
    };
    let folder = match found {
        Ok(folder) => folder,
        Err(error) => {
            checks.push(unreachable(error));
            return checks;
        }
    };
    let url = &folder.url;
    checks.extend([
        Check::ok(NAME, format!("{url} is reachable")),
        judge(&folder.list.versions, url, asked.version),
        clock::look(folder.list.date.as_ref()),
    ]);
    if asked.downloads > 0 {
        checks.push(files(&repository, &folder, platform, asked).await);
    }
    checks
}

fn proxies(proxies: &Proxies) -> Vec<Check> {
    const NAME: &str = "proxy";
    let advice = "correct it in the environment of wpkd, or set proxy in the section";
    let unusable = proxies.unusable().iter();
    let warnings = unusable.map(|told| Check::warning(NAME, told, advice));
    let told = proxies.told().map(|told| Check::ok(NAME, told));
    warnings.chain(told).collect()
}

fn unreachable(error: NoFolder) -> Check {
    let (url, error) = match error {
        NoFolder::Unnamed(error) => {
            let advice = "correct url, or choose another platform";
            return Check::failure(NAME, error.to_string(), advice);
        }
        NoFolder::NoList(url, error) => (url, error),
    };
    let (cause, advice) = match &error {
        NoList::Request(failure) => (failure.cause().to_owned(), failure.advice()),
        NoList::Broken(_) | NoList::Again { .. } => {
            (error.to_string(), "look into the server's log")
        }
        NoList::Status(status) => (
            error.to_string(),
            match status.as_u16() {
                401 => {
                    "the server wants a user and a password, or others: see url, user and password_file"
                }
                403 | 407 => "the server does not let us in: check its rules and the proxy",
                404 => "there is no such path: check url and the platform",
                _ => "look into the server's log",
            },
        ),
        NoList::Slow(_) => (
            error.to_string(),
            "check the firewall and proxy, or raise timeout",
        ),
        NoList::Unusable(_) => (error.to_string(), "is it the address of a repository?"),
    };
    Check::failure(NAME, format!("{url}: {cause}"), advice)
}

/// What a list is worth. `wanted` is the version that every upgrade asks for
/// which names none; `None`: the newest.
fn judge(list: &Versions, url: &str, wanted: Option<Version>) -> Check {
    const NAME: &str = "versions";
    let count = list.entries().len();
    if count == 0 {
        let detail = format!("{url} lists no version");
        let advice = "is it the address of a repository? Lines are `vX.Y.Z SHA1`";
        return Check::failure(NAME, detail, advice);
    }
    if list.skipped_count() > 0 {
        let lines = list.skipped().iter().take(NAMED).map(usize::to_string);
        let detail = format!(
            "{url}: {} of its lines make no sense (line {})",
            list.skipped_count(),
            lines.collect::<Vec<_>>().join(", ")
        );
        return Check::warning(NAME, detail, "lines are `vX.Y.Z SHA1`; correct them");
    }
    let releases = list.entries().iter().filter(|entry| entry.release);
    let newest = releases.map(|entry| entry.version).max();
    let Some(((first, _), newest)) = list.latest().zip(newest) else {
        let detail = format!("{url} lists pre-releases only");
        let advice = "upgrades that name no version will fail: mirror a release, or name a version";
        return Check::warning(NAME, detail, advice);
    };
    if first != newest {
        let detail = format!("{url} begins with {first}, but lists {newest} as well");
        let advice = "the first line is taken for the newest: sort the list";
        return Check::warning(NAME, detail, advice);
    }
    if let Some(version) = wanted
        && list.find(version).is_none()
    {
        let detail = format!("{url} does not list {version}, the manager's own version");
        let advice = "upgrades that name no version will fail: mirror it, or name a version";
        return Check::warning(NAME, detail, advice);
    }
    Check::ok(NAME, format!("{count} listed, the newest is {newest}"))
}

/// Downloads the newest listed files and holds them against their digests.
async fn files(
    repository: &Repository,
    folder: &Folder,
    platform: &Platform,
    asked: &Examine,
) -> Check {
    const NAME: &str = "files";
    // What is listed here and lies elsewhere is looked for there.
    let here = |version: &Version| {
        let place = Place::of(platform, asked.package_type, *version);
        place.is_ok_and(|place| place.folder() == folder.place.folder())
    };
    let listed = folder.list.versions.files();
    let listed = listed
        .filter(|(version, _)| here(version))
        .take(asked.downloads);
    let (mut bad, mut count, mut bytes) = (Vec::new(), 0, 0);
    let mut keep = asked.keep.as_deref();
    for (version, sha1) in listed {
        count += 1;
        let offer = folder.offer(version, sha1);
        match download(repository, &offer, sha1, asked.max_size, keep).await {
            Ok(size) => {
                bytes += size;
                keep = None;
            }
            Err(cause) => {
                let url = folder.base.join(&folder.place.file(version));
                bad.push(format!("{version} ({url}): {cause}"));
            }
        }
    }
    if count == 0 {
        let detail = "no file of the platform is listed";
        return Check::warning(NAME, detail, "choose another with --platform and --arch");
    }
    if bad.is_empty() {
        let detail = format!("{count} of {count} have the SHA-1 that is listed ({bytes} bytes)");
        return Check::ok(NAME, detail);
    }
    let more = match bad.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let all = bad.len();
    bad.truncate(NAMED);
    let detail = format!("{all} of {count} are bad: {}{more}", bad.join(", "));
    let advice = "upgrades to them will fail: mirror them again, or correct `versions`";
    Check::failure(NAME, detail, advice)
}

/// Downloads a file, which stays in the folder `keep` under its own name if it is
/// good. Gives its size in bytes.
async fn download(
    repository: &Repository,
    offer: &Offer,
    sha1: Sha1,
    max_size: Option<u64>,
    keep: Option<&Path>,
) -> Result<u64, String> {
    let copy = keep.map(|folder| folder.join(&offer.file_name));
    let unwritten = |error: io::Error| format!("its copy cannot be written: {error}");
    let mut file = match &copy {
        Some(path) => Some(File::create_new(path).await.map_err(unwritten)?),
        None => None,
    };
    let outcome = async {
        let mut stream = repository
            .fetch(offer)
            .await
            .map_err(|error| error.to_string())?;
        let (mut hasher, mut size) = (Hasher::new(), 0);
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|error| error.to_string())?;
            size += chunk.len() as u64;
            if let Some(limit) = max_size.filter(|limit| size > *limit) {
                return Err(format!("it is longer than cache.max_size ({limit} bytes)"));
            }
            hasher.update(&chunk);
            if let Some(file) = &mut file {
                file.write_all(&chunk).await.map_err(unwritten)?;
            }
        }
        if let Some(file) = &mut file {
            file.flush().await.map_err(unwritten)?;
        }
        match Sha1(hasher.finalize().into()) {
            found if found == sha1 => Ok(size),
            found => Err(format!("its SHA-1 is {found}, listed is {sha1}")),
        }
    };
    let outcome = outcome.await;
    if let (Some(path), Err(_)) = (&copy, &outcome) {
        // The folder goes away as well; this makes room before.
        let _ = tokio::fs::remove_file(path).await;
    }
    outcome
}
