//! `upgrade_versions`: which versions there are. Ours; a 4.x manager does not know it.

use wpk_wire::own::{Incomplete, ListedVersion};
use wpk_wire::{Item, Refusal, Response};

use crate::workshop::Workshop;

pub(super) async fn answer(workshop: &Workshop) -> Result<Response, Refusal> {
    let providers = || workshop.resolver.providers();
    let found = workshop.stock.look(&workshop.parts.directory, providers);
    let found = found
        .await
        .map_err(|error| Refusal::not_recognized(error.to_string()))?;
    let told = found.versions.iter();
    let mut items: Vec<Item> = told
        .map(|version| ListedVersion { version: *version }.to_item())
        .collect();
    if !found.incomplete.is_empty() {
        let incomplete = found.incomplete.clone();
        items.push(Incomplete { incomplete }.to_item());
    }
    Ok(Response::success(items))
}
