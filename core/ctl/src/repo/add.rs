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
use wpk_api::Sha1;
use wpk_api::repository::{MAX_BYTES, add_version};
use wpk_package::{CaStore, Limits, Summary, Trust, inspect};

use super::args::RepoAddArgs;
use super::place::{self, Placed, Said};
use crate::error::CtlError;
use crate::files::{make_folder, new_temp, put, replace};
use crate::output::{Ending, Output};
use crate::package::certificates::trusted;

/// The file that is locked; never removed, since another run may wait for it.
const LOCK: &str = ".wpkctl.lock";
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
    for (source, placed) in &plan {
        let (summary, replaced) = add(&root, source, placed, store.as_ref())?;
        let path = placed.path();
        out.event(&json!({
            "event": "added",
            "source": source,
            "file": path,
            "version": placed.version.to_string(),
            "sha1": summary.sha1,
            "size": summary.size,
            "replaced": replaced,
            "verified": summary.verified.is_some(),
        }))?;
        let verb = if replaced { "replaced" } else { "added" };
        out.line(format!(
            "{verb} {path}\n  {} {}",
            placed.version, summary.sha1
        ))?;
    }
    Ok(Ending::Well)
}

/// Where each file goes.
fn plan(args: &RepoAddArgs) -> Result<Vec<(PathBuf, Placed)>, CtlError> {
    let said = Said {
        version: args.version,
        platform: args.platform.as_deref(),
        arch: args.arch.as_deref(),
        package_type: args.package_type.map(Into::into),
        os_version: args.os_version.as_deref(),
    };
    let mut plan: Vec<(PathBuf, Placed)> = Vec::new();
    for file in &args.files {
        let refuse = |what: String| CtlError::Usage(format!("{}: {what}", file.display()));
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let placed = place::find(&said, &name).map_err(refuse)?;
        if let Some((other, _)) = plan.iter().find(|(_, other)| *other == placed) {
            return Err(refuse(format!(
                "belongs at {}, like {}; add one of them",
                placed.path(),
                other.display()
            )));
        }
        plan.push((file.clone(), placed));
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
    placed: &Placed,
    store: Option<&CaStore>,
) -> Result<(Summary, bool), CtlError> {
    let real = folder(root, placed.place.folder())?;

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
    let refuse = |what: String| CtlError::Unexpected(format!("{}: {what}", list.display()));
    let sha1: Sha1 = (summary.sha1.parse()).map_err(|error| refuse(format!("{error}")))?;
    let before = read_versions(&list)?;
    let after =
        add_version(&before, placed.version, sha1).map_err(|error| refuse(error.to_string()))?;
    put(
        temp,
        &real.join(placed.place.file_name(placed.version)),
        FILE_MODE,
    )?;
    replace(&list, &after.file, FILE_MODE)?;
    Ok((summary, after.replaced))
}

/// The folder of a place, made where it is not there. Links may lead to other
/// folders of the repository, but not out of it.
fn folder(root: &Path, folder: &str) -> Result<PathBuf, CtlError> {
    let folder = root.join(folder);
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

/// The content of a list; one that is too long is read far enough to be refused.
fn read_versions(path: &Path) -> Result<Vec<u8>, CtlError> {
    let failed = |error| CtlError::file("read", path, error);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut list = Vec::new();
    file.take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut list)
        .map_err(failed)?;
    Ok(list)
}
