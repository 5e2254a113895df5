//! Carries out the commands of section 7, one at a time, whoever sends them:
//! listener and channel enter through [`Commands`]. What blocks runs on the
//! blocking pool, so that pings are answered meanwhile.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use wpk_api::TaskId;
use wpk_wire::agent::AgentRefusal;
use wpk_wire::codes::AgentCode;
use wpk_wire::{AgentRequest, AgentResponse, Step};

use crate::files::Incoming;
use crate::home::Home;
use crate::installer::Installers;
use crate::reload::Live;
use crate::state::State;
use crate::supervisor::Outcome;
use crate::upgrade::{Failure, Rules, prepare};

/// Commands that may wait; whoever sends more waits itself.
const QUEUE: usize = 16;

struct Job {
    payload: Bytes,
    answer: oneshot::Sender<Vec<u8>>,
}

/// A door to the engine.
#[derive(Debug, Clone)]
pub(crate) struct Commands(mpsc::Sender<Job>);

impl Commands {
    /// Carries out one command and answers the payload of the answer; `None`
    /// when the agent is stopping. A caller that goes away does not stop it.
    pub(crate) async fn execute(&self, payload: Bytes) -> Option<Vec<u8>> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Job { payload, answer }).await.ok()?;
        answered.await.ok()
    }
}

/// The engine.
pub(crate) struct Engine {
    home: Arc<Home>,
    live: Live,
    installers: Installers,
    incoming: Arc<Mutex<Incoming>>,
    state: Arc<State>,
}

impl Engine {
    /// The door, and the work, which ends only with the last door.
    pub(crate) fn start(
        home: Arc<Home>,
        live: Live,
        state: Arc<State>,
        installers: Installers,
    ) -> (Commands, impl Future<Output = ()> + use<>) {
        let incoming = Incoming::new(home.incoming(), live.now().limits.incoming.0);
        let engine = Self {
            live,
            installers,
            incoming: Arc::new(Mutex::new(incoming)),
            home,
            state,
        };
        let (sender, mut jobs) = mpsc::channel::<Job>(QUEUE);
        let working = async move {
            while let Some(job) = jobs.recv().await {
                let response = engine.execute(&job.payload).await;
                // Whoever asked may be gone.
                let _ = job.answer.send(response.to_bytes());
            }
        };
        (Commands(sender), working)
    }

    async fn execute(&self, payload: &[u8]) -> AgentResponse {
        let request = AgentRequest::parse(payload);
        let always = match &request {
            Ok(AgentRequest::ClearUpgradeResult { .. }) => true,
            Ok(_) => false,
            Err(refusal) => !refusal.named,
        };
        if !always && !self.state.allows_upgrades() {
            return AgentResponse::failure(AgentCode::Disabled);
        }
        let begins = match &request {
            Ok(AgentRequest::Open { .. } | AgentRequest::Upgrade { .. }) => true,
            Ok(_) => false,
            Err(refusal) => matches!(refusal.step, Some(Step::Open | Step::Upgrade)),
        };
        let within = self.live.now().upgrade.result_within.0;
        if begins && let Some(running) = self.state.installer_runs(within) {
            tracing::warn!("{running}: no other upgrade begins");
            return AgentResponse::failure(AgentCode::Disabled);
        }
        match request {
            Ok(AgentRequest::ClearUpgradeResult { task }) => self.clear(task),
            Ok(AgentRequest::Upgrade {
                file,
                installer,
                task,
            }) => self.upgrade(file, Some(installer), task).await,
            Ok(AgentRequest::Open { file }) => {
                self.blocking(AgentCode::FileOpen, move |i| i.open(&file))
                    .await
            }
            Ok(AgentRequest::Write { file, chunk }) => {
                let write = move |i: &mut Incoming| i.write(&file, chunk.as_deref());
                self.blocking(AgentCode::Write, write).await
            }
            Ok(AgentRequest::Close { file }) => {
                self.blocking(AgentCode::Close, move |i| i.close(&file))
                    .await
            }
            Ok(AgentRequest::Sha1 { file }) => {
                self.blocking(AgentCode::Sha1, move |i| i.sha1(&file)).await
            }
            Err(refusal) => self.refuse(refusal).await,
        }
    }

    /// What was refused before anything was done still has its effects.
    async fn refuse(&self, refusal: AgentRefusal) -> AgentResponse {
        let response = refusal.to_response();
        match (refusal.step, refusal.code) {
            (_, AgentCode::ParametersNotFound) => {}
            (Some(Step::Open), _) => {
                let closing = |incoming: &mut Incoming| {
                    incoming.close_any();
                    AgentResponse::ok()
                };
                self.blocking(AgentCode::Close, closing).await;
            }
            (Some(Step::Upgrade), AgentCode::FileName) => {
                if let Some(file) = refusal.file {
                    return self.upgrade(file, None, None).await;
                }
            }
            _ => {}
        }
        response
    }

    fn clear(&self, of: Option<TaskId>) -> AgentResponse {
        match self.state.clear(of) {
            Ok(()) => AgentResponse::ok(),
            Err(error) => {
                let path = self.state.result_path().display();
                tracing::info!("{path}: cannot be removed: {error}");
                AgentResponse::failure(AgentCode::EraseResult)
            }
        }
    }

    /// The package leaves `var/incoming` before the installer runs, which may
    /// well end this very process.
    async fn upgrade(
        &self,
        file: String,
        installer: Option<String>,
        task: Option<TaskId>,
    ) -> AgentResponse {
        let settings = self.live.now();
        let rules = Rules::new(&settings);
        let home = Arc::clone(&self.home);
        let (state, running) = (Arc::clone(&self.state), self.installers.running.clone());
        let name = file.clone();
        let preparing = self.on_files(move |incoming| {
            incoming.settle(&name);
            let prepared = prepare(&home, &rules, &incoming.path(&name), installer.as_deref());
            incoming.remove(&name);
            let ready = prepared?;
            // Before the installer: it may end this process, and its result at once.
            let fail = |error| {
                let text = format!("that it runs cannot be written down: {error}");
                Failure::new(AgentCode::Execute, text)
            };
            let lock = running.begin().map_err(fail)?;
            let life = state.begins(task).map_err(fail)?;
            Ok::<_, Failure>((ready, lock, life))
        });
        let (ready, lock, life) = match preparing.await {
            Some(Ok(ready)) => ready,
            Some(Err(failure)) => {
                tracing::warn!("the upgrade with {file:?} is refused: {failure}");
                return AgentResponse::failure(failure.code);
            }
            None => return AgentResponse::failure(AgentCode::Execute),
        };
        let program = &ready.program;
        if !ready.folder.is_in_place() {
            tracing::error!("{program:?}: the folder was replaced: nothing is run from it");
            return AgentResponse::failure(AgentCode::Execute);
        }
        // Its name is the manager's.
        tracing::info!("running {program:?}");
        let outcome = match self
            .installers
            .begin(program, &file, lock, Some(&life.path))
        {
            Ok(begun) => begun.ended().await,
            Err(outcome) => outcome,
        };
        match outcome {
            Outcome::Exited(status) => {
                tracing::info!("the installer ended with status {status}");
                self.state.expect_result();
                AgentResponse::message(status.to_string())
            }
            Outcome::Failed { reason, left } => {
                tracing::warn!("the installer of {file:?} failed: {reason}");
                let mut response = AgentResponse::failure(AgentCode::Execute);
                if !left.is_empty() {
                    tracing::error!("of the installer of {file:?} there still runs: {left}");
                    response.message.push_str(": still running: ");
                    response.message.push_str(&left);
                }
                response
            }
        }
    }

    /// Does `work` on the files; `otherwise` is the code should it panic.
    async fn blocking(
        &self,
        otherwise: AgentCode,
        work: impl FnOnce(&mut Incoming) -> AgentResponse + Send + 'static,
    ) -> AgentResponse {
        self.on_files(work)
            .await
            .unwrap_or_else(|| AgentResponse::failure(otherwise))
    }

    async fn on_files<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Incoming) -> T + Send + 'static,
    ) -> Option<T> {
        let incoming = Arc::clone(&self.incoming);
        let limit = self.live.now().limits.incoming.0;
        let working = tokio::task::spawn_blocking(move || {
            let mut incoming = incoming.lock().unwrap_or_else(PoisonError::into_inner);
            incoming.set_limit(limit);
            work(&mut incoming)
        });
        working
            .await
            .inspect_err(|error| tracing::error!("a command broke: {error}"))
            .ok()
    }
}
