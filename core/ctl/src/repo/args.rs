//! The options of `wpkctl repo`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use wpk_api::Version;

use crate::options::LinuxPackage;

#[derive(Debug, Subcommand)]
pub(crate) enum RepoCommand {
    /// Put WPKs at their place in a repository folder and list them in `versions`.
    Add(RepoAddArgs),
}

/// What is not given is taken from the file's name where that is one of a
/// repository (`wazuh_agent_v4.14.0_linux_amd64.deb.wpk`).
#[derive(Debug, Args)]
pub(crate) struct RepoAddArgs {
    /// The repository folder: what its URL shows.
    #[arg(long, value_name = "DIR")]
    pub(crate) repo: PathBuf,
    /// Version, vX.Y.Z.
    #[arg(short, long, value_name = "V")]
    pub(crate) version: Option<Version>,
    /// linux, windows, macos, or a distribution (ubuntu, centos, ...).
    #[arg(short, long, value_name = "NAME")]
    pub(crate) platform: Option<String>,
    /// Architecture, such as x86_64 or aarch64.
    #[arg(short, long)]
    pub(crate) arch: Option<String>,
    /// Type of the Linux package inside; from v4.9.0 on.
    #[arg(long, value_name = "TYPE")]
    pub(crate) package_type: Option<LinuxPackage>,
    /// Version of the distribution (22.04); only below v3.4.0.
    #[arg(long, value_name = "V")]
    pub(crate) os_version: Option<String>,
    /// Add only what is signed under this CA: a PEM file or a folder; repeatable.
    #[arg(long, value_name = "FILE|DIR")]
    pub(crate) ca: Vec<PathBuf>,
    /// WPK files.
    #[arg(value_name = "WPK", required = true)]
    pub(crate) files: Vec<PathBuf>,
}
