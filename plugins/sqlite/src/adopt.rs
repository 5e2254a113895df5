//! The first release kept our tasks in the manager's own table. What it left there is
//! copied once, when there is no file of ours yet; the former file stays as it is, so
//! that one can go back.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use wpk_api::StoreError;

use crate::fault::Fault;
use crate::open::{BUSY_TIMEOUT, create_folder, with_rights};
use crate::schema;

/// A file that may hold our tasks.
pub(crate) struct Former {
    pub(crate) file: PathBuf,
    /// A manager's own module works on it as well: its live tasks are not ours.
    pub(crate) shared: bool,
}

/// Marks what a manager's own module made and still works on.
const NOT_OURS: &str = "
INSERT OR IGNORE INTO WPKD_IMPORTED (TASK_ID, SHOWN_ID)
    SELECT TASK_ID, TASK_ID FROM TASKS t WHERE t.STATUS IN ('Pending', 'In progress')
    AND NOT EXISTS (SELECT 1 FROM WPKD_ORDERS o WHERE o.TASK_ID = t.TASK_ID);
";

/// Copies the tasks of `former` into `file` if that is not there yet. Nothing happens
/// where no daemon of ours has kept tasks before.
///
/// # Errors
/// [`StoreError`] names the file that could not be read or written. Then nothing was
/// copied, and the next start tries again.
pub(crate) fn adopt(former: &Former, file: &Path) -> Result<(), StoreError> {
    if file.exists() || !former.file.exists() {
        return Ok(());
    }
    let read = || -> Result<Option<Connection>, Fault> {
        // For writing: a log that a crash left is put into it first.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&former.file, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        Ok(schema::is_ours(&connection)?.then_some(connection))
    };
    let Some(connection) = read().map_err(|fault| fault.at(&former.file))? else {
        return Ok(());
    };
    let unusable = |path: &Path, error: &std::io::Error| {
        StoreError::Unavailable(format!(
            "{}: {error}; the user of this program must be able to write its folder",
            path.display()
        ))
    };
    create_folder(file).map_err(|error| unusable(file, &error))?;
    // Under another name until it is whole.
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = file.with_file_name(name);
    match fs::remove_file(&part) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(unusable(&part, &error)),
        _ => {}
    }
    let copy = || -> Result<(), Fault> {
        connection.execute("VACUUM INTO ?1", [part.to_string_lossy()])?;
        let copied = Connection::open_with_flags(&part, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        schema::create(&copied)?;
        if former.shared {
            copied.execute_batch(NOT_OURS)?;
        }
        Ok(())
    };
    copy().map_err(|fault| fault.at(&former.file))?;
    let place = || -> std::io::Result<()> {
        let whole = File::options().write(true).open(&part)?;
        with_rights(&whole)?;
        whole.sync_all()?;
        fs::rename(&part, file)?;
        match file.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    };
    place().map_err(|error| unusable(file, &error))?;
    tracing::info!(
        from = %former.file.display(), to = %file.display(),
        "the tasks that the release before kept were copied; the file it kept them in stays as it is"
    );
    Ok(())
}
