//! The operations of the header, as calls of the traits. Questions and answers
//! are the domain types of `wpk-api` as serde writes them.

use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use wpk_abi::codes::{operation, status};
use wpk_api::{
    AgentDirectory, AgentId, Context, NewTask, RequestSource, TaskId, TaskStore, Transition,
    Transport, UnixTime, WpkProvider,
};

use crate::calls::{Core, lock};
use crate::exports::Maker;
use crate::failure::Failure;
use crate::source::EngineBehind;
use crate::streams::Pulled;

/// What the host asks.
pub(crate) struct Question {
    pub(crate) instance: u64,
    pub(crate) operation: u32,
    pub(crate) token: u64,
    pub(crate) json: Result<Value, serde_json::Error>,
    pub(crate) body: Bytes,
}

impl Question {
    fn read<T: DeserializeOwned>(&mut self) -> Result<T, Failure> {
        let json = std::mem::replace(&mut self.json, Ok(Value::Null));
        json.and_then(serde_json::from_value)
            .map_err(Failure::malformed)
    }
}

/// What the host gets. `json` is null where there is nothing to say.
pub(crate) struct Answer {
    pub(crate) status: i32,
    pub(crate) handle: u64,
    pub(crate) json: Value,
    pub(crate) body: Bytes,
}

impl Answer {
    fn json(value: impl serde::Serialize) -> Result<Self, Failure> {
        Self::handle(0, value)
    }

    fn handle(handle: u64, value: impl serde::Serialize) -> Result<Self, Failure> {
        let json = serde_json::to_value(value).map_err(|error| {
            Failure::new(
                status::FAILED,
                format!("the answer cannot be written: {error}"),
            )
        })?;
        Ok(Self {
            status: status::OK,
            handle,
            json,
            body: Bytes::new(),
        })
    }

    pub(crate) fn bytes(body: Bytes) -> Self {
        Self {
            status: status::OK,
            handle: 0,
            json: Value::Null,
            body,
        }
    }

    pub(crate) fn end() -> Self {
        Self {
            status: status::END,
            ..Self::bytes(Bytes::new())
        }
    }
}

/// One plugin that was made from its settings.
#[derive(Clone)]
pub(crate) enum Instance {
    Source(Arc<dyn RequestSource>),
    Directory(Arc<dyn AgentDirectory>),
    Provider(Arc<dyn WpkProvider>),
    Transport(Arc<dyn Transport>),
    Store(Arc<dyn TaskStore>),
}

#[derive(Deserialize)]
struct Section {
    kind: String,
    r#type: String,
    settings: Value,
    context: Option<Context>,
}

#[derive(Deserialize)]
struct Agents {
    agents: Vec<AgentId>,
}

#[derive(Deserialize)]
struct After {
    after: Option<AgentId>,
    limit: usize,
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

#[derive(Deserialize)]
struct Agent {
    agent: AgentId,
}

#[derive(Deserialize)]
struct NewTasks {
    tasks: Vec<NewTask>,
}

#[derive(Deserialize)]
struct Moves {
    moves: Vec<Transition>,
}

#[derive(Deserialize)]
struct Claim {
    node: String,
    limit: usize,
    now: UnixTime,
}

#[derive(Deserialize)]
struct Node {
    node: String,
}

#[derive(Deserialize)]
struct NodeNow {
    node: String,
    now: UnixTime,
}

#[derive(Deserialize)]
struct TaskNow {
    task: TaskId,
    now: UnixTime,
}

#[derive(Deserialize)]
struct TasksNow {
    tasks: Vec<TaskId>,
    now: UnixTime,
}

#[derive(Deserialize)]
struct Tasks {
    tasks: Vec<TaskId>,
}

#[derive(Deserialize)]
struct Expire {
    not_since: UnixTime,
    now: UnixTime,
}

#[derive(Deserialize)]
struct Purge {
    created_until: UnixTime,
}

impl Core {
    /// Carries out one operation.
    pub(crate) async fn answer(
        self: Arc<Self>,
        mut question: Question,
        cancelled: CancellationToken,
    ) -> Result<Answer, Failure> {
        match question.operation {
            operation::CHECK => return self.check(question.read()?),
            operation::OPEN => return self.open(question.read()?),
            _ => {}
        }
        let instance = lock(&self.instances).get(&question.instance).cloned();
        match instance {
            Some(Instance::Source(source)) => self.source(source, question, cancelled).await,
            Some(Instance::Directory(directory)) => ask_directory(&*directory, question).await,
            Some(Instance::Provider(provider)) => self.provider(&*provider, question).await,
            Some(Instance::Transport(transport)) => ask_transport(&*transport, question).await,
            Some(Instance::Store(store)) => ask_store(&*store, question).await,
            None => Err(Failure::malformed("there is no such instance")),
        }
    }

    fn entry(&self, section: &Section) -> Result<&crate::exports::Entry, Failure> {
        self.exports
            .entries
            .iter()
            .find(|entry| entry.kind == section.kind && entry.name == section.r#type)
            .ok_or_else(|| {
                let Section { kind, r#type, .. } = section;
                Failure::malformed(format!("there is no {kind} {type:?} in this library"))
            })
    }

    fn check(&self, section: Section) -> Result<Answer, Failure> {
        Answer::json(self.entry(&section)?.check(&section.settings))
    }

    fn open(&self, section: Section) -> Result<Answer, Failure> {
        let entry = self.entry(&section)?;
        let context = section.context.as_ref();
        let context = context.ok_or_else(|| Failure::malformed("the context is missing"))?;
        let settings = &section.settings;
        let mut says = json!({});
        let instance = match &entry.maker {
            Maker::Source(factory) => Instance::Source(factory.build(settings, context)?),
            Maker::Directory(factory) => Instance::Directory(factory.build(settings, context)?),
            Maker::Provider(factory) => Instance::Provider(factory.build(settings, context)?),
            Maker::Transport(factory) => {
                let transport = factory.build(settings, context)?;
                says = json!({"max_command": transport.max_command()});
                Instance::Transport(transport)
            }
            Maker::Store(factory) => Instance::Store(factory.build(settings, context)?),
        };
        let handle = self.number();
        lock(&self.instances).insert(handle, instance);
        Answer::handle(handle, says)
    }

    async fn source(
        self: &Arc<Self>,
        source: Arc<dyn RequestSource>,
        question: Question,
        cancelled: CancellationToken,
    ) -> Result<Answer, Failure> {
        if question.operation != operation::SERVE {
            return Err(unknown(question.operation));
        }
        let engine = EngineBehind {
            core: Arc::downgrade(self),
            serve: question.token,
        };
        source.serve(Arc::new(engine), cancelled).await?;
        Answer::json(json!({}))
    }

    async fn provider(
        &self,
        provider: &dyn WpkProvider,
        mut question: Question,
    ) -> Result<Answer, Failure> {
        match question.operation {
            operation::SERVES => Answer::json(provider.would_serve(&question.read()?).await),
            operation::RESOLVE => Answer::json(provider.resolve(&question.read()?).await?),
            operation::FETCH => {
                let stream = provider.fetch(&question.read()?).await?;
                let handle = self.number();
                let open = Arc::new(tokio::sync::Mutex::new(Pulled::new(stream)));
                lock(&self.streams).insert(handle, open);
                Answer::handle(handle, json!({}))
            }
            other => Err(unknown(other)),
        }
    }
}

fn unknown(operation: u32) -> Failure {
    Failure::new(
        status::UNSUPPORTED,
        format!("operation {operation} is not known to this plugin"),
    )
}

async fn ask_directory(
    directory: &dyn AgentDirectory,
    mut question: Question,
) -> Result<Answer, Failure> {
    match question.operation {
        operation::LOOKUP => {
            let Agents { agents } = question.read()?;
            Answer::json(directory.lookup(&agents).await?)
        }
        operation::LIST => {
            let After { after, limit } = question.read()?;
            Answer::json(directory.list(after, limit).await?)
        }
        operation::ENROLL => {
            let Name { name } = question.read()?;
            Answer::json(directory.enroll(&name).await?)
        }
        other => Err(unknown(other)),
    }
}

async fn ask_transport(
    transport: &dyn Transport,
    mut question: Question,
) -> Result<Answer, Failure> {
    match question.operation {
        operation::SEND => {
            let Agent { agent } = question.read()?;
            Ok(Answer::bytes(
                transport.request(agent, question.body).await?,
            ))
        }
        operation::CONNECTED => {
            let Agent { agent } = question.read()?;
            transport.connected(agent).await;
            Answer::json(json!({}))
        }
        other => Err(unknown(other)),
    }
}

async fn ask_store(store: &dyn TaskStore, mut question: Question) -> Result<Answer, Failure> {
    match question.operation {
        operation::CREATE => {
            let NewTasks { tasks } = question.read()?;
            Answer::json(store.create(tasks).await?)
        }
        operation::LATEST => {
            let Agents { agents } = question.read()?;
            Answer::json(store.latest(&agents).await?)
        }
        operation::TRANSITION => {
            let Moves { moves } = question.read()?;
            Answer::json(store.transition(moves).await?)
        }
        operation::CLAIM => {
            let Claim { node, limit, now } = question.read()?;
            Answer::json(store.claim(&node, limit, now).await?)
        }
        operation::INTERRUPTED => {
            let Node { node } = question.read()?;
            Answer::json(store.interrupted(&node).await?)
        }
        operation::BEGIN_INSTALLER => {
            let TaskNow { task, now } = question.read()?;
            Answer::json(store.begin_installer(task, now).await?)
        }
        operation::TOUCH => {
            let TasksNow { tasks, now } = question.read()?;
            Answer::json(store.touch(&tasks, now).await?)
        }
        operation::CANCEL => {
            let NodeNow { node, now } = question.read()?;
            Answer::json(store.cancel(&node, now).await?)
        }
        operation::WITHDRAW => {
            let Tasks { tasks } = question.read()?;
            Answer::json(store.withdraw(&tasks).await?)
        }
        operation::EXPIRE => {
            let Expire { not_since, now } = question.read()?;
            Answer::json(store.expire(not_since, now).await?)
        }
        operation::PURGE => {
            let Purge { created_until } = question.read()?;
            Answer::json(store.purge(created_until).await?)
        }
        other => Err(unknown(other)),
    }
}
