//! The options of `wpkctl doctor`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use wpk_api::{PackageType, Platform, repository};

use crate::options::{LinuxPackage, duration};
use crate::who::OneAgent;

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Look at this agent (an id or a name) too: whether it is listed and active, and what a dry run says.
    /// Its platform is the one whose files are looked at.
    #[arg(long, value_name = "AGENT")]
    pub(super) agent: Option<OneAgent>,
    /// Platform whose files are looked at.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "linux",
        conflicts_with = "agent"
    )]
    platform: String,
    /// Its architecture.
    #[arg(long, default_value = "x86_64", conflicts_with = "agent")]
    arch: String,
    /// Its type of package, for Linux.
    #[arg(long, value_name = "TYPE", default_value = "deb")]
    package_type: LinuxPackage,
    /// Download the N newest listed files of that platform, or all of them, and check their SHA-1.
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "100000")]
    pub(super) download: Option<usize>,
    /// Check the signature of this WPK; absent: of one that was downloaded.
    #[arg(long, value_name = "FILE")]
    pub(super) wpk: Option<PathBuf>,
    /// Trusted CA: a PEM file or a folder; repeatable; absent: as configured.
    #[arg(long, value_name = "FILE|DIR")]
    pub(super) ca: Vec<PathBuf>,
    /// How long the daemon may look at all of it; absent: 2m, with --download 2h.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
}

impl DoctorArgs {
    /// How long the daemon may look.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(match self.download {
            None => Duration::from_secs(2 * 60),
            Some(_) => Duration::from_secs(2 * 3_600),
        })
    }

    /// The platform that was named.
    pub(super) fn platform(&self) -> Platform {
        repository::platform(&self.platform, None, Some(&self.arch))
    }

    /// The type of a platform's packages: its own, else the one that was named.
    pub(super) fn package_type(&self, platform: &Platform) -> PackageType {
        let own = platform.name.as_deref().and_then(PackageType::of_platform);
        own.unwrap_or(self.package_type.into())
    }
}
