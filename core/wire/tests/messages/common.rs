//! What most of these ask.

use wpk_wire::{AskedId, Dialect, Refusal, UpgradeRequest};

pub(crate) const BOTH: [Dialect; 2] = [Dialect::Documented, Dialect::Wazuh4];

pub(crate) fn parse(text: &str, dialect: Dialect) -> Result<UpgradeRequest, Refusal> {
    UpgradeRequest::parse(text.as_bytes(), dialect)
}

pub(crate) fn asked<const N: usize>(ids: [i64; N]) -> Vec<AskedId> {
    ids.map(AskedId::from).to_vec()
}

pub(crate) fn code(text: &str, dialect: Dialect) -> u8 {
    parse(text, dialect).map_or_else(|refusal| refusal.code().number(), |_| 0)
}
