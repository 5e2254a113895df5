//! Plugins that are dynamic libraries, built by the test that loads them.

use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// The folder of `wpk_plugin.h`.
pub const INCLUDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../abi/include");

/// A library in a folder of its own that a daemon would load it from: owner
/// and modes are right. Removed when dropped; what is loaded stays loaded.
#[derive(Debug)]
pub struct Library {
    /// Keeps the folder.
    _folder: TempDir,
    path: PathBuf,
}

impl Library {
    /// All built-in plugins behind the border: each under its `type` with
    /// `border-` in front, for example `border-sqlite`.
    ///
    /// # Errors
    /// What went wrong with the build.
    pub fn builtins() -> io::Result<Self> {
        Self::of_package("wpk-border")
    }

    /// Builds the `cdylib` of a package of this workspace.
    ///
    /// # Errors
    /// What went wrong with the build.
    pub fn of_package(package: &str) -> io::Result<Self> {
        let folder = crate::process::build(&[package])?;
        Self::copy(&folder.join(file_name(package)))
    }

    /// Compiles one C file with the header; `defines` are `NAME=VALUE`.
    ///
    /// # Errors
    /// What the compiler said.
    pub fn of_c(source: &Path, defines: &[&str]) -> io::Result<Self> {
        let (folder, path) = place("plugin.so")?;
        let defines = defines.iter().map(|define| format!("-D{define}"));
        let output = Command::new("cc")
            .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-pthread"])
            .args(["-shared", "-fPIC", "-fvisibility=hidden", "-I", INCLUDE])
            .args(defines)
            .arg(source)
            .arg("-o")
            .arg(&path)
            .output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(io::Error::other(format!("{}: {said}", source.display())));
        }
        Self::ready(folder, path)
    }

    /// Copies a library that is built already.
    ///
    /// # Errors
    /// Those of copying.
    pub fn copy(from: &Path) -> io::Result<Self> {
        let (folder, path) = place("plugin.so")?;
        std::fs::copy(from, &path)
            .map_err(|error| io::Error::other(format!("{}: {error}", from.display())))?;
        Self::ready(folder, path)
    }

    fn ready(folder: TempDir, path: PathBuf) -> io::Result<Self> {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644))?;
        Ok(Self {
            _folder: folder,
            path,
        })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The name cargo gives the `cdylib` of a package.
pub fn file_name(package: &str) -> String {
    format!("lib{}.so", package.replace('-', "_"))
}

fn place(name: &str) -> io::Result<(TempDir, PathBuf)> {
    let folder = tempfile::tempdir()?;
    let inner = folder.path().join("plugins");
    std::fs::DirBuilder::new().mode(0o755).create(&inner)?;
    let path = inner.join(name);
    Ok((folder, path))
}
