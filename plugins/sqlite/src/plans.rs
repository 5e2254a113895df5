//! Which index each frequent statement takes.

use rusqlite::Connection;

use crate::create::LIVE_OF;
use crate::moves::{CLAIMABLE, LIVE_ON};
use crate::{history, read};

/// A full scan of the table would make each of these slower with history.
#[test]
fn the_frequent_statements_use_the_indexes() {
    let connection = Connection::open_in_memory().unwrap();
    crate::schema::create(&connection).unwrap();
    connection
        .set_db_config(
            rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG,
            true,
        )
        .unwrap();
    // What lives and what has ended, by agent.
    const BOTH: &str = "WPKD_TASKS_LIVE (AGENT_ID=? and WPKD_TASKS_ENDED (AGENT_ID=?";
    for (sql, indexes) in [
        (read::LATEST, "n USING INTEGER PRIMARY KEY"),
        (crate::newest::LOOKED_UP, BOTH),
        (crate::newest::MADE, "INTEGER PRIMARY KEY (rowid>?)"),
        (read::INTERRUPTED, "WPKD_TASKS_WORK"),
        (read::SPOKEN_OF, BOTH),
        (read::IN_HISTORY, BOTH),
        (crate::create::WAITING_ELSEWHERE, "WPKD_TASKS_LIVE"),
        (read::IN_PROGRESS, "WPKD_TASKS_WORK"),
        (LIVE_OF, "WPKD_TASKS_LIVE"),
        (crate::many::LIVES, "WPKD_TASKS_LIVE"),
        (
            crate::many::CHANGES,
            "INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
        ),
        (
            crate::many::OCCUPY,
            "INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
        ),
        (CLAIMABLE, "WPKD_ORDERS_WAITING"),
        (LIVE_ON, "WPKD_TASKS_WORK"),
        (read::AWAITING, "WPKD_ORDERS_AWAITED"),
        (read::BEGUN_AFTER, BOTH),
        (crate::orphans::ORPHANS, "WPKD_TASKS_WORK"),
        (crate::fenced::STAGING, "WPKD_ORDERS_WAITING"),
        (crate::feed::GONE, "WPKD_CHANGES_GONE"),
        (crate::attempts::ATTEMPTS, "WPKD_FENCES_KEY"),
        (crate::attempts::ATTEMPT, "INTEGER PRIMARY KEY"),
        (crate::fenced::FENCED, "WPKD_FENCES_KEY"),
        (crate::imports::IMPORTED, BOTH),
        (crate::imports::OWN, BOTH),
        (history::BY_TIME, "WPKD_TASKS_CREATED"),
        (history::LIVE, "WPKD_TASKS_"),
        (history::OF_AGENTS, BOTH),
    ] {
        let mut statement = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .unwrap();
        let values = vec![1; statement.parameter_count()];
        let plan: Vec<String> = statement
            .query_map(rusqlite::params_from_iter(values), |row| row.get(3))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        for index in indexes.split(" and ") {
            let used = plan.iter().any(|step| step.contains(index));
            assert!(used, "{sql}: {plan:?}");
        }
        let works = plan.iter().any(|step| step.contains("WPKD_TASKS_WORK"));
        assert!(indexes != BOTH || !works, "{sql}: {plan:?}");
        let scan = |step: &String| {
            step.starts_with("SCAN")
                && !["json_each", "CONSTANT ROW"]
                    .iter()
                    .any(|few| step.contains(few))
        };
        assert!(!plan.iter().any(scan), "{sql}: {plan:?}");
        let sorted = plan.iter().any(|step| step.contains("TEMP B-TREE"));
        let may_sort = ![CLAIMABLE, history::BY_TIME].contains(&sql);
        assert!(!sorted || may_sort, "{sql}: {plan:?}");
    }
}
