//! Whether a database can lie where the settings say, as far as that shows without
//! opening it.

use std::path::Path;

/// Why no database can lie at `file`; what to do is said.
pub fn misplaced(file: &Path) -> Option<String> {
    let shown = file.display();
    let folder = file.ancestors().skip(1).find(|folder| folder.exists())?;
    if !folder.is_dir() {
        return Some(format!(
            "{shown}: {} is no folder; move it away, or name another place",
            folder.display()
        ));
    }
    file.is_dir()
        .then(|| format!("{shown} is a folder; name a file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_and_what_lies_below_a_file_are_no_places() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        assert_eq!(misplaced(&file.join("b/c.db")), None, "folders are made");
        std::fs::write(&file, "").unwrap();
        assert_eq!(misplaced(&file), None);
        let below = misplaced(&file.join("b/c.db")).unwrap();
        assert!(below.contains("a is no folder"), "{below}");
        let itself = misplaced(folder.path()).unwrap();
        assert!(itself.ends_with("is a folder; name a file"), "{itself}");
    }
}
