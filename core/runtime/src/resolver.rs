//! Which file answers a wish: asks the providers in order, once for all agents
//! that want the same at the same time. A provider that is out of service (a
//! plugin in quarantine) is passed over for the next that serves the wish.

use std::sync::Arc;

use tracing::warn;
use wpk_api::{Offer, ProviderError, Wanted, WpkProvider};

use crate::single_flight::SingleFlight;

/// An offer and the provider it came from.
#[derive(Clone)]
pub(crate) struct Resolved {
    pub(crate) offer: Offer,
    pub(crate) provider: Arc<dyn WpkProvider>,
}

/// Asks the providers.
pub(crate) struct Resolver {
    providers: Vec<Arc<dyn WpkProvider>>,
    flights: SingleFlight<Wanted, Result<Resolved, ProviderError>>,
}

impl Resolver {
    pub(crate) fn new(providers: Vec<Arc<dyn WpkProvider>>) -> Self {
        Self {
            providers,
            flights: SingleFlight::new(),
        }
    }

    /// The offer of the first provider that serves the wish and is in service.
    pub(crate) async fn resolve(&self, wanted: &Wanted) -> Result<Resolved, ProviderError> {
        let serving: Vec<_> = (self.providers.iter())
            .filter(|provider| provider.serves(wanted))
            .cloned()
            .collect();
        if serving.is_empty() {
            return Err(match wanted {
                Wanted::Release(_) => {
                    ProviderError::NotReachable("no configured provider serves `upgrade`".into())
                }
                Wanted::File(_) => {
                    ProviderError::NoFile("no configured provider serves `upgrade_custom`".into())
                }
            });
        }
        let asked = wanted.clone();
        self.flights
            .run(wanted.clone(), || ask(serving, asked))
            .await
    }
}

/// The answer of the first of `providers` that is in service, and stays so until
/// it has answered.
async fn ask(
    providers: Vec<Arc<dyn WpkProvider>>,
    wanted: Wanted,
) -> Result<Resolved, ProviderError> {
    let mut out_of_service = Vec::new();
    for provider in providers {
        let answer = match provider.out_of_service() {
            None => provider.resolve(&wanted).await,
            Some(reason) => Err(ProviderError::NotReachable(reason)),
        };
        match (answer, provider.out_of_service()) {
            (Ok(offer), _) => {
                check_name(&offer.file_name)?;
                return Ok(Resolved { offer, provider });
            }
            (Err(error), None) => return Err(error),
            (Err(_), Some(reason)) => {
                warn!(%reason, "a provider is out of service; the next is asked");
                out_of_service.push(reason);
            }
        }
    }
    Err(ProviderError::NotReachable(out_of_service.join("; ")))
}

/// A provider may be a third party's: its file name is a path on this machine
/// and on the agent, so only a bare name passes.
fn check_name(name: &str) -> Result<(), ProviderError> {
    let bare = !name.is_empty()
        && name.len() <= 200
        && name != "."
        && name != ".."
        && !name.contains(['/', '\\'])
        && !name.chars().any(char::is_control);
    if bare {
        Ok(())
    } else {
        Err(ProviderError::NoFile(format!(
            "the provider offers {name:?}, which is no bare file name"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bare_names_pass() {
        for good in [
            "wazuh_agent_v4.14.0_linux_amd64.deb.wpk",
            "a b.wpk",
            "..wpk",
        ] {
            assert!(check_name(good).is_ok(), "{good:?}");
        }
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "../a",
            "a\\b",
            "a\nb",
            &"x".repeat(201),
        ] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
