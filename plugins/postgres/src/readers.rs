//! How far readers of the feed have come. A reader is known by its name within the node
//! that entered: the observers of one node know nothing of another's.

use tokio_postgres::types::Type;
use wpk_api::Revision;

use crate::fault::Fault;
use crate::pool::Sql;
use crate::work::Work;

static SET: Sql = Sql {
    text: "INSERT INTO @readers AS r (node, name, place) VALUES ($1, $2, $3) \
           ON CONFLICT (node, name) DO UPDATE SET place = greatest(r.place, excluded.place)",
    types: &[Type::TEXT, Type::TEXT, Type::INT8],
};

static KEEP: Sql = Sql {
    text: "DELETE FROM @readers WHERE node = $1 AND name <> ALL ($2)",
    types: &[Type::TEXT, Type::TEXT_ARRAY],
};

/// See [`wpk_api::TaskStore::set_place`].
pub(crate) async fn set_place(
    work: &mut Work<'_>,
    reader: &str,
    place: Revision,
) -> Result<(), Fault> {
    if !(1..=64).contains(&reader.len()) {
        return Err(Fault::Nonsense(format!(
            "a reader's name has 1 to 64 bytes, this one {}",
            reader.len()
        )));
    }
    let node = work.node().unwrap_or_default().to_owned();
    let place = i64::try_from(place.0).unwrap_or(i64::MAX);
    work.ask(&SET, &[&node, &reader, &place]).await?;
    Ok(())
}

/// See [`wpk_api::TaskStore::keep_readers`].
pub(crate) async fn keep(work: &mut Work<'_>, names: &[String]) -> Result<(), Fault> {
    let node = work.node().unwrap_or_default().to_owned();
    work.ask(&KEEP, &[&node, &names]).await?;
    Ok(())
}
