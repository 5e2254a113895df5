//! One style of modules: a module of several files is a folder with a `mod.rs`,
//! as it must be for what the integration tests of a crate share.

use std::path::{Path, PathBuf};

use crate::tree::{crates, rust_files, shown};

/// Files that stand beside the folder of their module.
fn beside_their_folder(root: &Path) -> Vec<PathBuf> {
    let files = rust_files(root).into_iter();
    files
        .filter(|file| file.with_extension("").is_dir())
        .collect()
}

#[test]
fn modules_have_one_style() {
    let found: Vec<_> = crates()
        .iter()
        .flat_map(|folder| beside_their_folder(&folder.join("src")))
        .map(|file| format!("{}: move it into its folder as mod.rs", shown(&file)))
        .collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn a_file_beside_its_folder_is_found() {
    let home = crate::tree::made(&[
        ("a/mod.rs", ""),
        ("a/x.rs", ""),
        ("b.rs", ""),
        ("b/x.rs", ""),
    ]);
    assert_eq!(beside_their_folder(home.path()), [home.path().join("b.rs")]);
}
