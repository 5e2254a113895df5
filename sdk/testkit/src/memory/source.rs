//! A request source without requests.

use std::sync::Arc;

use async_trait::async_trait;
use wpk_api::{CancellationToken, RequestService, RequestSource, SourceError};

/// Serves nobody until it is stopped; an engine without any source ends at once.
#[derive(Debug, Clone, Copy, Default)]
pub struct Waiting;

#[async_trait]
impl RequestSource for Waiting {
    async fn serve(
        &self,
        _: Arc<dyn RequestService>,
        stop: CancellationToken,
    ) -> Result<(), SourceError> {
        stop.cancelled().await;
        Ok(())
    }
}
