//! A provider written as its author would write it, and told by its settings
//! how to go wrong. With `mode = "good"` it serves one file.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use wpk_plugin::api::{
    BuildError, ByteStream, Context, Offer, OfferSource, ProviderError, Wanted, WpkProvider,
};
use wpk_plugin::async_trait;

/// The section `[[provider]] type = "odd"`.
#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// How it behaves.
    mode: Mode,
    /// The SHA-1 of the file it offers.
    #[serde(default)]
    sha1: Option<String>,
    /// How many bytes of 5 the file has.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100_000_000))]
    size: usize,
}

impl wpk_plugin::Section for Settings {
    fn schema() -> Option<wpk_plugin::Value> {
        wpk_plugin::schema_of::<Self>()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Mode {
    /// Nothing goes wrong.
    Good,
    /// Panics when it is made.
    PanicInOpen,
    /// Panics when it is asked for an offer.
    PanicInResolve,
    /// Ends the process when it is asked for an offer, on a thread of its own.
    AbortInResolve,
    /// Panics in the middle of the file.
    PanicInStream,
    /// Blocks both threads of its runtime when it is asked for an offer.
    BlockRuntime,
    /// Logs a great deal when it is asked for an offer, then serves.
    Shout,
}

struct Odd(Settings);

impl Odd {
    // What panics here is caught by the SDK; that is what this is for.
    #[allow(clippy::panic)]
    fn open(settings: Settings, _: &Context) -> Result<Self, BuildError> {
        tracing::info!(mode = ?settings.mode, "opened");
        if settings.mode == Mode::PanicInOpen {
            panic!("made to panic in open");
        }
        Ok(Self(settings))
    }
}

#[async_trait]
impl WpkProvider for Odd {
    fn serves(&self, wanted: &Wanted) -> bool {
        matches!(wanted, Wanted::Release(_))
    }

    async fn resolve(&self, _: &Wanted) -> Result<Offer, ProviderError> {
        match self.0.mode {
            Mode::PanicInResolve => panic!("made to panic in resolve"),
            Mode::AbortInResolve => std::process::abort(),
            Mode::BlockRuntime => {
                for _ in 0..8 {
                    tokio::spawn(async { std::thread::sleep(Duration::from_secs(3600)) });
                }
                tokio::task::yield_now().await;
            }
            Mode::Shout => {
                for line in 0..100_000 {
                    tracing::warn!(line, "shouting\nin two lines");
                }
            }
            _ => {}
        }
        let sha1 = self.0.sha1.as_deref().unwrap_or_default().parse();
        Ok(Offer {
            file_name: "odd.wpk".to_owned(),
            version: None,
            sha1: Some(sha1.map_err(|error| ProviderError::NoFile(format!("{error}")))?),
            source: OfferSource::Download("odd://file".to_owned()),
        })
    }

    async fn fetch(&self, _: &Offer) -> Result<ByteStream, ProviderError> {
        let breaks = self.0.mode == Mode::PanicInStream;
        let left = self.0.size;
        Ok(Box::pin(stream::unfold(left, move |left| async move {
            if breaks && left < 100_000 {
                panic!("made to panic in the stream");
            }
            let piece = left.min(10_000);
            let bytes = Bytes::from(vec![5; piece]);
            (piece > 0).then_some((Ok(bytes), left - piece))
        })))
    }
}

wpk_plugin::export_plugin! {
    provider "odd" = Odd::open;
}
