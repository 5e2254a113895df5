//! From the command line to checked settings. `run`, `check` and `examine` read
//! them in this one way, so that none of them can call good what another refuses.

use wpk_config::{self as config, Finding, Findings, Settings, Sources};

use crate::cli::Where;
use crate::registry::Registry;

/// Reads the settings, loads the libraries they name into `registry`, and checks
/// everything.
///
/// # Errors
/// Every mistake.
pub(crate) fn read(place: &Where, registry: &mut Registry) -> Result<Settings, Findings> {
    let home = place.home.as_ref().map(std::path::absolute).transpose();
    let home = home.map_err(|error| {
        Findings(vec![Finding {
            origin: Some("--home".to_owned()),
            key: String::new(),
            message: error.to_string(),
        }])
    })?;
    let mut fragments = config::collect(&Sources {
        file: place.config.clone(),
        home,
    });
    registry.load_libraries(&mut fragments);
    fragments.check(Some(&*registry))
}
