//! The operations of the header, as calls of the traits. Questions and answers
//! are the domain types of `wpk-api` as serde writes them.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use wpk_abi::Operation;
use wpk_api::border::{
    Agent, Agents, AwaitingAfter, BeginInstaller, CancelTasks, ChangeAgent, Changes, ChangesAfter,
    Claim, Confirm, Expire, ForeignTasks, Interrupted, Moves, Name, NewTasks, Note, Nothing,
    OneTask, Opened, Page, Purge, Reader, Section, SetPlace, Takes, Tasks, TasksAfter, TasksNow,
    Wishes,
};
use wpk_api::{
    AgentDirectory, CaWish, Context, RequestSource, TaskObserver, TaskStore, TokenWish, Transport,
    WpkProvider,
};

use crate::core::{Core, Instance, lock};
use crate::exchange::{Answer, Question, unknown};
use crate::exports::Entry;
use crate::failure::Failure;
use crate::shared_store;
use crate::source::EngineBehind;
use crate::streams::Pulled;

impl Core {
    /// Carries out one operation.
    pub(crate) async fn answer(
        self: Arc<Self>,
        mut question: Question,
        cancelled: CancellationToken,
    ) -> Result<Answer, Failure> {
        match question.known()? {
            Operation::Check => return self.check(&question.read()?),
            Operation::Open => return self.open(&question.read()?),
            Operation::Demands => return self.demands(&question.read()?),
            Operation::Examine => return self.examine(&question.read()?).await,
            _ => {}
        }
        let instance = lock(&self.instances).get(&question.instance).cloned();
        match instance {
            Some(Instance::Source(source)) => self.source(source, question, cancelled).await,
            Some(Instance::Directory(directory)) => ask_directory(&*directory, question).await,
            Some(Instance::Provider(provider)) => self.provider(&*provider, question).await,
            Some(Instance::Transport(transport)) => ask_transport(&*transport, question).await,
            Some(Instance::Store(store)) => ask_store(&*store, question).await,
            Some(Instance::Observer(observer)) => ask_observer(&*observer, question).await,
            None => Err(Failure::malformed("there is no such instance")),
        }
    }

    fn entry(&self, section: &Section) -> Result<&Entry, Failure> {
        (self.exports.entries.iter())
            .find(|entry| {
                entry.kind() == section.kind && entry.asked().type_name() == section.type_name
            })
            .ok_or_else(|| {
                let (kind, name) = (section.kind, &section.type_name);
                Failure::malformed(format!("there is no {kind} {name:?} in this library"))
            })
    }

    fn check(&self, section: &Section) -> Result<Answer, Failure> {
        let asked = self.entry(section)?.asked();
        Answer::json(asked.check(&section.settings))
    }

    fn demands(&self, section: &Section) -> Result<Answer, Failure> {
        let asked = self.entry(section)?.asked();
        Answer::json(asked.demands(&section.settings, context(section)?))
    }

    async fn examine(&self, section: &Section) -> Result<Answer, Failure> {
        let asked = self.entry(section)?.asked();
        let examine = section.examine.clone().unwrap_or_default();
        let checks = asked.examine(&section.settings, context(section)?, &examine);
        Answer::json(checks.await)
    }

    fn open(&self, section: &Section) -> Result<Answer, Failure> {
        let entry = self.entry(section)?;
        let context = context(section)?;
        let settings = &section.settings;
        let mut opened = Opened::default();
        let instance = match entry {
            Entry::Source(factory) => Instance::Source(factory.build(settings, context)?),
            Entry::Directory(factory) => Instance::Directory(factory.build(settings, context)?),
            Entry::Provider(factory) => Instance::Provider(factory.build(settings, context)?),
            Entry::Transport(factory) => {
                let transport = factory.build(settings, context)?;
                opened.max_command = Some(transport.max_command());
                Instance::Transport(transport)
            }
            Entry::Store(factory) => Instance::Store(factory.build(settings, context)?),
            Entry::Observer(factory) => Instance::Observer(factory.build(settings, context)?),
        };
        let handle = self.number();
        lock(&self.instances).insert(handle, instance);
        Answer::handle(handle, opened)
    }

    async fn source(
        self: &Arc<Self>,
        source: Arc<dyn RequestSource>,
        question: Question,
        cancelled: CancellationToken,
    ) -> Result<Answer, Failure> {
        if question.known()? != Operation::Serve {
            return Err(unknown(question.operation));
        }
        let engine = EngineBehind {
            core: Arc::downgrade(self),
            serve: question.token,
        };
        source.serve(Arc::new(engine), cancelled).await?;
        Answer::json(Nothing {})
    }

    async fn provider(
        &self,
        provider: &dyn WpkProvider,
        mut question: Question,
    ) -> Result<Answer, Failure> {
        match question.known()? {
            Operation::Serves => Answer::json(provider.would_serve(&question.read()?).await),
            Operation::Resolve => Answer::json(provider.resolve(&question.read()?).await?),
            Operation::Fetch => {
                let stream = provider.fetch(&question.read()?).await?;
                let handle = self.number();
                let open = Arc::new(tokio::sync::Mutex::new(Pulled::new(stream)));
                lock(&self.streams).insert(handle, open);
                Answer::handle(handle, Nothing {})
            }
            Operation::Versions => {
                let Wishes { wishes } = question.read()?;
                Answer::json(provider.versions(&wishes).await?)
            }
            other => Err(unknown(other.code())),
        }
    }
}

fn context(section: &Section) -> Result<&Context, Failure> {
    let context = section.context.as_ref();
    context.ok_or_else(|| Failure::malformed("the context is missing"))
}

async fn ask_directory(
    directory: &dyn AgentDirectory,
    mut question: Question,
) -> Result<Answer, Failure> {
    match question.known()? {
        Operation::Lookup => {
            let Agents { agents } = question.read()?;
            Answer::json(directory.lookup(&agents).await?)
        }
        Operation::List => {
            let Page { after, limit } = question.read()?;
            Answer::json(directory.list(after, limit).await?)
        }
        Operation::Enroll => {
            let Name { name } = question.read()?;
            Answer::json(directory.enroll(&name).await?)
        }
        Operation::ChangeAgent => {
            let ChangeAgent { agent, change } = question.read()?;
            directory.change(agent, &change).await?;
            Answer::json(Nothing {})
        }
        Operation::Details => {
            let Agents { agents } = question.read()?;
            Answer::json(directory.details(&agents).await?)
        }
        Operation::IssueToken => {
            let wish: TokenWish = question.read()?;
            Answer::json(directory.issue_token(&wish).await?)
        }
        Operation::Tokens => Answer::json(directory.tokens().await?),
        Operation::RevokeToken => {
            let Name { name } = question.read()?;
            directory.revoke_token(&name).await?;
            Answer::json(Nothing {})
        }
        Operation::Authority => {
            let wish: CaWish = question.read()?;
            Answer::json(directory.authority(wish).await?)
        }
        other => Err(unknown(other.code())),
    }
}

async fn ask_transport(
    transport: &dyn Transport,
    mut question: Question,
) -> Result<Answer, Failure> {
    match question.known()? {
        Operation::Send => {
            let Agent { agent } = question.read()?;
            Ok(Answer::bytes(
                transport.request(agent, question.body).await?,
            ))
        }
        Operation::Connected => {
            let Agent { agent } = question.read()?;
            transport.connected(agent).await;
            Answer::json(Nothing {})
        }
        Operation::Takes => {
            let Agent { agent } = question.read()?;
            Answer::json(Takes {
                names_tasks: transport.names_tasks(agent).await,
                takes_json: transport.takes_json(agent).await,
            })
        }
        other => Err(unknown(other.code())),
    }
}

async fn ask_store(store: &dyn TaskStore, mut question: Question) -> Result<Answer, Failure> {
    match question.known()? {
        Operation::Create => {
            let NewTasks { tasks } = question.read()?;
            Answer::json(store.create(tasks).await?)
        }
        Operation::Latest => {
            let Agents { agents } = question.read()?;
            Answer::json(store.latest(&agents).await?)
        }
        Operation::Tasks => {
            let Tasks { tasks } = question.read()?;
            Answer::json(store.tasks(&tasks).await?)
        }
        Operation::Transition => {
            let Moves { moves } = question.read()?;
            Answer::json(store.transition(moves).await?)
        }
        Operation::Claim => {
            let Claim { node, limit, now } = question.read()?;
            Answer::json(store.claim(&node, limit, now).await?)
        }
        Operation::Interrupted => {
            let Interrupted { node, crashed } = question.read()?;
            Answer::json(store.interrupted(&node, crashed).await?)
        }
        Operation::BeginInstaller => {
            let BeginInstaller { task, target, now } = question.read()?;
            Answer::json(store.begin_installer(task, target, now).await?)
        }
        Operation::Touch => {
            let TasksNow { tasks, now } = question.read()?;
            Answer::json(store.touch(&tasks, now).await?)
        }
        Operation::Cancel => {
            let CancelTasks { node, which, now } = question.read()?;
            Answer::json(store.cancel(&node, which, now).await?)
        }
        Operation::Withdraw => {
            let Tasks { tasks } = question.read()?;
            Answer::json(store.withdraw(&tasks).await?)
        }
        Operation::InProgress => {
            let TasksAfter { after, limit } = question.read()?;
            Answer::json(store.in_progress(after, limit).await?)
        }
        Operation::Expire => {
            let Expire { overdue, now } = question.read()?;
            Answer::json(store.expire(&overdue, now).await?)
        }
        Operation::Purge => {
            let Purge { created_until } = question.read()?;
            Answer::json(store.purge(created_until).await?)
        }
        _ => ask_history(store, question).await,
    }
}

async fn ask_history(store: &dyn TaskStore, mut question: Question) -> Result<Answer, Failure> {
    match question.known()? {
        Operation::Note => {
            let Note { entries } = question.read()?;
            Answer::json(store.note(entries).await?)
        }
        Operation::Timeline => {
            let OneTask { task } = question.read()?;
            Answer::json(store.timeline(task).await?)
        }
        Operation::Awaiting => {
            let AwaitingAfter { node, after, limit } = question.read()?;
            Answer::json(store.awaiting(&node, after, limit).await?)
        }
        Operation::Confirm => {
            let Confirm {
                task,
                confirmation,
                entry,
            } = question.read()?;
            Answer::json(store.confirm(task, confirmation, entry).await?)
        }
        Operation::Changes => {
            let ChangesAfter { after, limit } = question.read()?;
            Answer::json(store.changes(after, limit).await?)
        }
        Operation::Revision => Answer::json(store.revision().await?),
        Operation::Place => {
            let Reader { reader } = question.read()?;
            Answer::json(store.place(&reader).await?)
        }
        Operation::SetPlace => {
            let SetPlace { reader, place } = question.read()?;
            Answer::json(store.set_place(&reader, place).await?)
        }
        Operation::Import => {
            let ForeignTasks { tasks } = question.read()?;
            Answer::json(store.import(tasks).await?)
        }
        _ => shared_store::ask(store, question).await,
    }
}

async fn ask_observer(
    observer: &dyn TaskObserver,
    mut question: Question,
) -> Result<Answer, Failure> {
    match question.known()? {
        Operation::Observe => {
            let Changes { changes } = question.read()?;
            Answer::json(observer.observe(&changes).await?)
        }
        Operation::Shown => {
            let TasksAfter { after, limit } = question.read()?;
            Answer::json(observer.shown(after, limit).await?)
        }
        other => Err(unknown(other.code())),
    }
}
