//! The configured repositories: reachable, and a list of versions that can be
//! read, for one platform (PROTOCOL.md, section 4).

use reqwest::Client;
use reqwest::header::{DATE, HeaderValue};
use serde::Deserialize;
use wpk_api::repository::{Base, MAX_BYTES, Place, UNKNOWN_MANAGER, Versions, VersionsError};
use wpk_api::{PackageType, Sha1, Version, repository};
use wpk_config::Settings;
use wpk_wire::Dialect;

use super::args::DoctorArgs;
use super::http::{self, Failure};
use super::report::{Check, Report};
use crate::error::CtlError;

/// Whose files are looked at.
pub(super) struct Platform {
    pub(super) system: wpk_api::Platform,
    pub(super) package_type: PackageType,
}

impl Platform {
    pub(super) fn new(args: &DoctorArgs) -> Self {
        Self {
            system: repository::platform(&args.platform, None, Some(&args.arch)),
            package_type: args.package_type.into(),
        }
    }

    /// The place of its file of a version.
    fn place(&self, version: Version) -> Result<Place, String> {
        let place = Place::of(&self.system, Some(self.package_type), version);
        place.map_err(|error| error.to_string())
    }
}

/// The part of a repository's settings that is needed to ask it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Section {
    url: Option<String>,
    ca_file: Option<String>,
    proxy: Option<String>,
}

/// What to do about something else than a list.
const NO_LIST: &str = "is it the address of a repository?";

/// One configured repository.
pub(super) struct Source {
    /// With scheme and final `/`.
    pub(super) base: String,
    pub(super) client: Result<Client, Failure>,
}

/// The repositories, in the order they are asked.
pub(super) fn sources(settings: &Settings) -> Vec<Source> {
    let usual = [wpk_config::PluginSection::of("repository")];
    let sections = match settings.providers.is_empty() {
        true => usual.iter(),
        false => settings.providers.iter(),
    };
    let sections = sections.filter(|p| p.kind == "repository");
    let named = settings.context().wpk_repository;
    let source = |section: Section| {
        let url = section.url.as_deref().or(named.as_deref());
        let version = settings.node.version.unwrap_or(UNKNOWN_MANAGER);
        let ca_file = section.ca_file.map(|path| settings.path(path));
        let client = || http::client(ca_file.as_deref(), section.proxy.as_deref());
        match Base::choose(None, url, version, false) {
            Ok(base) => Source {
                base: base.as_str().to_owned(),
                client: client(),
            },
            Err(error) => Source {
                base: error.text.clone(),
                client: Err(Failure {
                    cause: error.to_string(),
                    advice: "correct `url`",
                }),
            },
        }
    };
    sections
        .map(|section| serde_json::from_value(section.settings.clone()).unwrap_or_default())
        .map(source)
        .collect()
}

/// A file that a list names.
pub(super) struct Listed {
    pub(super) version: Version,
    pub(super) sha1: Sha1,
    pub(super) url: String,
}

/// What one repository told.
#[derive(Default)]
pub(super) struct Answer {
    pub(super) date: Option<HeaderValue>,
    /// In the order of the list.
    pub(super) files: Vec<Listed>,
}

/// Asks for the list and judges it.
///
/// # Errors
/// Where nothing can be printed.
pub(super) async fn look(
    source: &Source,
    platform: &Platform,
    settings: &Settings,
    report: &mut Report<'_>,
) -> Result<Answer, CtlError> {
    const NAME: &str = "repository";
    let wanted = platform.place(settings.node.version.unwrap_or(UNKNOWN_MANAGER));
    let wanted = match wanted {
        Ok(place) => place,
        Err(problem) => {
            report.add(Check::failure(NAME, problem, ""))?;
            return Ok(Answer::default());
        }
    };
    let url = format!("{}{}", source.base, wanted.versions());
    let (date, list) = match fetch(source, &url).await {
        Ok(answer) => answer,
        Err(Failure { cause, advice }) => {
            report.add(Check::failure(NAME, format!("{url}: {cause}"), advice))?;
            return Ok(Answer::default());
        }
    };
    report.add(Check::ok(NAME, format!("{url} is reachable")))?;
    let list = match Versions::parse(&list) {
        Ok(list) => list,
        Err(error) => {
            let detail = format!("{url}: {error}");
            report.add(Check::failure(NAME, detail, NO_LIST))?;
            return Ok(Answer::default());
        }
    };
    report.add(judge(&list, &url, settings))?;
    let file = |(version, sha1)| {
        let place = platform.place(version).ok()?;
        (place.folder() == wanted.folder()).then(|| Listed {
            version,
            sha1,
            url: format!("{}{}", source.base, place.file(version)),
        })
    };
    Ok(Answer {
        date,
        files: list.files().filter_map(file).collect(),
    })
}

async fn fetch(source: &Source, url: &str) -> Result<(Option<HeaderValue>, Vec<u8>), Failure> {
    let client = source.client.as_ref().map_err(Clone::clone)?;
    let mut response = http::get(client, url).await?;
    let date = response.headers().get(DATE).cloned();
    let mut body = Vec::new();
    while let Some(chunk) = http::chunk(&mut response).await? {
        body.extend_from_slice(chunk.as_ref());
        if body.len() > MAX_BYTES {
            return Err(Failure {
                cause: VersionsError::TooLong.to_string(),
                advice: NO_LIST,
            });
        }
    }
    Ok((date, body))
}

fn judge(list: &Versions, url: &str, settings: &Settings) -> Check {
    const NAME: &str = "versions";
    let count = list.entries().len();
    if count == 0 {
        let detail = format!("{url} lists no version");
        let advice = "is it the address of a repository? Lines are `vX.Y.Z SHA1`";
        return Check::failure(NAME, detail, advice);
    }
    if list.skipped_count() > 0 {
        let lines = list.skipped().iter().take(5).map(usize::to_string);
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
    if settings.dialect == Dialect::Wazuh4
        && let Some(version) = settings.node.version
        && list.find(version).is_none()
    {
        let detail = format!("{url} does not list {version}, the manager's own version");
        let advice = "upgrades that name no version will fail: mirror it, or name a version";
        return Check::warning(NAME, detail, advice);
    }
    Check::ok(NAME, format!("{count} listed, the newest is {newest}"))
}
