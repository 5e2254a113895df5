//! Enrolment tokens on disk: of each the SHA-256 of its secret, which is long and
//! random, so that nobody who reads the file can enroll.

use rusqlite::{OptionalExtension, Row, params};
use wpk_api::{Labels, UnixTime};

use super::{Database, DatabaseError, as_json};

/// By which a token is found.
pub(crate) type TokenId = [u8; 8];

/// The most tokens that are kept.
pub(crate) const MOST_TOKENS: usize = 10_000;
/// How long one that expired is still listed, in seconds.
pub(crate) const KEPT_TOKENS: UnixTime = 30 * 86_400;

/// A token as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) id: TokenId,
    pub(crate) hash: [u8; 32],
    pub(crate) created: UnixTime,
    pub(crate) expires: UnixTime,
    pub(crate) uses: u32,
    pub(crate) left: u32,
    pub(crate) revoked: bool,
    pub(crate) labels: Labels,
}

impl Database {
    /// Adds a token, and forgets those that expired long ago. False where there are
    /// too many.
    pub(crate) fn add_token(&mut self, token: &Token) -> Result<bool, DatabaseError> {
        self.place.check()?;
        let transaction = self.connection.transaction()?;
        transaction.execute(
            "DELETE FROM tokens WHERE expires < ?1",
            [token.created - KEPT_TOKENS],
        )?;
        let count: i64 =
            transaction.query_row("SELECT count(*) FROM tokens", [], |row| row.get(0))?;
        if usize::try_from(count).unwrap_or(usize::MAX) >= MOST_TOKENS {
            return Ok(false);
        }
        transaction.execute(
            "INSERT INTO tokens (id, hash, created, expires, uses, left, labels)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                token.id,
                token.hash,
                token.created,
                token.expires,
                token.uses,
                token.left,
                as_json(&token.labels)
            ],
        )?;
        transaction.commit()?;
        Ok(true)
    }

    /// All of them, oldest first.
    pub(crate) fn tokens(&self) -> Result<Vec<Token>, DatabaseError> {
        let mut statement = self.connection.prepare(
            "SELECT id, hash, created, expires, uses, left, revoked, labels FROM tokens
             ORDER BY created, id",
        )?;
        let rows = statement.query_map([], token)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// One of them.
    pub(crate) fn token(&self, id: &TokenId) -> Result<Option<Token>, DatabaseError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, hash, created, expires, uses, left, revoked, labels FROM tokens
             WHERE id = ?1",
        )?;
        Ok(statement.query_row([id], token).optional()?)
    }

    /// Makes one worthless; false if there is no such token.
    pub(crate) fn revoke_token(
        &mut self,
        id: &TokenId,
        at: UnixTime,
    ) -> Result<bool, DatabaseError> {
        self.place.check()?;
        let changed = self.connection.execute(
            "UPDATE tokens SET revoked = coalesce(revoked, ?2) WHERE id = ?1",
            params![id, at],
        )?;
        Ok(changed == 1)
    }
}

fn token(row: &Row<'_>) -> rusqlite::Result<Token> {
    let labels: String = row.get(7)?;
    Ok(Token {
        id: row.get(0)?,
        hash: row.get(1)?,
        created: row.get(2)?,
        expires: row.get(3)?,
        uses: row.get(4)?,
        left: row.get(5)?,
        revoked: row.get::<_, Option<i64>>(6)?.is_some(),
        labels: serde_json::from_str(&labels).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(7, rusqlite::types::Type::Text, error.into())
        })?,
    })
}
