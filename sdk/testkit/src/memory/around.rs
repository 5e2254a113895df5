//! A store around another: every call asks first whether it may go on. What is
//! slow, full or broken about a store is written once, here.

use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use wpk_api::{StoreError, TaskStore};

/// A call of the store inside that waits to be carried out.
pub type Carried<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Decides about each call of a [`StoreAround`].
#[async_trait]
pub trait Gate: Send + Sync {
    /// Called before the call `operation` (the method's name) goes on; may wait.
    ///
    /// # Errors
    /// Then the call ends with it, and the store inside hears nothing.
    async fn pass(&self, operation: &'static str) -> Result<(), StoreError>;

    /// Carries out a call that passed: whoever wants to know what became of it, or
    /// to keep its answer for a while, does so here.
    async fn carry<T: Send>(
        &self,
        operation: &'static str,
        call: Carried<'_, T>,
    ) -> Result<T, StoreError> {
        let _ = operation;
        call.await
    }
}

#[async_trait]
impl<G: Gate> Gate for Arc<G> {
    async fn pass(&self, operation: &'static str) -> Result<(), StoreError> {
        (**self).pass(operation).await
    }

    async fn carry<T: Send>(
        &self,
        operation: &'static str,
        call: Carried<'_, T>,
    ) -> Result<T, StoreError> {
        (**self).carry(operation, call).await
    }
}

/// The store `inside`, behind a gate.
pub struct StoreAround<G> {
    /// The gate.
    pub gate: G,
    /// The store.
    pub inside: Arc<dyn TaskStore>,
}

macro_rules! pass_on {
    ($(fn $name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl<G: Gate> TaskStore for StoreAround<G> {
            $(async fn $name(&self, $($argument: $type),*) -> Result<$answer, StoreError> {
                self.gate.pass(stringify!($name)).await?;
                let call = self.inside.$name($($argument),*);
                self.gate.carry(stringify!($name), call).await
            })*

            async fn stirred(&self) {
                self.inside.stirred().await;
            }
        }
    };
}

wpk_api::store_calls!(pass_on);
