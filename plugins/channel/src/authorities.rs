//! An administrator's steps of the replacement of a CA, and how things stand. The directory
//! enters.

use std::sync::PoisonError;

use wpk_api::{CaCertificate, CaReport, CaStep, CaWish, DirectoryError};

use crate::announcing::digest;
use crate::certificate::{end, fingerprint};
use crate::core::Core;
use crate::pki::{PkiError, Step};
use crate::sharing;

/// Agents that are named in a report.
const MOST_BEHIND: usize = 1_000;

/// Takes a step of a replacement, has everything follow from it, and tells how things
/// stand. Writes to disk: not for an async thread.
///
/// # Errors
/// It is not the step to take, or agents would be cut off by it.
pub(crate) fn carry_out(core: &Core, wish: CaWish) -> Result<CaReport, DirectoryError> {
    // One at a time; what others did counts first.
    let mut unfollowed = (core.unfollowed.lock()).unwrap_or_else(PoisonError::into_inner);
    let shared = sharing::follow(core, &mut unfollowed).map_err(refused)?;
    let before = report(core);
    let (step, verb) = match wish.step {
        CaStep::Show => return Ok(before),
        CaStep::Replace => (Step::Replace, "made"),
        CaStep::Switch => (Step::Switch, "in use"),
        CaStep::Finish => (Step::Finish, "the only one"),
    };
    core.authority.may(step).map_err(refused)?;
    if !wish.force && step != Step::Replace && before.behind_count > 0 {
        let shown: Vec<String> = before
            .behind
            .iter()
            .take(20)
            .map(ToString::to_string)
            .collect();
        return Err(DirectoryError::Refused(format!(
            "{} of {} agents would be cut off, among them {}: wait until they have connected, or \
             give --force and enroll them again",
            before.behind_count,
            before.agents,
            shown.join(", ")
        )));
    }
    let stepped = core.authority.step(step).map_err(refused)?;
    sharing::announce(core, shared.as_ref(), &stepped, &mut unfollowed)?;
    core.authority.take(stepped);
    *unfollowed = true;
    sharing::follow(core, &mut unfollowed).map_err(refused)?;
    let ca = digest(&core.authority.now().signer().certificate);
    tracing::info!(
        ca,
        cut_off = before.behind_count,
        "the new CA of agents is {verb}"
    );
    Ok(report(core))
}

fn refused(error: PkiError) -> DirectoryError {
    match error {
        PkiError::Step(text) => DirectoryError::Refused(text),
        error => DirectoryError::Unavailable(error.to_string()),
    }
}

/// How things stand: which CAs there are, and who would be cut off by the next step.
fn report(core: &Core) -> CaReport {
    let now = core.authority.now();
    let one = |certificate: &[u8], state: &str| CaCertificate {
        sha256: digest(certificate),
        state: state.to_owned(),
        end: end(certificate).unwrap_or_default(),
    };
    let mut authorities = vec![one(&now.current.certificate, "in use")];
    let behind = if let Some(next) = &now.next {
        authorities.push(one(&next.certificate, "new"));
        core.registry.distrusting(&digest(&next.certificate))
    } else if let Some((old, _)) = &now.old {
        authorities.push(one(old, "old"));
        core.registry
            .not_issued_by(&fingerprint(&now.current.certificate))
    } else {
        Vec::new()
    };
    let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    CaReport {
        authorities,
        manager_end: core.identity.end(),
        agents: count(core.registry.len()),
        behind_count: count(behind.len()),
        behind: behind.into_iter().take(MOST_BEHIND).collect(),
    }
}
