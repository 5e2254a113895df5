//! Whether the file of an `upgrade_custom` can be sent, before anything is created for it:
//! it is there, a WPK, and signed by whom it must be. 4.x does not look, and what its
//! clients ask is answered as there; a dry run and our own tool ask for it.

use std::time::Duration;

use tracing::warn;
use wpk_api::{OfferSource, Wanted, WantedFile};
use wpk_package::CaStore;
use wpk_wire::UpgradeCode;

use crate::failure::Failure;
use crate::trust::Expected;
use crate::workshop::Workshop;

/// How long a request waits for a file to be found, and how long to be read through.
const FOUND_WITHIN: Duration = Duration::from_secs(30);
const READ_WITHIN: Duration = Duration::from_secs(60);

/// Looks at it; with `ca`, PEM, one of these CAs must have signed it. `installer` must be in it.
///
/// # Errors
/// Why it cannot be sent, with its path and what to do.
pub(super) async fn examine(
    workshop: &Workshop,
    file: &WantedFile,
    ca: Option<&str>,
    installer: Option<String>,
) -> Result<(), Failure> {
    let authorities = ca.map(|pem| CaStore::from_pem(pem.as_bytes())).transpose();
    let authorities = authorities.map_err(|error| Failure::local(error.to_string()))?;
    let given = authorities.is_some();
    let expected = Expected {
        authorities,
        installer,
    };
    let wanted = Wanted::File(file.clone());
    let looked = async {
        let found = tokio::time::timeout(FOUND_WITHIN, workshop.resolver.resolve(&wanted)).await;
        let late = || Failure::local("the file was not found within 30 s; ask again");
        let resolved = found.map_err(|_| late())?.map_err(Failure::from)?;
        // What is downloaded is looked at when it is here.
        if let OfferSource::Download(_) = resolved.offer.source {
            return Ok(());
        }
        let file = workshop.cache.get(&resolved).await?;
        let now = workshop.now();
        workshop.cache.examine(&file, expected, now).await
    };
    match tokio::time::timeout(READ_WITHIN, looked).await {
        Ok(looked) => looked.map_err(|failure| advised(workshop, failure, given)),
        Err(_) => Err(Failure::local(
            "the file was not read within 60 s; ask again, or without the check of the file",
        )),
    }
}

/// The same, with what to do.
fn advised(workshop: &Workshop, failure: Failure, given: bool) -> Failure {
    let advice = match failure.code {
        UpgradeCode::FileNotFound => "it must lie on the manager, where the daemon may read it",
        _ if workshop.settings.cache.verify_signature && !given => {
            "`wpkctl package inspect` shows what it is and who signed it, cache.ca_store says \
             whom this manager trusts"
        }
        _ => "`wpkctl package inspect` shows what it is and who signed it",
    };
    let cause = format!("{}; {advice}", failure.cause);
    warn!(code = %failure.code.code(), cause, "the file of an `upgrade_custom` is refused");
    Failure::new(failure.code, cause)
}
