//! One question to an observer, which may crash.

use std::sync::Arc;

use tokio::task::JoinSet;
use wpk_api::{ObserverError, TaskObserver};

/// Asks an observer. One that crashes gave no answer.
pub(super) async fn asked<T, F>(
    observer: &Arc<dyn TaskObserver>,
    ask: impl FnOnce(Arc<dyn TaskObserver>) -> F,
) -> Result<T, ObserverError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, ObserverError>> + Send + 'static,
{
    let mut asking = JoinSet::new();
    // Ends with this future, whoever drops it.
    asking.spawn(ask(observer.clone()));
    match asking.join_next().await {
        Some(Ok(answer)) => answer,
        Some(Err(crash)) => Err(ObserverError(format!("it crashed: {crash}"))),
        None => Err(ObserverError("it was not asked".to_owned())),
    }
}
