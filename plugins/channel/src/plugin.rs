//! How the channel enters a daemon: one [`ChannelPlugin`], three plugins that open
//! one shared [`Channel`].

use std::sync::{Arc, Mutex, PoisonError, Weak};

use schemars::JsonSchema;
use serde::Deserialize;
use wpk_api::section::{Section, plugin};
use wpk_api::settings::{Value, schema_of};
use wpk_api::{
    AgentDirectory, BuildError, Context, Demands, Factory, PluginKind, RequestSource, Transport,
};

use crate::channel::Channel;
use crate::settings::Settings;

/// The `type` of all three sections.
const KIND: &str = "channel";

/// The channel as a daemon holds it before it is built. The transport
/// builds and binds; the other two hand out the same object and therefore come
/// after it. Clones share the object.
#[derive(Debug, Clone, Default)]
pub struct ChannelPlugin(Arc<Mutex<Weak<Channel>>>);

/// `[directory] type = "channel"` and `[[source]] type = "channel"`: the channel is
/// one thing with three sides, and its settings are those of the transport.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Side {}

impl Section for Side {
    fn schema() -> Option<Value> {
        schema_of::<Self>()
    }

    /// No side is there without the transport.
    fn demands(&self, _: &Context) -> Demands {
        Demands::default().needing(PluginKind::Transport, KIND)
    }
}

impl ChannelPlugin {
    /// Nothing built yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// `[transport] type = "channel"`, with all the settings.
    pub fn transport(&self) -> impl Factory<dyn Transport> + 'static {
        let shared = self.clone();
        plugin(KIND, move |settings: Settings, context: &Context| {
            shared.open(settings, context)
        })
    }

    /// `[directory] type = "channel"`, without settings.
    pub fn directory(&self) -> impl Factory<dyn AgentDirectory> + 'static {
        let shared = self.clone();
        plugin(KIND, move |_: Side, _: &Context| shared.opened())
    }

    /// `[[source]] type = "channel"`, without settings.
    pub fn source(&self) -> impl Factory<dyn RequestSource> + 'static {
        let shared = self.clone();
        plugin(KIND, move |_: Side, _: &Context| shared.opened())
    }

    /// The channel, once the transport is built and as long as it is used.
    pub fn channel(&self) -> Option<Arc<Channel>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .upgrade()
    }

    fn open(&self, settings: Settings, context: &Context) -> Result<Arc<Channel>, BuildError> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.strong_count() > 0 {
            return Err(BuildError::Failed(
                "the agent channel is already built; there is one per daemon".to_owned(),
            ));
        }
        let channel = Channel::open(settings, context)?;
        *slot = Arc::downgrade(&channel);
        Ok(channel)
    }

    fn opened(&self) -> Result<Arc<Channel>, BuildError> {
        self.channel().ok_or_else(|| {
            BuildError::Failed(
                "this section says type = \"channel\", so [transport] must say it too: \
                 all of them are one agent channel, and the transport is built first"
                    .to_owned(),
            )
        })
    }
}
