//! The number of a group, from settings.
//!
//! Read from the local group file without the C library's name services, so a
//! group known only to a directory server is given by its number.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use crate::error::SocketError;

/// Where local groups are listed.
const GROUP_FILE: &str = "/etc/group";

/// The number of `group`, a name or a number.
///
/// # Errors
/// [`SocketError::Group`] if there is no such group.
pub fn group_id(group: &str) -> Result<u32, SocketError> {
    if let Ok(number) = group.parse() {
        return Ok(number);
    }
    find(Path::new(GROUP_FILE), group)
}

fn find(file: &Path, group: &str) -> Result<u32, SocketError> {
    let shown = file.display();
    let failed = |error: std::io::Error| {
        SocketError::Group(format!(
            "cannot look up the group {group:?} in {shown}: {error}; give the group as a number"
        ))
    };
    for line in BufReader::new(File::open(file).map_err(failed)?).split(b'\n') {
        let line = line.map_err(failed)?;
        let mut fields = line.split(|byte| *byte == b':');
        if fields.next() != Some(group.as_bytes()) {
            continue;
        }
        let number = fields
            .nth(1)
            .and_then(|field| std::str::from_utf8(field).ok())
            .and_then(|field| field.parse().ok());
        if let Some(number) = number {
            return Ok(number);
        }
    }
    Err(SocketError::Group(format!(
        "the group {group:?} is not in {shown}; create it, or set `group` to a name listed there \
         or to a number"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_understood() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("group");
        std::fs::write(
            &file,
            "root:x:0:\nbroken\nwazuh:x:997:someone\nwazuh2:x:998:\n",
        )
        .unwrap();
        assert_eq!(find(&file, "wazuh").unwrap(), 997);
        assert_eq!(find(&file, "root").unwrap(), 0);
        assert_eq!(group_id("4711").unwrap(), 4711);
        for missing in ["wazu", "broken", "997:", ""] {
            let message = find(&file, missing).unwrap_err().to_string();
            assert!(message.contains(&format!("{missing:?}")), "{message}");
        }
        assert!(find(&dir.path().join("absent"), "wazuh").is_err());
    }
}
