//! How a store behind the border is asked, also one that was built before the question.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use wpk_abi::Operation;
use wpk_api::border::DocumentsAfter;
use wpk_api::{Document, StoreError, StoreResult};

use crate::failure::CallError;
use crate::instance::Instance;

/// The minor version since which stores are entered, and keep documents (contract 3).
const ENTRIES: u16 = 3;
/// That since which they change what was made for documents.
pub(super) const ATTEMPTS: u16 = 4;
/// That since which operators take tasks back, and stores list what they have.
pub(super) const OPERATORS: u16 = 5;

pub(super) struct Store(pub(super) Instance);

impl Store {
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        operation: Operation,
        question: impl Serialize + Sync,
    ) -> Result<T, StoreError> {
        let answer = self.0.ask_for(operation, &question).await;
        answer.map_err(CallError::store)
    }

    /// What stores are asked since contract 3; one that does not know it is as the trait's
    /// defaults are: one daemon's, without documents.
    pub(super) async fn ask_newer<T: DeserializeOwned>(
        &self,
        operation: Operation,
        question: impl Serialize + Sync,
        otherwise: StoreResult<T>,
    ) -> StoreResult<T> {
        self.ask_since(ENTRIES, operation, question, otherwise)
            .await
    }

    /// The same of what they are asked since a minor version.
    pub(super) async fn ask_since<T: DeserializeOwned>(
        &self,
        minor: u16,
        operation: Operation,
        question: impl Serialize + Sync,
        otherwise: StoreResult<T>,
    ) -> StoreResult<T> {
        if !self.0.border().speaks(minor) {
            return otherwise;
        }
        match self.0.ask_for(operation, &question).await {
            Err(error) if error.is_unsupported() => otherwise,
            answer => answer.map_err(CallError::store),
        }
    }

    /// The same where an answer says no more than that it is done.
    pub(super) async fn tell_newer(
        &self,
        operation: Operation,
        question: impl Serialize + Sync,
    ) -> StoreResult<()> {
        let done = self.ask_newer(operation, question, Ok(Value::Null));
        done.await.map(drop)
    }

    /// A store that keeps no documents would forget for which a task is made.
    pub(super) async fn keeps_documents(&self) -> StoreResult<bool> {
        let (prefix, after) = (String::new(), String::new());
        let question = DocumentsAfter {
            prefix,
            after,
            limit: 0,
        };
        let found: Option<Vec<Document>> = self
            .ask_newer(Operation::Documents, question, Ok(None))
            .await?;
        Ok(found.is_some())
    }

    /// Whatever is answered says that it is done.
    pub(super) async fn tell(
        &self,
        operation: Operation,
        question: impl Serialize + Sync,
    ) -> Result<(), StoreError> {
        self.ask::<Value>(operation, question).await.map(drop)
    }

    /// An answer with one entry for each that was asked about.
    pub(super) async fn ask_each<T: DeserializeOwned>(
        &self,
        operation: Operation,
        question: impl Serialize + Sync,
        asked: usize,
    ) -> Result<Vec<T>, StoreError> {
        let answers = self.ask(operation, question).await?;
        self.each(answers, asked)
    }

    pub(super) fn each<T>(&self, answers: Vec<T>, asked: usize) -> Result<Vec<T>, StoreError> {
        if answers.len() == asked {
            Ok(answers)
        } else {
            let name = self.0.border().name();
            Err(StoreError::Damaged(format!(
                "plugin {name} gave {} answers to {asked} questions",
                answers.len()
            )))
        }
    }
}
