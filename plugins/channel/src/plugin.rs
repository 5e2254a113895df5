//! How the channel enters a daemon: one [`ChannelPlugin`], three factories for
//! one shared [`Channel`].

use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde::Deserialize;
use serde_json::Value;
use wpk_api::settings::{Problem, read};
use wpk_api::{
    AgentDirectory, BuildError, Context, Demands, Factory, Need, PluginKind, RequestSource,
    Transport,
};

use crate::channel::Channel;
use crate::settings::Settings;

/// The `type` of all three sections.
const KIND: &str = "channel";

/// The channel as a daemon holds it before it is built. The transport's factory
/// builds and binds; the other two hand out the same object and therefore come
/// after it. Clones share the object.
#[derive(Debug, Clone, Default)]
pub struct ChannelPlugin(Arc<Mutex<Weak<Channel>>>);

impl ChannelPlugin {
    /// Nothing built yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// For `[transport] type = "channel"`, with all the settings.
    pub fn transport(&self) -> impl Factory<dyn Transport> + 'static {
        TransportFactory(self.clone())
    }

    /// For `[directory] type = "channel"`, without settings.
    pub fn directory(&self) -> impl Factory<dyn AgentDirectory> + 'static {
        SharedFactory(self.clone())
    }

    /// For `[[source]] type = "channel"`, without settings.
    pub fn source(&self) -> impl Factory<dyn RequestSource> + 'static {
        SharedFactory(self.clone())
    }

    /// The channel, once the transport is built and as long as it is used.
    pub fn channel(&self) -> Option<Arc<Channel>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .upgrade()
    }

    fn shared(&self, settings: &Value) -> Result<Arc<Channel>, BuildError> {
        let problems = no_settings(settings);
        if !problems.is_empty() {
            return Err(BuildError::Settings(problems));
        }
        self.channel().ok_or_else(|| {
            BuildError::Failed(
                "this section says type = \"channel\", so [transport] must say it too: \
                 all of them are one agent channel, and the transport is built first"
                    .to_owned(),
            )
        })
    }
}

struct TransportFactory(ChannelPlugin);

struct SharedFactory(ChannelPlugin);

impl Factory<dyn Transport> for TransportFactory {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn check(&self, settings: &Value) -> Vec<Problem> {
        Settings::from_value(settings).err().unwrap_or_default()
    }

    fn demands(&self, settings: &Value, context: &Context) -> Demands {
        Settings::from_value(settings)
            .map_or_else(|_| Demands::default(), |read| read.demands(context))
    }

    fn build(&self, settings: &Value, context: &Context) -> Result<Arc<dyn Transport>, BuildError> {
        let settings = Settings::from_value(settings).map_err(BuildError::Settings)?;
        let mut slot = (self.0.0).lock().unwrap_or_else(PoisonError::into_inner);
        if slot.strong_count() > 0 {
            return Err(BuildError::Failed(
                "the agent channel is already built; there is one per daemon".to_owned(),
            ));
        }
        let channel = Channel::open(settings, context)?;
        *slot = Arc::downgrade(&channel);
        Ok(channel)
    }
}

impl Factory<dyn AgentDirectory> for SharedFactory {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn check(&self, settings: &Value) -> Vec<Problem> {
        no_settings(settings)
    }

    fn demands(&self, _: &Value, _: &Context) -> Demands {
        transport_needed()
    }

    fn build(&self, settings: &Value, _: &Context) -> Result<Arc<dyn AgentDirectory>, BuildError> {
        Ok(self.0.shared(settings)?)
    }
}

impl Factory<dyn RequestSource> for SharedFactory {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn check(&self, settings: &Value) -> Vec<Problem> {
        no_settings(settings)
    }

    fn demands(&self, _: &Value, _: &Context) -> Demands {
        transport_needed()
    }

    fn build(&self, settings: &Value, _: &Context) -> Result<Arc<dyn RequestSource>, BuildError> {
        Ok(self.0.shared(settings)?)
    }
}

/// The channel is one thing with three sides; none is there without the transport.
fn transport_needed() -> Demands {
    Demands {
        occupies: Vec::new(),
        needs: vec![Need {
            kind: PluginKind::Transport,
            type_name: KIND.to_owned(),
        }],
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoSettings {}

fn no_settings(settings: &Value) -> Vec<Problem> {
    read::<NoSettings>(settings)
        .map(|NoSettings {}| Vec::new())
        .unwrap_or_else(|problems| problems)
}
