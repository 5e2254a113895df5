//! A request source behind the border.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::oneshot;
use tracing::error;
use wpk_abi::Operation;
use wpk_abi::codes::status;
use wpk_api::border::Opened;
use wpk_api::{CancellationToken, RequestService, RequestSource, SourceError};

use crate::border::Border;
use crate::failure::{CallError, Said};
use crate::instance::Instance;
use crate::operation::Ended;

struct Source(Instance);

pub(crate) fn make(instance: Instance, _: Opened) -> Arc<dyn RequestSource> {
    Arc::new(Source(instance))
}

/// Ends a service, also when its future is dropped.
struct Served {
    border: &'static Border,
    token: u64,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.border.serving().end(self.token);
        self.border.give_up(self.token);
    }
}

#[async_trait]
impl RequestSource for Source {
    async fn serve(
        &self,
        service: Arc<dyn RequestService>,
        stop: CancellationToken,
    ) -> Result<(), SourceError> {
        let border = self.0.border();
        let token = border.token();
        let (send, mut receive) = oneshot::channel();
        // Before it begins: the first request may come at once.
        border.serving().begin(token, service);
        let _served = Served { border, token };
        let number = self.0.handle().number();
        border.begin(
            token,
            Operation::Serve.into(),
            self.0.handle().clone(),
            move |ended| drop(send.send(ended)),
            move |view| view.call(number, Operation::Serve.code(), b"{}", &[], token),
        );
        let early = tokio::select! {
            ended = &mut receive => ended.ok(),
            () = stop.cancelled() => None,
        };
        let Some(ended) = early else {
            border.stop(token);
            // Whatever it says now, it has stopped.
            let _ = receive.await;
            return Ok(());
        };
        match outcome(ended) {
            Ok(()) => Ok(()),
            Err(CallError::Failed(said)) if said.status != status::PANICKED => {
                Err(CallError::Failed(said).source(border.name()))
            }
            // A plugin that breaks must not end the daemon, which has other
            // sources, agents and deliveries.
            Err(broken) => {
                error!(plugin = border.name(), error = %broken, "a source is out of service");
                stop.cancelled().await;
                Ok(())
            }
        }
    }
}

fn outcome(ended: Ended) -> Result<(), CallError> {
    let completed = ended?;
    match completed.status {
        status::OK | status::CANCELLED => Ok(()),
        status => Err(CallError::Failed(Said::read(status, &completed.json))),
    }
}
