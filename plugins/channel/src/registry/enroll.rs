//! How agents come in: by an administrator, or with a token that one issued. Ids,
//! certificates and uses of tokens are on disk before anybody is told of them.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use wpk_api::manage::{LONGEST_TOKEN_TIME, MOST_TOKEN_USES, check_labels};
use wpk_api::{AgentId, DirectoryError, Labels, TokenInfo, TokenWish, UnixTime};
use wpk_wire::channel::EnrollToken;

use super::error::unavailable;
use super::publish::TRIES;
use super::{Kept, Registry, lock};
use crate::certificate::Issued;
use crate::database::{DatabaseError, Token, TokenId};
use crate::pki::PkiError;
use crate::record::{Record, check_name};
use crate::shared::{About, AgentDocument, SeenDocument, SharedError, text_of};

/// An agent that is to be enrolled.
pub(crate) struct NewAgent<'a> {
    pub(crate) name: &'a str,
    pub(crate) labels: Labels,
    /// The token it pays with.
    pub(crate) token: Option<&'a TokenId>,
    /// The CAs that it is given, SHA-256 in hexadecimal.
    pub(crate) trusts: Vec<String>,
}

impl Registry {
    /// Enrols an agent whose certificate `issue` makes. Writes to disk: not for an
    /// async thread.
    pub(crate) fn enroll(
        &self,
        agent: NewAgent<'_>,
        now: UnixTime,
        issue: impl Fn(AgentId) -> Result<Issued, PkiError>,
    ) -> Result<(AgentId, Issued), DirectoryError> {
        let NewAgent {
            name,
            labels,
            token,
            trusts,
        } = agent;
        check_name(name)?;
        // Held to the end, so that two enrolments cannot pass the check together.
        let mut kept = lock(&self.database);
        let mut issued = None;
        let make = |id: AgentId| {
            let made = issue(id)?;
            let mut record = Record::new(id, name, made.fingerprint, now);
            record.certificate_end = Some(made.not_after);
            record.issuer = Some(made.issuer);
            record.trusts.clone_from(&trusts);
            record.labels.clone_from(&labels);
            issued = Some(made);
            Ok::<_, EnrollError>(record)
        };
        let record = match kept.shared.is_some() {
            true => self.enroll_shared(&mut kept, name, token, now, make),
            false => {
                self.is_free(name)?;
                (kept.file.insert(now, token, make)).map_err(EnrollError::into_told)
            }
        }?;
        let id = record.id;
        self.write(|agents| agents.insert(record));
        issued
            .map(|issued| (id, issued))
            .ok_or_else(|| DirectoryError::Unavailable("no certificate was made".to_owned()))
    }

    /// The same where others share the agents: whoever is first gets the id.
    fn enroll_shared(
        &self,
        kept: &mut Kept,
        name: &str,
        token: Option<&TokenId>,
        now: UnixTime,
        mut make: impl FnMut(AgentId) -> Result<Record, EnrollError>,
    ) -> Result<Record, DirectoryError> {
        for _ in 0..TRIES {
            self.is_free(name)?;
            let Some(store) = &mut kept.shared else { break };
            let Some(mut registry) = store.registry().cloned() else {
                break;
            };
            let paid = match token {
                Some(token) => Some(pay(store.token(token).map_err(unavailable)?, now)?),
                None => None,
            };
            registry.last_id += 1;
            let id = AgentId::new(registry.last_id)
                .map_err(|_| EnrollError::from(DatabaseError::NoIdLeft).into_told())?;
            let record = make(id).map_err(EnrollError::into_told)?;
            let writes = vec![
                (About::Registry, text_of(&registry)),
                (About::Agent(id), text_of(&AgentDocument::of(&record))),
                (About::Seen(id), text_of(&SeenDocument::of(&record, false))),
            ];
            let paid = paid.as_ref().map(|(version, token)| (*version, token));
            if store.write_with(writes, paid).map_err(unavailable)? {
                self.copy(kept, std::slice::from_ref(&record));
                return Ok(record);
            }
            self.learn(kept).map_err(unavailable)?;
        }
        Err(unavailable(SharedError::Raced))
    }

    /// Keeps a new token. Not for an async thread.
    pub(crate) fn issue_token(
        &self,
        token: &EnrollToken,
        wish: &TokenWish,
        now: UnixTime,
    ) -> Result<UnixTime, DirectoryError> {
        let refused = |text: String| Err(DirectoryError::Refused(text));
        if !(1..=MOST_TOKEN_USES).contains(&wish.uses) {
            return refused(format!("a token has 1 to {MOST_TOKEN_USES} uses"));
        }
        let expires_in = UnixTime::try_from(wish.expires_in).unwrap_or(UnixTime::MAX);
        if !(1..=LONGEST_TOKEN_TIME).contains(&wish.expires_in) {
            return refused("a token expires after 1 second to 366 days".to_owned());
        }
        check_labels(&wish.labels).map_err(DirectoryError::Refused)?;
        let kept = Token {
            id: token.id,
            hash: hash(token),
            created: now,
            expires: now + expires_in,
            uses: wish.uses,
            left: wish.uses,
            revoked: false,
            labels: wish.labels.clone(),
        };
        match self.keep_token(&kept)? {
            true => Ok(kept.expires),
            false => refused(
                "there are too many tokens: they are forgotten 30 days after they expired"
                    .to_owned(),
            ),
        }
    }

    /// The labels that come with a token, if it is good. Not for an async thread.
    pub(crate) fn redeem(
        &self,
        token: &EnrollToken,
        now: UnixTime,
    ) -> Result<Labels, DirectoryError> {
        let kept = self.kept_token(&token.id)?;
        let refused = |text: &str| Err(DirectoryError::Refused(text.to_owned()));
        let good = |kept: &Token| bool::from(kept.hash.ct_eq(&hash(token)));
        // Whoever does not know the secret learns nothing.
        let Some(kept) = kept.filter(good) else {
            return refused("this token was not issued here");
        };
        match kept {
            kept if kept.revoked => refused("this token was revoked"),
            kept if kept.expires <= now => refused("this token has expired"),
            kept if kept.left == 0 => refused("this token was used up"),
            kept => Ok(kept.labels),
        }
    }

    /// All tokens, oldest first. Not for an async thread.
    pub(crate) fn tokens(&self) -> Result<Vec<TokenInfo>, DirectoryError> {
        let tokens = self.kept_tokens()?;
        let info = |token: Token| TokenInfo {
            id: id_text(&token.id),
            created: token.created,
            expires: token.expires,
            uses: token.uses,
            left: token.left,
            revoked: token.revoked,
            labels: token.labels,
        };
        Ok(tokens.into_iter().map(info).collect())
    }

    /// Makes a token worthless. Not for an async thread.
    pub(crate) fn revoke_token(&self, id: &str, now: UnixTime) -> Result<(), DirectoryError> {
        let found = (self.kept_tokens()?.into_iter()).find(|token| id_text(&token.id) == id);
        if let Some(token) = found
            && self.forbid_token(&token.id, now)?
        {
            return Ok(());
        }
        Err(DirectoryError::Refused(
            "there is no such token: `wpkctl agent token list` shows their ids".to_owned(),
        ))
    }
}

fn id_text(id: &TokenId) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is kept of a secret.
fn hash(token: &EnrollToken) -> [u8; 32] {
    Sha256::digest(token.secret).into()
}

/// Why an enrolment came to nothing.
#[derive(Debug, thiserror::Error)]
enum EnrollError {
    #[error("the registry of agents cannot be written: {0}")]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Pki(#[from] PkiError),
}

impl EnrollError {
    /// What whoever asked is told.
    fn into_told(self) -> DirectoryError {
        match self {
            Self::Database(DatabaseError::Token) | Self::Pki(PkiError::Request(_)) => {
                DirectoryError::Refused(self.to_string())
            }
            error => DirectoryError::Unavailable(error.to_string()),
        }
    }
}

/// A token, as it is after one use more, and the version that it has.
fn pay(found: Option<(u64, Token)>, now: UnixTime) -> Result<(u64, Token), DirectoryError> {
    match found {
        Some((version, mut token)) if token.left > 0 && !token.revoked && token.expires > now => {
            token.left -= 1;
            Ok((version, token))
        }
        _ => Err(EnrollError::from(DatabaseError::Token).into_told()),
    }
}
