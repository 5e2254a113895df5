//! Where enrolment tokens are kept: in the file, or in the store that several managers share.

use wpk_api::{DirectoryError, UnixTime};

use super::error::unavailable;
use super::publish::TRIES;
use super::{Registry, lock};
use crate::database::{KEPT_TOKENS, MOST_TOKENS, Token, TokenId};
use crate::shared::SharedError;

impl Registry {
    /// Adds a token, and forgets those that expired long ago. False where there are too
    /// many.
    pub(super) fn keep_token(&self, token: &Token) -> Result<bool, DirectoryError> {
        let mut kept = lock(&self.database);
        let Some(store) = &kept.shared else {
            return kept.file.add_token(token).map_err(unavailable);
        };
        for _ in 0..TRIES {
            let all = store.tokens().map_err(unavailable)?;
            let long_ago = token.created - KEPT_TOKENS;
            let gone: Vec<_> = (all.iter())
                .filter(|(_, one)| one.expires < long_ago)
                .map(|(version, one)| (*version, one.id))
                .collect();
            if all.len() - gone.len() >= MOST_TOKENS {
                return Ok(false);
            }
            if store
                .write_tokens(&[(None, token)], &gone)
                .map_err(unavailable)?
            {
                return Ok(true);
            }
        }
        Err(unavailable(SharedError::Raced))
    }

    /// All of them, oldest first.
    pub(super) fn kept_tokens(&self) -> Result<Vec<Token>, DirectoryError> {
        let kept = lock(&self.database);
        let Some(store) = &kept.shared else {
            return kept.file.tokens().map_err(unavailable);
        };
        let all = store.tokens().map_err(unavailable)?;
        let mut all: Vec<Token> = all.into_iter().map(|(_, token)| token).collect();
        all.sort_by_key(|token| (token.created, token.id));
        Ok(all)
    }

    /// One of them.
    pub(super) fn kept_token(&self, id: &TokenId) -> Result<Option<Token>, DirectoryError> {
        let kept = lock(&self.database);
        match &kept.shared {
            None => kept.file.token(id).map_err(unavailable),
            Some(store) => {
                let found = store.token(id).map_err(unavailable)?;
                Ok(found.map(|(_, token)| token))
            }
        }
    }

    /// Makes one worthless; false if there is no such token.
    pub(super) fn forbid_token(&self, id: &TokenId, at: UnixTime) -> Result<bool, DirectoryError> {
        let mut kept = lock(&self.database);
        let Some(store) = &kept.shared else {
            return kept.file.revoke_token(id, at).map_err(unavailable);
        };
        for _ in 0..TRIES {
            let Some((version, mut token)) = store.token(id).map_err(unavailable)? else {
                return Ok(false);
            };
            token.revoked = true;
            let new = [(Some(version), &token)];
            if store.write_tokens(&new, &[]).map_err(unavailable)? {
                return Ok(true);
            }
        }
        Err(unavailable(SharedError::Raced))
    }
}
