//! A folder as a list, to compare what is there with what should be.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Size in bytes, mode (`0o640`) and SHA-1 of each file, by its path.
pub type Files = BTreeMap<String, (u64, String, String)>;

/// Every file below `folder`, with paths from there on. Links are not followed
/// and not in the list.
///
/// # Errors
/// Those of reading folders and files, and a name that is no UTF-8.
pub fn files(folder: &Path) -> io::Result<Files> {
    let mut found = Files::new();
    walk(folder, folder, &mut found)?;
    Ok(found)
}

fn walk(root: &Path, folder: &Path, found: &mut Files) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let meta = fs::symlink_metadata(&path)?;
        if meta.is_dir() {
            walk(root, &path, found)?;
        } else if meta.is_file() {
            let name = path.strip_prefix(root).unwrap_or(&path).to_str();
            let name = name.ok_or(io::ErrorKind::InvalidData)?.to_owned();
            let mode = format!("0o{:o}", meta.permissions().mode() & 0o7777);
            let digest = wpk_package::sha1_of_file(&path).map_err(io::Error::other)?;
            found.insert(name, (meta.len(), mode, digest));
        }
    }
    Ok(())
}
