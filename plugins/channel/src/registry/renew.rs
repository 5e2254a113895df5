//! A newer certificate for an agent that is enrolled. It is on disk before the agent gets
//! it; until the agent shows it, the one before is good as well.

use wpk_api::{AgentId, DirectoryError};

use super::{Registry, lock};
use crate::certificate::{Fingerprint, Issued};
use crate::pki::PkiError;
use crate::record::{Next, Record};

impl Registry {
    /// An agent showed this certificate: where it is the newer one, the one before is worth
    /// nothing any more.
    pub(crate) fn shown(&self, id: AgentId, fingerprint: &Fingerprint) {
        let before = self.write(|agents| {
            let record = agents.by_id.get_mut(&id)?;
            let next = record.next.as_ref().map(|next| next.fingerprint);
            (next.as_ref() == Some(fingerprint)).then(|| {
                let before = record.fingerprint;
                record.take_next();
                agents.by_fingerprint.remove(&before);
            })
        });
        if before.is_some() {
            tracing::info!(agent = %id, "the agent shows its new certificate; the one before is worth nothing now");
            self.changed_more(id);
        }
    }

    /// Has `issue` make another certificate for an agent that showed `shown`. Writes to
    /// disk: not for an async thread.
    pub(crate) fn renew(
        &self,
        id: AgentId,
        shown: &Fingerprint,
        issue: impl Fn() -> Result<Issued, PkiError>,
    ) -> Result<Issued, DirectoryError> {
        self.shown(id, shown);
        let mut kept = lock(&self.database);
        let (mut issued, mut before) = (None, None);
        self.amend(&mut kept, id, false, |record| {
            if record.fingerprint != *shown {
                return Err(replaced());
            }
            let new = issue().map_err(|error| match error {
                PkiError::Request(_) => DirectoryError::Refused(error.to_string()),
                _ => DirectoryError::Unavailable(error.to_string()),
            })?;
            before = record.next.replace(Next {
                fingerprint: new.fingerprint,
                end: new.not_after,
                issuer: new.issuer,
            });
            issued = Some(new);
            Ok(())
        })?;
        let Some(issued) = issued else {
            return Err(DirectoryError::Unavailable(
                "no certificate was made".to_owned(),
            ));
        };
        let kept = self.write(|agents| {
            let kept = agents.by_id.get_mut(&id)?;
            // It may have shown the newer one meanwhile.
            (kept.fingerprint == *shown).then(|| {
                kept.next = Some(Next {
                    fingerprint: issued.fingerprint,
                    end: issued.not_after,
                    issuer: issued.issuer,
                });
                if let Some(before) = before {
                    // It never reached the agent, or the agent lost it.
                    agents.by_fingerprint.remove(&before.fingerprint);
                }
                agents.by_fingerprint.insert(issued.fingerprint, id);
            })
        });
        // What is in memory goes to disk again in any case.
        lock(&self.changed).insert(id);
        self.wake.notify_one();
        kept.map(|()| issued).ok_or_else(replaced)
    }

    /// Keeps which CAs an agent trusts.
    pub(crate) fn trusts(&self, id: AgentId, digests: Vec<String>) {
        self.change(id, |record| record.trusts = digests);
    }

    /// The CA that issued an agent's certificate, the newest it has; `None` where that was
    /// not written down.
    pub(crate) fn issuer(&self, id: AgentId) -> Option<Fingerprint> {
        self.read(|agents| {
            let record = agents.by_id.get(&id)?;
            let next = record.next.as_ref().map(|next| next.issuer);
            next.or(record.issuer)
        })
    }

    /// Who does not trust the CA with this digest, as far as they said. Ascending.
    pub(crate) fn distrusting(&self, digest: &str) -> Vec<AgentId> {
        self.those(|record| !record.trusts.iter().any(|one| one == digest))
    }

    /// Whose certificate this CA did not issue. Ascending.
    pub(crate) fn not_issued_by(&self, ca: &Fingerprint) -> Vec<AgentId> {
        self.those(|record| record.issuer.as_ref() != Some(ca))
    }

    fn those(&self, which: impl Fn(&Record) -> bool) -> Vec<AgentId> {
        self.read(|agents| {
            let records = agents.by_id.values().filter(|one| which(one));
            records.map(|record| record.id).collect()
        })
    }

    /// Agents whose certificate ends after `now` and within `soon` seconds, or, of those
    /// that renew theirs, within `overdue`; with its end, ascending. One whose newer
    /// certificate waits is none of them.
    pub(crate) fn ending(&self, now: i64, soon: i64, overdue: i64) -> Vec<(AgentId, i64)> {
        self.read(|agents| {
            let ends = agents.by_id.values().filter_map(|record| {
                let end = record.certificate_end?;
                let near = if record.renews { overdue } else { soon };
                let is_near = end > now && end < now.saturating_add(near);
                (is_near && record.next.is_none()).then_some((record.id, end))
            });
            ends.collect()
        })
    }
}

fn replaced() -> DirectoryError {
    DirectoryError::Refused("this certificate was replaced by a newer one".to_owned())
}
