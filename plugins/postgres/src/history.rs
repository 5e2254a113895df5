//! Which tasks there are, page by page.

use tokio_postgres::types::{ToSql, Type};
use wpk_api::{StoreResult, TaskKind, TaskPage, TaskPlace, TaskQuery};

use crate::database::Database;
use crate::fault::Fault;
use crate::pool::Sql;
use crate::read;
use crate::rows::{columns, count};

/// What all have in common: behind a place, down to a time.
macro_rules! listed {
    ($where:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM @tasks t WHERE (t.created, t.id) < ($1, $2) AND t.created >= $3",
            $where,
            " ORDER BY t.created DESC, t.id DESC LIMIT $4"
        )
    };
}

static BY_TIME: Sql = Sql {
    text: listed!(""),
    types: &[Type::INT8, Type::INT8, Type::INT8, Type::INT8],
};

/// By the two indexes of what lives.
static LIVE: Sql = Sql {
    text: listed!(
        " AND ((t.exclusive AND t.status IN ('Pending', 'In progress')) \
           OR (NOT t.exclusive AND t.status IN ('Pending', 'In progress')))"
    ),
    types: &[Type::INT8, Type::INT8, Type::INT8, Type::INT8],
};

static OF_AGENTS: Sql = Sql {
    text: listed!(" AND t.agent = ANY ($5)"),
    types: &[
        Type::INT8,
        Type::INT8,
        Type::INT8,
        Type::INT8,
        Type::INT4_ARRAY,
    ],
};

/// See [`wpk_api::TaskStore::history`].
pub(crate) async fn page(database: &Database, query: &TaskQuery) -> StoreResult<TaskPage> {
    let before = query.before.unwrap_or(TaskPlace::FIRST);
    let since = query.since.unwrap_or(i64::MIN);
    let limit = count(query.looks_at());
    let agents = read::agents(&query.agents);
    let (created, id) = (before.created, before.task.0);
    let mut values: Vec<&(dyn ToSql + Sync)> = vec![&created, &id, &since, &limit];
    let sql = match (query.agents.is_empty(), query.only) {
        (false, _) => {
            values.push(&agents);
            &OF_AGENTS
        }
        (true, TaskKind::Live) => &LIVE,
        (true, TaskKind::All | TaskKind::Troubled) => &BY_TIME,
    };
    let rows = database.ask(sql, &values).await?;
    let looked_at = read::tasks(&rows).map_err(Fault::into_error)?;
    Ok(query.page(looked_at))
}
