//! What `wpkctl doctor` is told of the database: whether it is reached and how, whether it
//! is one that the store takes, whether its clock is the machine's, and which nodes share
//! it. Nothing is changed, not even the tables made.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::{Instant, timeout_at};
use wpk_api::Context;
use wpk_api::examine::Check;

use crate::entries::{NODES, state};
use crate::fault::Fault;
use crate::place::Place;
use crate::pool::Connection;
use crate::schema::{self, Found, LAYOUT, OLDEST_SERVER, first};
use crate::settings::Settings;

const NAME: &str = "task database";
/// Seconds by which the machine's clock may be apart from the server's.
const APART: i64 = 5;

/// Looks at the database of a section.
pub(crate) async fn examine(settings: &Settings, context: &Context) -> Vec<Check> {
    let place = match Place::of(settings, |path| context.path(path)) {
        Ok(place) => place,
        Err((key, error)) => {
            return vec![Check::failure(NAME, format!("store.{key}: {error}"), "")];
        }
    };
    let mut checks = Vec::new();
    let deadline = Instant::now() + place.connect_timeout + settings.timeout.0;
    let looked = timeout_at(deadline, look(settings, &place, deadline, &mut checks)).await;
    let fault = match looked {
        Ok(Ok(())) => return checks,
        Ok(Err(fault)) => fault,
        Err(_) => Fault::silent(),
    };
    let advice = "look whether the server runs and can be reached from here; see the section \
                  [store], and the log of the server";
    checks.push(Check::failure(NAME, fault.into_error().to_string(), advice));
    checks
}

async fn look(
    settings: &Settings,
    place: &Place,
    deadline: Instant,
    checks: &mut Vec<Check>,
) -> Result<(), Fault> {
    let mut on = Connection::open(place, &settings.schema, settings.prepared).await?;
    let found = schema::look(&on, &settings.schema).await?;
    checks.push(reached(place, &found));
    if found.server < OLDEST_SERVER {
        return Ok(());
    }
    checks.push(layout(settings, &on, &found).await?);
    checks.extend(server(&on).await?);
    if found.layout == Some(LAYOUT) {
        checks.extend(rights(settings, &on).await?);
        checks.extend(nodes(&mut on, deadline).await?);
    }
    Ok(())
}

fn reached(place: &Place, found: &Found) -> Check {
    let how = match &place.tls {
        Some(_) => "over TLS, its certificate verified",
        None => "without TLS",
    };
    let (version, shown) = (found.server / 10_000, &place.shown);
    let detail = format!("{shown} is PostgreSQL {version}, reached {how}");
    match (found.server < OLDEST_SERVER, &place.tls) {
        (true, _) => Check::failure(NAME, detail, "version 13 or newer is needed"),
        (false, None) if !place.is_here() => {
            let advice = "whoever is between can read and change what is said: leave tls out";
            Check::warning(NAME, detail, advice)
        }
        (false, _) => Check::ok(NAME, detail),
    }
}

async fn layout(settings: &Settings, on: &Connection, found: &Found) -> Result<Check, Fault> {
    let (name, schema) = ("task tables", &settings.schema);
    Ok(match found.layout {
        Some(LAYOUT) => {
            let counted = first(
                on,
                &on.spelled(
                    "SELECT count(*), count(*) FILTER (WHERE status IN ('Pending', 'In progress')) \
                 FROM @tasks",
                ),
            )
            .await?;
            let word = |at: usize| counted.get(at).cloned().flatten().unwrap_or_default();
            let detail = format!(
                "schema {schema}: {} tasks, {} of them live",
                word(0),
                word(1)
            );
            Check::ok(name, detail)
        }
        Some(newer) if newer > LAYOUT => {
            let text = schema::unknown(newer).into_error().to_string();
            Check::failure(name, text, "")
        }
        Some(older) => {
            let detail = format!("schema {schema} has layout {older}, of a release before");
            Check::warning(
                name,
                detail,
                "wpkd brings it up to date when it next starts",
            )
        }
        None => {
            let may = "SELECT has_database_privilege(current_database(), 'CREATE')";
            let may = first(on, may).await?.first().cloned().flatten();
            let detail = format!("schema {schema} has no tables yet");
            if found.schema || may.as_deref() == Some("t") {
                Check::warning(name, detail, "wpkd makes them when it first starts")
            } else {
                let advice = format!(
                    "as an administrator of the database: CREATE SCHEMA {schema} AUTHORIZATION \
                     the user of [store]"
                );
                Check::failure(name, detail, advice)
            }
        }
    })
}

/// What of the server itself matters.
async fn server(on: &Connection) -> Result<Vec<Check>, Fault> {
    let asked = "SELECT floor(extract(epoch FROM clock_timestamp()))::int8, \
                 current_setting('fsync'), pg_is_in_recovery(), \
                 current_setting('transaction_read_only')";
    let row = first(on, asked).await?;
    let word = |at: usize| row.get(at).and_then(Option::as_deref).unwrap_or_default();
    let mut checks = Vec::new();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let here = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let apart = word(0).parse::<i64>().unwrap_or(here) - here;
    let name = "database clock";
    checks.push(match apart.abs() > APART {
        true => {
            let word = if apart > 0 { "ahead of" } else { "behind" };
            let detail = format!(
                "{} s {word} this machine's; the database's counts",
                apart.abs()
            );
            Check::warning(
                name,
                detail,
                "set the clocks right; logs and timelines differ",
            )
        }
        false => Check::ok(name, "as this machine's"),
    });
    if word(1) == "off" {
        let advice = "set fsync = on in postgresql.conf: a crash of the machine loses tasks";
        checks.push(Check::warning(
            "database durability",
            "fsync is off",
            advice,
        ));
    }
    if word(2) == "t" || word(3) == "on" {
        let advice = "name the primary in store.url, or all servers of the cluster";
        let detail = "the server is a standby, or read-only: nothing can be written";
        checks.push(Check::failure("database writes", detail, advice));
    }
    Ok(checks)
}

/// Whether all tables can be written.
async fn rights(settings: &Settings, on: &Connection) -> Result<Option<Check>, Fault> {
    let asked = format!(
        "SELECT string_agg(c.relname, ', ') FROM pg_class c \
         JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = '{}' AND (c.relkind = 'r' \
             AND NOT has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE') \
             OR c.relkind = 'S' AND NOT has_sequence_privilege(c.oid, 'USAGE'))",
        settings.schema
    );
    let missing = first(on, &asked).await?.first().cloned().flatten();
    Ok(missing.map(|missing| {
        let detail = format!("{} may not write {missing}", settings.user);
        let advice = "grant SELECT, INSERT, UPDATE and DELETE on tables and USAGE on sequences, \
                      or make the user the owner of the schema";
        Check::failure("database rights", detail, advice)
    }))
}

/// Who shares it, and whether they live.
async fn nodes(on: &mut Connection, deadline: Instant) -> Result<Vec<Check>, Fault> {
    let rows = on.ask(&NODES, &[], deadline).await?;
    let states = rows.iter().map(state).collect::<Result<Vec<_>, _>>()?;
    let check = |state: &wpk_api::NodeState| {
        let (held, name) = (&state.held, format!("node {}", state.node));
        let who = format!("process {} on {}", held.holder.process, held.holder.host);
        let age = held.age.as_secs();
        match state.lives {
            true => Check::ok(name, format!("{who}, heard of {age} s ago")),
            false => {
                let detail = format!("{who} was last heard of {age} s ago");
                let advice = "if it is not meant to be gone, look why it does not run; what it \
                              has not begun is taken over by the others";
                Check::warning(name, detail, advice)
            }
        }
    };
    Ok(states.iter().map(check).collect())
}
