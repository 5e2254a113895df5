//! Enrolment tokens in the store that several managers share: read when they are needed, and
//! held nowhere.

use wpk_api::Document;

use super::documents::{TOKENS, TokenDocument, read, text, token_key};
use super::{Shared, SharedError};
use crate::database::{Token, TokenId};

impl Shared {
    /// A token and the version of its document.
    pub(crate) fn token(&self, id: &TokenId) -> Result<Option<(u64, Token)>, SharedError> {
        let found = self.one(&token_key(id))?;
        found.map(|found| token_of(&found)).transpose()
    }

    /// All tokens.
    pub(crate) fn tokens(&self) -> Result<Vec<(u64, Token)>, SharedError> {
        let found = self.all(TOKENS)?;
        found.iter().map(token_of).collect()
    }

    /// Writes tokens, and deletes others; `false`: somebody else wrote one meanwhile.
    pub(crate) fn write_tokens(
        &self,
        new: &[(Option<u64>, &Token)],
        gone: &[(u64, TokenId)],
    ) -> Result<bool, SharedError> {
        let put = new.iter().map(|(version, token)| {
            let text = text(&TokenDocument::of(token));
            (token_key(&token.id), *version, Some(text))
        });
        let delete = (gone.iter()).map(|(version, id)| (token_key(id), Some(*version), None));
        Ok(self.set(put.chain(delete).collect())?.is_some())
    }
}

fn token_of(document: &Document) -> Result<(u64, Token), SharedError> {
    let damaged = |reason| SharedError::Document {
        key: document.key.clone(),
        reason,
    };
    let read: TokenDocument = read(&document.text).map_err(damaged)?;
    let token = read.token();
    let token = token.ok_or_else(|| damaged("id or hash is none".to_owned()))?;
    Ok((document.version, token))
}
