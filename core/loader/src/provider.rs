//! A provider behind the border.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tracing::warn;
use wpk_abi::Operation;
use wpk_api::border::{Opened, Wishes};
use wpk_api::{ByteStream, Listed, Offer, ProviderError, Wanted, WantedRelease, WpkProvider};

use crate::failure::CallError;
use crate::instance::{self, Instance};

/// Answers to `serves` that are remembered.
const REMEMBERED: usize = 1024;
/// The minor version since which providers are asked which versions there are.
const VERSIONS: u16 = 6;

struct Provider {
    instance: Instance,
    /// `serves` is asked for every task and always answers the same.
    serves: Mutex<HashMap<Wanted, bool>>,
}

pub(crate) fn make(instance: Instance, _: Opened) -> Arc<dyn WpkProvider> {
    Arc::new(Provider {
        instance,
        serves: Mutex::default(),
    })
}

impl Provider {
    fn remembered(&self, wanted: &Wanted) -> Option<bool> {
        let serves = self.serves.lock().unwrap_or_else(PoisonError::into_inner);
        serves.get(wanted).copied()
    }

    /// What an answer to `serves` comes to, remembered if it was one.
    fn conclude(&self, wanted: &Wanted, answer: Result<bool, CallError>) -> bool {
        match answer {
            Ok(answer) => {
                let mut serves = self.serves.lock().unwrap_or_else(PoisonError::into_inner);
                if serves.len() >= REMEMBERED {
                    serves.clear();
                }
                serves.insert(wanted.clone(), answer);
                answer
            }
            // It may be the one; whoever asks it hears why it cannot answer.
            Err(CallError::Quarantined(_)) => true,
            Err(error) => {
                warn!(plugin = self.instance.border().name(), %error, "the provider is passed over");
                false
            }
        }
    }

    /// Asks on this thread, which waits.
    fn ask_here(&self, wanted: &Wanted) -> Result<bool, CallError> {
        let border = self.instance.border();
        let answer = instance::ask_now(border, self.instance.handle(), Operation::Serves, wanted)?;
        instance::read(border, Operation::Serves, &answer.json)
    }
}

#[async_trait]
impl WpkProvider for Provider {
    fn serves(&self, wanted: &Wanted) -> bool {
        self.remembered(wanted)
            .unwrap_or_else(|| self.conclude(wanted, self.ask_here(wanted)))
    }

    async fn would_serve(&self, wanted: &Wanted) -> bool {
        match self.remembered(wanted) {
            Some(known) => known,
            None => {
                let answer = self.instance.ask_for(Operation::Serves, wanted).await;
                self.conclude(wanted, answer)
            }
        }
    }

    fn out_of_service(&self) -> Option<String> {
        let border = self.instance.border();
        let reason = border.quarantined()?;
        let name = border.name();
        Some(format!(
            "plugin {name} is quarantined until wpkd is restarted: {reason}"
        ))
    }

    async fn resolve(&self, wanted: &Wanted) -> Result<Offer, ProviderError> {
        let answer = self.instance.ask_for(Operation::Resolve, wanted).await;
        answer.map_err(|error| error.provider(ProviderError::NotReachable))
    }

    async fn fetch(&self, offer: &Offer) -> Result<ByteStream, ProviderError> {
        let answer = self
            .instance
            .ask(Operation::Fetch, offer, Bytes::new())
            .await;
        let stream = answer
            .map_err(|error| error.provider(ProviderError::NoFile))?
            .handle;
        let pulled = (self.instance.clone(), Some(stream));
        let pieces = stream::unfold(pulled, |(instance, stream)| async move {
            let stream = stream?;
            match instance.next(&stream).await {
                Ok(Some(bytes)) => Some((Ok(bytes), (instance, Some(stream)))),
                Ok(None) => None,
                Err(error) => {
                    let error = error.provider(ProviderError::NoFile);
                    Some((Err(error), (instance, None)))
                }
            }
        });
        // Whoever asks again after the end is told so again.
        Ok(Box::pin(pieces.fuse()))
    }

    async fn versions(&self, wishes: &[WantedRelease]) -> Result<Option<Listed>, ProviderError> {
        if !self.instance.border().speaks(VERSIONS) {
            return Ok(None);
        }
        let wishes = Wishes {
            wishes: wishes.to_vec(),
        };
        let answer = self.instance.ask_for(Operation::Versions, &wishes);
        match answer.await {
            Err(error) if error.is_unsupported() => Ok(None),
            answer => answer.map_err(|error| error.provider(ProviderError::NotReachable)),
        }
    }
}
