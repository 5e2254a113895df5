//! A manager that does not know a command, told apart from one that refuses.

use wpk_wire::UpgradeCode;

use super::client::Client;
use crate::error::CtlError;

/// A manager that does not know a command says so in the protocol's own texts; one that
/// knows it has words of its own.
pub(crate) fn explained(client: &Client, error: CtlError) -> CtlError {
    let CtlError::Refused {
        command,
        code,
        message,
    } = &error
    else {
        return error;
    };
    let unknown = match code.upgrade() {
        Some(UpgradeCode::RequiredParameters) => true,
        Some(UpgradeCode::NotRecognized) => message == UpgradeCode::NotRecognized.text(),
        _ => false,
    };
    if !unknown {
        return error;
    }
    CtlError::Unexpected(format!(
        "the manager at {} does not know `{command}`: commands of ours need a wpkd that has them; \
         update it",
        client.socket().display()
    ))
}
