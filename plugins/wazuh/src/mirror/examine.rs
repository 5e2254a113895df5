//! What `wpkctl doctor` is told of the manager's task table. Changes nothing in it.

use std::path::PathBuf;

use wpk_api::examine::Check;

use super::table::{Table, TableError};

const NAME: &str = "manager's task table";

/// Whether our tasks could be shown in the table in `file` now.
pub(super) async fn examine(file: PathBuf) -> Vec<Check> {
    let shown = file.display().to_string();
    let asked = tokio::task::spawn_blocking(move || Table::at(file).examine()).await;
    let check = match asked {
        Ok(Ok(tasks)) => Check::ok(NAME, format!("{shown}: {tasks} tasks")),
        // The database daemon does so whenever it writes.
        Ok(Err(error @ TableError::Locked(_))) => {
            Check::ok(NAME, format!("{error} at this moment"))
        }
        Ok(Err(error)) => Check::failure(
            NAME,
            error.to_string(),
            "tasks are carried out all the same; the API's task list does not show them",
        ),
        Err(crash) => Check::failure(NAME, format!("{shown}: looking crashed: {crash}"), ""),
    };
    vec![check]
}
