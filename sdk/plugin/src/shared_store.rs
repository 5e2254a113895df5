//! What contract 3 added to stores, as calls of the trait: entries, take-over, documents,
//! and what is made for these; and which tasks there are.

use wpk_abi::Operation;
use wpk_api::border::{
    AttemptsAfter, AwaitingAfter, CreateGuarded, DocumentsAfter, HandOver, OneTask, Readers, Tasks,
    TasksAfter, WriteAttempts, WriteDocuments,
};
use wpk_api::{Entry, StoreError, TaskQuery, TaskStore};

use crate::exchange::{Answer, Question, unknown};
use crate::failure::Failure;

/// Carries out one of the operations since minor version 3.
pub(crate) async fn ask(store: &dyn TaskStore, mut question: Question) -> Result<Answer, Failure> {
    match question.known()? {
        Operation::Enter => {
            let entry: Entry = question.read()?;
            Answer::json(store.enter(&entry).await?)
        }
        Operation::Renew => Answer::json(store.renew().await?),
        Operation::Leave => Answer::json(store.leave().await?),
        Operation::Clock => Answer::json(store.clock().await?),
        Operation::Nodes => Answer::json(store.nodes().await?),
        Operation::Orphans => {
            let TasksAfter { after, limit } = question.read()?;
            Answer::json(store.orphans(after, limit).await?)
        }
        Operation::TakeOver => {
            let Tasks { tasks } = question.read()?;
            Answer::json(store.take_over(&tasks).await?)
        }
        Operation::HandOver => {
            let HandOver { tasks, to } = question.read()?;
            Answer::json(store.hand_over(&tasks, &to).await?)
        }
        Operation::Begun => {
            let OneTask { task } = question.read()?;
            Answer::json(store.begun(task).await?)
        }
        Operation::KeepReaders => {
            let Readers { names } = question.read()?;
            Answer::json(store.keep_readers(&names).await?)
        }
        _ => ask_documents(store, question).await,
    }
}

async fn ask_documents(store: &dyn TaskStore, mut question: Question) -> Result<Answer, Failure> {
    let operation = question.known()?;
    let answer = match operation {
        Operation::Documents => {
            let DocumentsAfter {
                prefix,
                after,
                limit,
            } = question.read()?;
            let found = store.documents(&prefix, &after, limit).await;
            found.map(Answer::json)
        }
        Operation::WriteDocuments => {
            let WriteDocuments { writes, guard } = question.read()?;
            store.write_documents(writes, guard).await.map(Answer::json)
        }
        Operation::CreateGuarded => {
            let CreateGuarded { tasks, guard } = question.read()?;
            store.create_guarded(tasks, guard).await.map(Answer::json)
        }
        Operation::Attempts => {
            let AttemptsAfter { key, after, limit } = question.read()?;
            store.attempts(&key, after, limit).await.map(Answer::json)
        }
        Operation::WriteAttempts => {
            let WriteAttempts { writes, guard } = question.read()?;
            store.write_attempts(writes, guard).await.map(Answer::json)
        }
        Operation::AttemptsOf => {
            let Tasks { tasks } = question.read()?;
            store.attempts_of(&tasks).await.map(Answer::json)
        }
        Operation::Staging => {
            let AwaitingAfter { node, after, limit } = question.read()?;
            store.staging(&node, after, limit).await.map(Answer::json)
        }
        Operation::History => {
            let query: TaskQuery = question.read()?;
            store.history(&query).await.map(Answer::json)
        }
        other => return Err(unknown(other.code())),
    };
    match answer {
        // What the trait does by itself: the host knows it by the word for what is not
        // there.
        Err(error)
            if error == StoreError::keeps_no_documents()
                || error == StoreError::changes_no_attempts()
                || error == StoreError::lists_no_tasks() =>
        {
            Err(unknown(operation.code()))
        }
        answer => answer?,
    }
}
