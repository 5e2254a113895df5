//! Tells agents which CAs to trust: one that renews and trusts others than ours hears of it
//! with its welcome, all of them when a CA is replaced. Sessions enter, and whoever changed
//! the CAs.

use wpk_wire::ChannelMessage;
use wpk_wire::channel::Authorities;

use crate::certificate::fingerprint;
use crate::core::Core;
use crate::link::Link;
use crate::pki::PkiError;

/// Announces our CAs where the agent trusts others, or has a certificate of one that goes.
pub(crate) fn announce(core: &Core, link: &Link, trusts: &[String]) {
    if !link.renews {
        return;
    }
    let authorities = core.authority.now();
    let ours = authorities.certificates();
    let same = ours.len() == trusts.len() && ours.iter().all(|one| trusts.contains(&digest(one)));
    let renew = core.registry.issuer(link.agent) != Some(core.authority.issuer());
    if !same || (renew && ours.len() > 1) {
        // One that finds no room is told with its next welcome.
        link.send(&ChannelMessage::Authorities(Authorities {
            ca: authorities.pem(),
            renew,
        }));
    }
}

/// Has everything follow from the CAs as they are now.
///
/// # Errors
/// One of them cannot be used, or there is no certificate for this manager.
pub(crate) fn follow(core: &Core) -> Result<(), PkiError> {
    let trusted = core.authority.now().certificates();
    core.judge.trust(&trusted).map_err(PkiError::Trust)?;
    core.identity.replace(core.authority.manager_certificate()?);
    for link in core.links.all() {
        announce(core, &link, &[]);
    }
    Ok(())
}

/// The CAs of the moment: what an agent trusts that enrolls now.
pub(crate) fn trusted(core: &Core) -> Vec<String> {
    let certificates = core.authority.now().certificates();
    certificates.iter().map(|one| digest(one)).collect()
}

/// SHA-256 of a certificate (DER), hexadecimal.
pub(crate) fn digest(certificate: &[u8]) -> String {
    let digits = fingerprint(certificate).into_iter();
    digits.map(|byte| format!("{byte:02x}")).collect()
}
