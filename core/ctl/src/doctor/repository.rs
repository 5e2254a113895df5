//! The configured repositories: reachable, and a list of versions that can be
//! read, for one platform (protocol.md, section 4).

use reqwest::Client;
use reqwest::header::{DATE, HeaderValue};
use serde::Deserialize;
use wpk_api::{Sha1, Version};
use wpk_config::Settings;
use wpk_wire::Dialect;

use super::args::DoctorArgs;
use super::http::{self, Failure};
use super::report::{Check, Report};
use crate::cli::LinuxPackage;
use crate::error::CtlError;
use crate::repo::layout::{Facts, Place, place};

/// The longest list that is read, in bytes.
const MAX_LIST: usize = 1 << 20;
/// The version whose layout is looked at where the manager's is not known.
const LAYOUT: Version = Version::new(4, 9, 0);

/// Whose files are looked at.
pub(super) struct Platform {
    pub(super) name: String,
    pub(super) arch: Option<String>,
    pub(super) package_type: LinuxPackage,
}

impl Platform {
    pub(super) fn new(args: &DoctorArgs) -> Self {
        Self {
            name: args.platform.clone(),
            arch: Some(args.arch.clone()),
            package_type: args.package_type,
        }
    }

    /// The place of its file of a version.
    fn place(&self, version: Version) -> Result<Place, String> {
        let linux = !matches!(self.name.as_str(), "windows" | "macos" | "darwin");
        let windows = self.name == "windows";
        let kind = match self.package_type {
            LinuxPackage::Rpm => "rpm",
            LinuxPackage::Deb => "deb",
        };
        place(&Facts {
            version: Some(version),
            platform: Some(self.name.clone()),
            arch: self.arch.clone().filter(|_| !windows),
            package_type: (linux && version >= LAYOUT).then(|| kind.to_owned()),
            os_version: None,
        })
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
        let ca_file = section.ca_file.map(|path| settings.path(path));
        Source {
            base: base(
                section.url.as_deref().or(named.as_deref()),
                settings.node.version,
            ),
            client: http::client(ca_file.as_deref(), section.proxy.as_deref()),
        }
    };
    sections
        .map(|section| serde_json::from_value(section.settings.clone()).unwrap_or_default())
        .map(source)
        .collect()
}

/// The address, complete; without one the public repository of the version.
fn base(url: Option<&str>, version: Option<Version>) -> String {
    let version = version.unwrap_or(LAYOUT);
    let public = match version {
        old if old < Version::new(4, 0, 0) => "packages.wazuh.com/wpk/".to_owned(),
        version => format!("packages.wazuh.com/{}.x/wpk/", version.major),
    };
    let url = url.unwrap_or(&public);
    let scheme = if url.contains("://") { "" } else { "https://" };
    let slash = if url.ends_with('/') { "" } else { "/" };
    format!("{scheme}{url}{slash}")
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
    let wanted = platform.place(settings.node.version.unwrap_or(LAYOUT));
    let folder = match wanted {
        Ok(place) => place.folder,
        Err(problem) => {
            report.add(Check::failure(NAME, problem, ""))?;
            return Ok(Answer::default());
        }
    };
    let url = format!("{}{folder}/versions", source.base);
    let (date, list) = match fetch(source, &url).await {
        Ok(answer) => answer,
        Err(Failure { cause, advice }) => {
            report.add(Check::failure(NAME, format!("{url}: {cause}"), advice))?;
            return Ok(Answer::default());
        }
    };
    report.add(Check::ok(NAME, format!("{url} is reachable")))?;
    let list = List::read(&list);
    report.add(list.judge(&url, settings))?;
    let file = |(version, sha1): &(Version, Sha1)| {
        let place = platform.place(*version).ok()?;
        (place.folder == folder).then(|| Listed {
            version: *version,
            sha1: *sha1,
            url: format!("{}{}/{}", source.base, place.folder, place.file),
        })
    };
    Ok(Answer {
        date,
        files: list.entries.iter().filter_map(file).collect(),
    })
}

async fn fetch(source: &Source, url: &str) -> Result<(Option<HeaderValue>, Vec<u8>), Failure> {
    let client = source.client.as_ref().map_err(Clone::clone)?;
    let mut response = http::get(client, url).await?;
    let date = response.headers().get(DATE).cloned();
    let mut body = Vec::new();
    while let Some(chunk) = http::chunk(&mut response).await? {
        body.extend_from_slice(chunk.as_ref());
        if body.len() > MAX_LIST {
            return Err(Failure {
                cause: "the list of versions is longer than 1 MiB".to_owned(),
                advice: "is it the address of a repository?",
            });
        }
    }
    Ok((date, body))
}

/// A list of versions, as far as it can be read.
struct List {
    entries: Vec<(Version, Sha1)>,
    /// Numbers of the lines that make no sense, from 1.
    senseless: Vec<usize>,
}

impl List {
    fn read(text: &[u8]) -> Self {
        let (mut entries, mut senseless) = (Vec::new(), Vec::new());
        let text = String::from_utf8_lossy(text);
        for (number, line) in (1..).zip(text.lines()) {
            if line.trim().is_empty() || line.trim_start().starts_with('#') {
                continue;
            }
            let mut words = line.split_whitespace();
            let version = words.next().and_then(|word| word.parse().ok());
            let sha1 = words.next().and_then(|word| word.parse().ok());
            match version.zip(sha1) {
                Some(entry) => entries.push(entry),
                None => senseless.push(number),
            }
        }
        Self { entries, senseless }
    }

    fn judge(&self, url: &str, settings: &Settings) -> Check {
        const NAME: &str = "versions";
        let Some((first, _)) = self.entries.first() else {
            let detail = format!("{url} lists no version");
            let advice = "is it the address of a repository? Lines are `vX.Y.Z SHA1`";
            return Check::failure(NAME, detail, advice);
        };
        let newest = self.entries.iter().map(|(version, _)| *version).max();
        let newest = newest.unwrap_or(*first);
        let count = self.entries.len();
        if !self.senseless.is_empty() {
            let lines: Vec<String> = self
                .senseless
                .iter()
                .take(5)
                .map(usize::to_string)
                .collect();
            let detail = format!(
                "{url}: {} of its lines make no sense (line {})",
                self.senseless.len(),
                lines.join(", ")
            );
            return Check::warning(NAME, detail, "lines are `vX.Y.Z SHA1`; correct them");
        }
        if *first != newest {
            let detail = format!("{url} begins with {first}, but lists {newest} as well");
            return Check::warning(
                NAME,
                detail,
                "the first line is taken for the newest: sort the list",
            );
        }
        if settings.dialect == Dialect::Wazuh4
            && let Some(version) = settings.node.version
            && !self.entries.iter().any(|(listed, _)| *listed == version)
        {
            let detail = format!("{url} does not list {version}, the manager's own version");
            return Check::warning(
                NAME,
                detail,
                "upgrades that name no version will fail: mirror it, or name a version",
            );
        }
        Check::ok(NAME, format!("{count} listed, the newest is {newest}"))
    }
}
