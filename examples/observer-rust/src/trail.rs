//! The file. It is opened for each batch of changes, so that whoever moves it away finds a
//! new one in its place. A batch is on disk when it was taken, or nothing of it is: then
//! wpkd tells it again. What a crash left of a line ends where it broke off, and the next
//! line begins on its own.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::Mutex;
use wpk_plugin::api::examine::Check;
use wpk_plugin::api::{Change, ObserverError, TaskObserver};
use wpk_plugin::async_trait;

use crate::line::line;

/// An audit trail in a file.
#[derive(Debug)]
pub struct AuditTrail {
    /// Whoever writes holds it until all is written, also when nobody waits any more: the
    /// next batch comes after this one.
    path: Arc<Mutex<PathBuf>>,
    longest: usize,
}

impl AuditTrail {
    /// Opens the trail in the file at `path`, which is made if it is not there; no text of a
    /// line is longer than `longest` bytes.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn open(path: PathBuf, longest: usize) -> Result<Self, ObserverError> {
        append(&path, &[])?;
        let path = Arc::new(Mutex::new(path));
        Ok(Self { path, longest })
    }
}

#[async_trait]
impl TaskObserver for AuditTrail {
    async fn observe(&self, changes: &[Change]) -> Result<(), ObserverError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |since| since.as_secs());
        let lines = changes.iter().map(|change| line(change, now, self.longest));
        let lines = lines.collect::<Result<Vec<_>, _>>();
        let lines = lines.map_err(|error| ObserverError(error.to_string()))?;
        let path = self.path.clone().lock_owned().await;
        // Disks may be slow; other plugins of this library must not wait for them.
        let written = tokio::task::spawn_blocking(move || append(&path, &lines.concat()));
        written
            .await
            .map_err(|error| ObserverError(error.to_string()))?
    }
}

/// Puts `bytes` on disk, at the end of the file, all or nothing.
fn append(path: &Path, bytes: &[u8]) -> Result<(), ObserverError> {
    let written = open(path).and_then(|mut file| {
        if file.metadata()?.len() == 0 {
            // A crash must find the name too.
            File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()?;
        }
        write(&mut file, bytes)
    });
    written.map_err(|error| {
        let file = path.display();
        ObserverError(format!("the audit trail {file} cannot be written: {error}"))
    })
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o640);
    options.open(path)
}

fn write(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut last = [b'\n'];
    if length > 0 {
        file.seek(SeekFrom::Start(length - 1))?;
        file.read_exact(&mut last)?;
    }
    let whole = match last {
        [b'\n'] => file.write_all(bytes),
        _ => file.write_all(&[b"\n", bytes].concat()),
    };
    whole.and_then(|()| file.sync_data()).inspect_err(|_| {
        // What was written of it is taken back, where that can be done.
        let _ = file.set_len(length);
    })
}

/// How the file is, for whoever asks before wpkd starts; nothing is made.
pub(crate) fn look(path: &Path) -> Check {
    let (name, file) = ("audit trail", path.display());
    match path.metadata() {
        Ok(found) if found.is_file() => Check::ok(name, format!("{file}, {} bytes", found.len())),
        Ok(_) => Check::failure(name, format!("{file} is no file"), "name another `path`"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().unwrap_or(Path::new("/"));
            match folder.is_dir() {
                true => Check::ok(name, format!("{file} is not there yet")),
                false => {
                    let advice = format!("make the folder {}", folder.display());
                    Check::failure(name, format!("{file}: its folder is missing"), advice)
                }
            }
        }
        Err(error) => Check::failure(name, format!("{file}: {error}"), "look at its rights"),
    }
}
