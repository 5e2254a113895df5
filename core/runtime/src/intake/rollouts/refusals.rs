//! How a wish is refused: in the words of whoever refuses.

use wpk_api::StoreError;
use wpk_wire::Refusal;

/// A refusal in the words of whoever refuses.
pub(super) fn refused(words: impl Into<String>) -> Refusal {
    Refusal::not_recognized(words.into())
}

/// The store's.
pub(super) fn of_store(error: StoreError) -> Refusal {
    if error == StoreError::keeps_no_documents() {
        return refused(format!(
            "{error}. On a worker of a 4.x cluster ask on the master; several nodes need the store \"postgres\""
        ));
    }
    refused(error.to_string())
}
