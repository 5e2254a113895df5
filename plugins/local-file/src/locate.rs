//! From a path in a request to a file that may be sent.
//!
//! `provider` enters here, on a thread that may block. The path is foreign text:
//! without `roots` whoever may send requests can have any file sent that the
//! daemon can read, so nothing but a regular file is opened, and links do not
//! lead out of `roots`.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The longest file name, in bytes: what [`wpk_api::Offer`] allows.
const MAX_NAME: usize = 200;

/// A file that may be sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Located {
    /// Its name as the request wrote it; the agent will call it so.
    pub(crate) name: String,
    /// Where it really is: no link in it.
    pub(crate) path: PathBuf,
}

/// Why a file is not sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LocateError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("there is no such file")]
    Missing,
    #[error(
        "wpkd may not read it: give its user the right to, and to enter each folder above it, or copy it to var/upgrade of its home"
    )]
    Forbidden,
    #[error(
        "wpkd does not see {folder} as you do, its systemd unit hides it ({setting}): copy the file to var/upgrade of its home, or change the unit"
    )]
    Hidden {
        folder: &'static str,
        setting: &'static str,
    },
    #[error("it is no regular file")]
    NotRegular,
    #[error("it does not lie in one of the folders that `roots` of the local-file provider allows")]
    Outside,
    #[error("it names no file")]
    NoName,
    #[error("its file name is not UTF-8, so the agent could not be told it: rename the file")]
    NotUtf8,
    #[error(
        "its file name holds a control character or a backslash, which no agent accepts: rename the file"
    )]
    Unfit,
    #[error("its file name is longer than {MAX_NAME} bytes: rename the file")]
    TooLong,
}

/// Finds the file `path`, which is absolute. With `roots` (absolute too) it must
/// lie in one of them.
///
/// # Errors
/// [`LocateError`]. A file outside of `roots` looks the same whether or not it
/// exists, so that nobody learns what lies there.
pub(crate) fn locate(path: &Path, roots: Option<&[PathBuf]>) -> Result<Located, LocateError> {
    let name = bare_name(path)?;
    let real = path.canonicalize();
    if let Some(roots) = roots {
        // A root that does not exist (yet) holds nothing.
        let mut roots = roots.iter().filter_map(|root| root.canonicalize().ok());
        match &real {
            Ok(real) if roots.any(|root| real.starts_with(root)) => {}
            // Missing below a root may be told.
            Err(_) if is_below(path, roots) => {}
            _ => return Err(LocateError::Outside),
        }
    }
    let real = real.map_err(|error| told(path, error))?;
    let meta = std::fs::metadata(&real).map_err(|error| told(path, error))?;
    if !meta.is_file() {
        return Err(LocateError::NotRegular);
    }
    // Opened to see that it can be read. It may have been exchanged meanwhile:
    // never wait for the other end of a FIFO, and look again.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW)
        .open(&real)
        .map_err(|error| told(path, error))?;
    if !file.metadata()?.is_file() {
        return Err(LocateError::NotRegular);
    }
    Ok(Located {
        name: name.to_owned(),
        path: real,
    })
}

/// What keeps us from a file: it is not there, we have no right, or whoever asks sees
/// more than we do.
fn told(path: &Path, error: io::Error) -> LocateError {
    let kind = error.kind();
    if !matches!(
        kind,
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
    ) {
        return error.into();
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    if let Some((folder, setting)) = hidden(path, &mounts) {
        return LocateError::Hidden { folder, setting };
    }
    match kind {
        io::ErrorKind::NotFound => LocateError::Missing,
        _ => LocateError::Forbidden,
    }
}

/// The folder above `path` that our unit hides, and what hides it: `mounts` is a
/// `mountinfo` (proc(5)), in which systemd leaves its marks.
fn hidden(path: &Path, mounts: &str) -> Option<(&'static str, &'static str)> {
    const FOLDERS: [(&str, &str); 5] = [
        ("/home", "ProtectHome="),
        ("/root", "ProtectHome="),
        ("/run/user", "ProtectHome="),
        ("/tmp", "PrivateTmp="),
        ("/var/tmp", "PrivateTmp="),
    ];
    let (folder, setting) = FOLDERS
        .into_iter()
        .find(|(folder, _)| path.starts_with(folder))?;
    let covered = mounts.lines().any(|line| {
        let mut fields = line.split(' ').skip(3);
        let (root, point) = (fields.next().unwrap_or_default(), fields.next());
        let mark = root.contains("systemd-private-") || root.contains("/inaccessible/");
        point == Some(folder) && mark
    });
    covered.then_some((folder, setting))
}

/// Whether the folder of a missing file exists inside one of the roots.
fn is_below(path: &Path, mut roots: impl Iterator<Item = PathBuf>) -> bool {
    path.parent()
        .and_then(|parent| parent.canonicalize().ok())
        .is_some_and(|parent| roots.any(|root| parent.starts_with(root)))
}

fn bare_name(path: &Path) -> Result<&str, LocateError> {
    let name = path.file_name().ok_or(LocateError::NoName)?;
    let name = name.to_str().ok_or(LocateError::NotUtf8)?;
    if name.len() > MAX_NAME {
        return Err(LocateError::TooLong);
    }
    if name.contains(|c: char| c.is_control() || c == '\\') {
        return Err(LocateError::Unfit);
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_unit_hides_is_told_from_what_is_not_there() {
        let mounts = "\
            29 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n\
            310 280 254:1 /tmp/systemd-private-5f-wpkd-wazuh.service-x/tmp /tmp rw shared:9 - ext4 /dev/vda1 rw\n\
            311 280 0:25 /systemd/inaccessible/dir /home ro,nosuid - tmpfs tmpfs rw,mode=755\n";
        let hidden = |path: &str| hidden(Path::new(path), mounts).map(|(folder, _)| folder);
        assert_eq!(hidden("/tmp/agent.wpk"), Some("/tmp"));
        assert_eq!(hidden("/home/ann/agent.wpk"), Some("/home"));
        assert_eq!(hidden("/root/agent.wpk"), None);
        assert_eq!(hidden("/tmpfs/agent.wpk"), None);
        assert_eq!(hidden("/srv/agent.wpk"), None);
    }
}
