//! The options of `wpkctl upgrade`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use wpk_api::{PackageType, ParseVersionError, Version};
use wpk_wire::{CustomParams, LONGEST_CA, UpgradeParams};

use crate::error::CtlError;
use crate::manager::ask::{Ask, absolute};
use crate::options::{LinuxPackage, pause};
use crate::output::Output;
use crate::package::certificates::trusted;
use crate::watch::args::PaceArgs;
use crate::who::{self, Who};

#[derive(Debug, Args)]
#[command(group = who::or(&["all"]))]
pub(crate) struct UpgradeArgs {
    #[command(flatten)]
    pub(crate) who: Who,
    /// Every agent that the manager lists.
    #[arg(long)]
    pub(crate) all: bool,
    /// Target version, vX.Y.Z. Absent: the manager decides.
    #[arg(short, long, value_name = "V", value_parser = version)]
    pub(crate) version: Option<String>,
    /// Repository instead of the configured one.
    #[arg(short, long, value_name = "URL")]
    pub(crate) repository: Option<String>,
    /// Skip the checks of versions: allows downgrades and targets above the manager's version.
    #[arg(short = 'F', long)]
    pub(crate) force: bool,
    /// Speak HTTP with a repository that names no scheme.
    #[arg(long)]
    pub(crate) http: bool,
    /// Type of package for Linux agents whose own type is not known.
    #[arg(long, value_name = "TYPE")]
    pub(crate) package_type: Option<LinuxPackage>,
    /// Upgrade from this WPK file on the manager instead of a repository. One that is not there,
    /// is no WPK or is signed by nobody who is trusted is refused before any agent is touched.
    #[arg(short, long, value_name = "WPK", conflicts_with_all = ["version", "repository", "force", "http", "package_type"])]
    pub(crate) file: Option<PathBuf>,
    /// A CA of which one must have signed the file: a PEM file or a folder, read here; repeatable.
    /// Absent: as the manager is set up (cache.verify_signature).
    #[arg(long, value_name = "FILE|DIR", requires = "file")]
    pub(crate) ca: Vec<PathBuf>,
    /// The installer inside the WPK file; absent: upgrade.sh, or upgrade.bat for Windows.
    #[arg(short = 'x', long, value_name = "NAME", requires = "file")]
    pub(crate) installer: Option<String>,
    /// Tell for each agent what would be done, and change nothing.
    #[arg(long, conflicts_with = "watch")]
    pub(crate) dry_run: bool,
    /// Watch until every task has ended and every new version was seen, as far as the manager
    /// looks for it (tasks.confirm_within), then print a table.
    #[arg(short, long)]
    pub(crate) watch: bool,
    /// How long to wait for new versions to be seen once every task has ended, 0s for not at
    /// all. Absent: until the manager has decided.
    #[arg(long, value_name = "TIME", requires = "watch", value_parser = pause)]
    pub(crate) confirm_for: Option<Duration>,
    #[command(flatten)]
    pub(crate) pace: PaceArgs,
}

/// As it was written: only whether it is one is looked at.
fn version(text: &str) -> Result<String, ParseVersionError> {
    text.parse::<Version>().map(|_| text.to_owned())
}

impl UpgradeArgs {
    /// What to send.
    ///
    /// # Errors
    /// [`CtlError::Usage`] if the path of the file is no UTF-8, [`CtlError::Ca`] if there is
    /// no CA in what `--ca` names.
    pub(super) fn ask(&self, out: &Output) -> Result<Ask, CtlError> {
        let Some(file) = &self.file else {
            return Ok(Ask::Release(UpgradeParams {
                wpk_repo: self.repository.clone(),
                version: self.version.clone(),
                use_http: self.http,
                force_upgrade: self.force,
                package_type: self.package_type.map(PackageType::from),
                dry_run: self.dry_run,
                names_file: false,
            }));
        };
        Ok(Ask::File(CustomParams {
            file_path: Some(absolute(file)?),
            installer: self.installer.clone(),
            dry_run: self.dry_run,
            check_file: true,
            ca: self.authorities(out)?,
        }))
    }

    /// The CAs of `--ca`, PEM.
    fn authorities(&self, out: &Output) -> Result<Option<String>, CtlError> {
        let ca = trusted(&self.ca, out)?.map(|store| store.to_pem());
        match &ca {
            Some(pem) if pem.len() > LONGEST_CA => Err(CtlError::Usage(format!(
                "the CAs of --ca are {} bytes, and {LONGEST_CA} may be sent; name only those \
                 that sign packages",
                pem.len()
            ))),
            _ => Ok(ca),
        }
    }
}
