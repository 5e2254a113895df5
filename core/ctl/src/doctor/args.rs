//! The options of `wpkctl doctor`.

use std::path::PathBuf;

use clap::Args;
use wpk_api::AgentId;

use crate::ids;
use crate::options::LinuxPackage;

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Look at this agent too: whether it is listed and active, and what a dry run says.
    /// Its platform is the one whose files are looked at.
    #[arg(long, value_name = "ID", value_parser = ids::number)]
    pub(super) agent: Option<AgentId>,
    /// Platform whose files are looked at.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "linux",
        conflicts_with = "agent"
    )]
    pub(super) platform: String,
    /// Its architecture.
    #[arg(long, default_value = "x86_64", conflicts_with = "agent")]
    pub(super) arch: String,
    /// Its type of package, for Linux.
    #[arg(long, value_name = "TYPE", default_value = "deb")]
    pub(super) package_type: LinuxPackage,
    /// Download the N newest listed files of that platform, or all of them, and check their SHA-1.
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "100000")]
    pub(super) download: Option<usize>,
    /// Check the signature of this WPK; absent: of one that was downloaded.
    #[arg(long, value_name = "FILE")]
    pub(super) wpk: Option<PathBuf>,
    /// Trusted CA: a PEM file or a folder; repeatable; absent: as configured.
    #[arg(long, value_name = "FILE|DIR")]
    pub(super) ca: Vec<PathBuf>,
}
