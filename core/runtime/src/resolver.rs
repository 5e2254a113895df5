//! Which file answers a wish: asks the providers in order, once for all agents
//! that want the same at the same time. A provider that is out of service (a
//! plugin in quarantine) is passed over for the next that serves the wish, and so
//! is a mirror that cannot be reached, or does not have the release: [`Resolver::next`]
//! goes on where one did not keep its word. A repository that the request named is
//! asked of one provider alone: the others would ask the same place again.

use std::sync::{Arc, PoisonError, RwLock};

use tracing::debug;
use wpk_api::words::{LONGEST_CAUSE, clean};
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
    providers: RwLock<Vec<Arc<dyn WpkProvider>>>,
    /// By wish, and by how many of the providers are left out.
    flights: SingleFlight<(Arc<Wanted>, usize), Result<Resolved, ProviderError>>,
}

impl Resolver {
    pub(crate) fn new(providers: Vec<Arc<dyn WpkProvider>>) -> Self {
        Self {
            providers: RwLock::new(providers),
            flights: SingleFlight::new(),
        }
    }

    /// Asks other providers from now on; who is being asked goes on.
    pub(crate) fn set_providers(&self, providers: Vec<Arc<dyn WpkProvider>>) {
        let mut here = (self.providers.write()).unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *here, providers);
        drop(here);
        // What they hold may take a moment to close.
        drop(before);
    }

    /// The offer of the first provider that serves the wish, is in service and has
    /// what is wanted.
    ///
    /// # Errors
    /// What all that were asked said.
    pub(crate) fn resolve(
        &self,
        wanted: &Wanted,
    ) -> impl Future<Output = Result<Resolved, ProviderError>> + Send {
        self.from(0, wanted)
    }

    /// The offer of those behind the one that made `before`, whose file could not be
    /// had; `None`: there is none.
    pub(crate) async fn next(&self, wanted: &Wanted, before: &Resolved) -> Option<Resolved> {
        if !has_mirrors(wanted) {
            return None;
        }
        let providers = self.providers();
        let same = |provider| Arc::ptr_eq(provider, &before.provider);
        let from = providers.iter().position(same)? + 1;
        self.from(from, wanted).await.ok()
    }

    fn from(
        &self,
        first: usize,
        wanted: &Wanted,
    ) -> impl Future<Output = Result<Resolved, ProviderError>> + Send {
        let providers = self.providers().into_iter().skip(first).collect();
        // Shared: it is part of every task that waits for its file.
        let wanted = Arc::new(wanted.clone());
        let asked = wanted.clone();
        self.flights
            .run((wanted, first), move || ask(providers, asked))
    }

    /// Those that are asked now, in order.
    pub(crate) fn providers(&self) -> Vec<Arc<dyn WpkProvider>> {
        let providers = self.providers.read();
        providers.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Whether several providers may have the same.
fn has_mirrors(wanted: &Wanted) -> bool {
    matches!(wanted, Wanted::Release(release) if release.repository.is_none())
}

/// The answer of the first of `providers` that serves the wish, is in service,
/// stays so until it has answered, and has it.
async fn ask(
    providers: Vec<Arc<dyn WpkProvider>>,
    wanted: Arc<Wanted>,
) -> Result<Resolved, ProviderError> {
    let mut errors = Vec::new();
    for provider in providers {
        if !provider.would_serve(&wanted).await {
            continue;
        }
        let answer = match provider.out_of_service() {
            None => provider.resolve(&wanted).await,
            Some(reason) => Err(ProviderError::NotReachable(reason)),
        };
        let answer = answer.and_then(|offer| check_name(&offer.file_name).map(|()| offer));
        let error = match (answer, provider.out_of_service()) {
            (Ok(offer), _) => return Ok(Resolved { offer, provider }),
            (Err(_), Some(reason)) => ProviderError::NotReachable(reason),
            (Err(error), None) if has_mirrors(&wanted) => error,
            (Err(error), None) => {
                errors.push(error);
                break;
            }
        };
        let cause = clean(&error.to_string(), LONGEST_CAUSE);
        debug!(cause, "a provider does not have it; the next is asked");
        errors.push(error);
    }
    Err(all(errors).unwrap_or_else(|| nobody_serves(&wanted)))
}

/// One error of several: of the kind of the first that was reached, in the words of
/// all of them.
fn all(errors: Vec<ProviderError>) -> Option<ProviderError> {
    let unreached = |error: &&ProviderError| matches!(error, ProviderError::NotReachable(_));
    let kind = errors.iter().find(|error| !unreached(error));
    let kind = kind.or(errors.first())?.clone();
    let [_, _, ..] = errors.as_slice() else {
        return Some(kind);
    };
    let words: Vec<&str> = errors.iter().map(ProviderError::cause).collect();
    let words = words.join("; ");
    Some(match kind {
        ProviderError::NoPackage(_) => ProviderError::NoPackage(words),
        ProviderError::NotReachable(_) => ProviderError::NotReachable(words),
        ProviderError::NotListed(_) => ProviderError::NotListed(words),
        ProviderError::NoFile(_) => ProviderError::NoFile(words),
    })
}

fn nobody_serves(wanted: &Wanted) -> ProviderError {
    match wanted {
        Wanted::Release(_) => {
            ProviderError::NotReachable("no configured provider serves `upgrade`".into())
        }
        Wanted::File(_) => {
            ProviderError::NoFile("no configured provider serves `upgrade_custom`".into())
        }
    }
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
    use std::time::Duration;

    use async_trait::async_trait;
    use wpk_api::{ByteStream, OfferSource, WantedFile};

    use super::*;

    /// Behind a border: whoever cannot wait for its answer blocks a thread.
    struct Far {
        serves_after: Duration,
    }

    #[async_trait]
    impl WpkProvider for Far {
        fn serves(&self, _: &Wanted) -> bool {
            panic!("asked without waiting")
        }

        async fn would_serve(&self, _: &Wanted) -> bool {
            tokio::time::sleep(self.serves_after).await;
            true
        }

        async fn resolve(&self, _: &Wanted) -> Result<Offer, ProviderError> {
            Ok(Offer {
                file_name: "far.wpk".into(),
                version: None,
                sha1: None,
                source: OfferSource::Local("/far.wpk".into()),
            })
        }

        async fn fetch(&self, _: &Offer) -> Result<ByteStream, ProviderError> {
            Err(ProviderError::NoFile("never asked".into()))
        }
    }

    fn file() -> Wanted {
        Wanted::File(WantedFile { path: None })
    }

    #[tokio::test(start_paused = true)]
    async fn a_provider_may_take_its_time_to_say_what_it_serves() {
        let serves_after = Duration::from_secs(4);
        let resolver = Resolver::new(vec![Arc::new(Far { serves_after })]);
        let wish = file();
        let hasty = tokio::time::timeout(Duration::from_secs(3), resolver.resolve(&wish));
        assert!(hasty.await.is_err());
        let resolved = resolver.resolve(&wish).await.unwrap();
        assert_eq!(resolved.offer.file_name, "far.wpk");
    }

    #[tokio::test]
    async fn without_a_provider_the_code_is_that_of_the_command() {
        let error = Resolver::new(Vec::new()).resolve(&file()).await.err();
        assert!(matches!(error, Some(ProviderError::NoFile(_))));
    }

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
