//! `upgrade_versions`: which versions there are. Ours; a 4.x manager does not know it.

use wpk_wire::own::{AskVersions, Incomplete, ListedVersion};
use wpk_wire::{Item, Refusal, Response};

use crate::workshop::Workshop;

pub(super) async fn answer(workshop: &Workshop) -> Result<Response, Refusal> {
    let providers = || workshop.resolver.providers();
    let found = workshop.stock.look(&workshop.parts.directory, providers);
    let found = found
        .await
        .map_err(|error| Refusal::not_recognized(error.to_string()))?;
    let mut reasons = found.incomplete.clone();
    if found.versions.len() > AskVersions::MOST {
        reasons.push(format!("only the newest {} are told", AskVersions::MOST));
    }
    reasons.truncate(Incomplete::MOST);
    let told = found.versions.iter().take(AskVersions::MOST);
    let mut items: Vec<Item> = told
        .map(|version| ListedVersion { version: *version }.to_item())
        .collect();
    if !reasons.is_empty() {
        let incomplete = reasons.into_iter().map(Into::into).collect();
        items.push(Incomplete { incomplete }.to_item());
    }
    Ok(Response::success(items))
}
