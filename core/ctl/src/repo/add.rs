//! `wpkctl repo add`. One run at a time changes a repository: a lock on a
//! file in it. A WPK is copied and read through before anything is visible;
//! then the file is put in place, then `versions`, each in one step. Between
//! the two, only a reader of a version that is being *replaced* may see a
//! digest of the old file, and it then refuses the new one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::json;
use wpk_package::{CaStore, Limits, Summary, Trust, inspect};

use super::layout::{Facts, Place, place};
use super::{name, versions};
use crate::cli::{LinuxPackage, RepoAddArgs};
use crate::error::CtlError;
use crate::files::{make_folder, new_temp, put, replace};
use crate::output::{Ending, Output};
use crate::package::trusted;

/// The file that is locked; never removed, since another run may wait for it.
const LOCK: &str = ".wpkctl.lock";
/// The longest `versions` file that is read, in bytes.
const LONGEST_VERSIONS: u64 = 4 << 20;
/// Repositories are for all to read.
const FILE_MODE: u32 = 0o644;
const FOLDER_MODE: u32 = 0o755;

/// Adds the files. All places are known before the first file is touched; a
/// file that cannot be added ends the run, and those before it stay.
pub(super) fn run(args: &RepoAddArgs, out: &Output) -> Result<Ending, CtlError> {
    let plan = plan(args)?;
    let store = trusted(&args.ca, out)?;
    make_folder(&args.repo, FOLDER_MODE)?;
    let root = args
        .repo
        .canonicalize()
        .map_err(|error| CtlError::file("find the folder", &args.repo, error))?;
    let _lock = lock(&root)?;
    for (source, place) in &plan {
        let (summary, replaced) = add(&root, source, place, store.as_ref())?;
        let path = format!("{}/{}", place.folder, place.file);
        out.event(&json!({
            "event": "added",
            "source": source,
            "file": path,
            "version": place.version.to_string(),
            "sha1": summary.sha1,
            "size": summary.size,
            "replaced": replaced,
            "verified": summary.verified.is_some(),
        }))?;
        let verb = if replaced { "replaced" } else { "added" };
        out.line(format!(
            "{verb} {path}\n  {} {}",
            place.version, summary.sha1
        ))?;
    }
    Ok(Ending::Well)
}

/// Where each file goes.
fn plan(args: &RepoAddArgs) -> Result<Vec<(PathBuf, Place)>, CtlError> {
    let mut plan: Vec<(PathBuf, Place)> = Vec::new();
    for file in &args.files {
        let refuse = |what: String| CtlError::Usage(format!("{}: {what}", file.display()));
        let told = file
            .file_name()
            .map(|name| name::facts(&name.to_string_lossy()))
            .unwrap_or_default();
        let kind = args.package_type.map(|kind| match kind {
            LinuxPackage::Rpm => "rpm".to_owned(),
            LinuxPackage::Deb => "deb".to_owned(),
        });
        let facts = Facts {
            version: args.version.or(told.version),
            platform: args.platform.clone().or(told.platform),
            arch: args.arch.clone().or(told.arch),
            package_type: kind.or(told.package_type),
            os_version: args.os_version.clone().or(told.os_version),
        };
        let place = place(&facts).map_err(refuse)?;
        if let Some((other, _)) = plan.iter().find(|(_, other)| *other == place) {
            return Err(refuse(format!(
                "belongs at {}/{}, like {}; add one of them",
                place.folder,
                place.file,
                other.display()
            )));
        }
        plan.push((file.clone(), place));
    }
    Ok(plan)
}

/// Waits for other runs; the lock ends with the returned file.
fn lock(root: &Path) -> Result<File, CtlError> {
    let path = root.join(LOCK);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| CtlError::file("open", &path, error))?;
    file.lock()
        .map_err(|error| CtlError::file("lock", &path, error))?;
    Ok(file)
}

fn add(
    root: &Path,
    source: &Path,
    place: &Place,
    store: Option<&CaStore>,
) -> Result<(Summary, bool), CtlError> {
    let real = folder(root, place)?;

    // The copy is judged, not the source: the source may change meanwhile.
    let mut temp = new_temp(&real)?;
    let mut input = open(source)?;
    io::copy(&mut input, temp.as_file_mut())
        .map_err(|error| CtlError::file("copy", source, error))?;
    let trust = store.map(Trust::Store);
    let summary = inspect(temp.path(), trust, SystemTime::now(), &Limits::default())
        // The temporary name would tell nobody anything.
        .map_err(|error| {
            let text = error.to_string();
            let copy = temp.path().display().to_string();
            CtlError::Unexpected(text.replace(&copy, &source.display().to_string()))
        })?;

    let list = real.join("versions");
    let before = read_versions(&list)?;
    let (after, replaced) = versions::add(&before, place.version, &summary.sha1)
        .map_err(|error| CtlError::Unexpected(format!("{}: {error}", list.display())))?;
    put(temp, &real.join(&place.file), FILE_MODE)?;
    replace(&list, after.as_bytes(), FILE_MODE)?;
    Ok((summary, replaced))
}

/// The folder of a place, made where it is not there. Links may lead to other
/// folders of the repository, but not out of it.
fn folder(root: &Path, place: &Place) -> Result<PathBuf, CtlError> {
    let folder = root.join(&place.folder);
    // The part that exists decides where the rest would be made.
    let (existing, real) = folder
        .ancestors()
        .find_map(|path| Some((path, path.canonicalize().ok()?)))
        .unwrap_or((root, root.to_owned()));
    if !real.starts_with(root) {
        return Err(CtlError::Unexpected(format!(
            "{} leads out of the repository to {}; replace the link by a folder",
            existing.display(),
            real.display()
        )));
    }
    make_folder(&folder, FOLDER_MODE)?;
    folder
        .canonicalize()
        .map_err(|error| CtlError::file("find the folder", &folder, error))
}

fn open(source: &Path) -> Result<File, CtlError> {
    let failed = |error| CtlError::file("open", source, error);
    // Before it is opened: the open of a pipe would wait for ever.
    if !fs::metadata(source).map_err(failed)?.is_file() {
        return Err(failed(io::Error::other("it is no regular file")));
    }
    File::open(source).map_err(failed)
}

fn read_versions(path: &Path) -> Result<String, CtlError> {
    let failed = |error| CtlError::file("read", path, error);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut text = String::new();
    file.take(LONGEST_VERSIONS + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > LONGEST_VERSIONS {
        return Err(CtlError::Unexpected(format!(
            "{} is longer than {LONGEST_VERSIONS} bytes; is it a list of versions?",
            path.display()
        )));
    }
    Ok(text)
}
