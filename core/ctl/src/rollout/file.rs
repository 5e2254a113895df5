//! The file of a definition. The daemon reads what it means; the tool only sends it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use wpk_wire::own::rollout::LONGEST_DEFINITION;

use crate::error::CtlError;

/// The text of a definition.
///
/// # Errors
/// [`CtlError::File`] if it cannot be read; [`CtlError::Usage`] if it is no text or longer
/// than the daemon reads.
pub(super) fn read(path: &Path) -> Result<String, CtlError> {
    let failed = |error| CtlError::file("read", path, error);
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    let most = u64::try_from(LONGEST_DEFINITION).unwrap_or(u64::MAX);
    file.take(most.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() > LONGEST_DEFINITION {
        return Err(CtlError::Usage(format!(
            "{} is longer than a definition may be ({LONGEST_DEFINITION} bytes)",
            path.display()
        )));
    }
    String::from_utf8(bytes).map_err(|_| {
        CtlError::Usage(format!(
            "{} is no UTF-8 text; is it the definition of a rollout?",
            path.display()
        ))
    })
}
