//! Documents, and the tasks that are made for them, sentence by sentence of
//! [`TaskStore::write_documents`] and its like. Not every store keeps any.

mod attempts;
mod fences;
mod races;
mod times;
mod versions;
mod writing;

use std::sync::Arc;

use wpk_api::{Created, StoreError, TaskStore};

use self::writing::made_for;
use super::tasks::ok;

pub(super) use self::attempts::opened_for_another;
pub(super) use self::races::races;
pub(super) use self::writing::change_some;

/// All stories if the store keeps documents; what it says otherwise is looked at.
pub async fn run_where_supported(make: &impl AsyncFn() -> Arc<dyn TaskStore>) {
    let store = make().await;
    match store.documents("", "", 1).await {
        Ok(_) => run(make).await,
        Err(StoreError::Unavailable(_)) => {
            let fenced = made_for("rollout/1", 1, 1);
            let created = ok(store.create(vec![fenced]).await);
            assert_eq!(created, [Created::Fenced], "a store that keeps none");
        }
        Err(other) => panic!("a store that keeps no documents says Unavailable: {other}"),
    }
}

/// All stories, each on a store of its own.
pub async fn run(make: &impl AsyncFn() -> Arc<dyn TaskStore>) {
    versions::a_document_is_written_if_it_is_as_expected(&*make().await).await;
    versions::they_are_read_in_the_order_of_their_keys(&*make().await).await;
    versions::what_was_written_since_is_found_by_version(&*make().await).await;
    versions::all_are_written_or_none(&*make().await).await;
    versions::no_version_comes_twice(&*make().await).await;
    versions::what_is_too_long_is_not_written(&*make().await).await;
    fences::tasks_are_made_while_the_guard_holds(&*make().await).await;
    fences::a_task_is_made_for_the_epoch_of_its_document(&*make().await).await;
    fences::a_raised_epoch_ends_what_was_not_begun(&*make().await).await;
    fences::a_deleted_document_ends_what_was_not_begun(&*make().await).await;
    fences::what_a_document_keeps_is_not_purged(&*make().await).await;
    fences::attempts_are_found_by_their_document(&*make().await).await;
    times::what_has_not_opened_is_sent_and_not_claimed(&*make().await).await;
    times::what_closed_is_not_begun(&*make().await).await;
    attempts::attempts_are_found_by_their_tasks(&*make().await).await;
    attempts::it_may_be_taken_from_its_opening_and_begun_until_its_closing(&*make().await).await;
    attempts::a_change_applies_to_what_is_live_and_not_begun(&*make().await).await;
    attempts::a_cancelled_one_says_who_took_it_back_and_frees_its_agent(&*make().await).await;
    attempts::nothing_changes_unless_the_guard_holds(&*make().await).await;
    attempts::a_mark_that_is_too_long_is_not_kept(&*make().await).await;
    attempts::many_change_in_one_call(&*make().await).await;
    let store = make().await;
    races(&[Arc::clone(&store), store]).await;
}
