//! A gate for a store whose commits are lost on the wire: the caller hears
//! [`StoreError::Uncertain`], and the call took effect or did not.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use wpk_api::StoreError;

use super::{Carried, Gate};

/// What became of a call of which nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// The question: nothing happened.
    Question,
    /// The answer: it was carried out.
    Answer,
}

/// Loses what it is told to, each once.
#[derive(Debug, Default)]
pub struct Lossy {
    next: Mutex<HashMap<&'static str, Lost>>,
}

impl Lossy {
    /// The next call `operation` (the method's name) loses this.
    pub fn lose(&self, operation: &'static str, what: Lost) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        next.insert(operation, what);
    }
}

#[async_trait]
impl Gate for Lossy {
    async fn pass(&self, _operation: &'static str) -> Result<(), StoreError> {
        Ok(())
    }

    async fn carry<T: Send>(
        &self,
        operation: &'static str,
        call: Carried<'_, T>,
    ) -> Result<T, StoreError> {
        let lost = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            next.remove(operation)
        };
        match lost {
            None => return call.await,
            Some(Lost::Question) => drop(call),
            Some(Lost::Answer) => drop(call.await?),
        }
        Err(StoreError::Uncertain(format!(
            "the connection was lost during {operation}"
        )))
    }
}
