//! The store that several managers share, as the registry writes there: documents that are
//! compared and set ([`wpk_api::Document`]). Only the registry enters, on threads that may
//! wait. What is known of versions here is changed by whoever holds the registry's lock.

mod documents;
mod tokens;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use tokio::runtime::Handle;
use wpk_api::{Document, DocumentWrite, NewDocument, StoreError, TaskStore};

use crate::database::Token;
pub(crate) use documents::{
    About, AgentDocument, AuthorityDocument, RegistryDocument, SealedCa, SeenDocument, node_key,
};
use documents::{FORM, NODES, PREFIX, REGISTRY, TokenDocument, read, text, token_key};

/// Documents read at a time.
const PAGE: usize = 1_000;
/// How often a writing is asked about whose outcome got lost.
const ASKED: usize = 3;

/// The store cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SharedError {
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error(
        "the document {key} in the task store cannot be read: {reason}; update wpkd where an \
         earlier release runs beside a later one, or put the store back from a backup"
    )]
    Document { key: String, reason: String },
    #[error("other managers change the same agents all the time; try again")]
    Raced,
}

/// What is written together: about what, and what it says; `None` deletes it.
pub(crate) type Writes = Vec<(About, Option<String>)>;

/// A key, the version that is expected there, and what it becomes.
type Set = (String, Option<u64>, Option<String>);

/// The store, and what is known of the documents there.
pub(crate) struct Shared {
    store: Arc<dyn TaskStore>,
    runtime: Handle,
    /// All documents up to this version were read.
    cursor: u64,
    versions: HashMap<About, u64>,
    registry: Option<RegistryDocument>,
    authority: Option<AuthorityDocument>,
    /// The highest form that was read.
    form: u32,
    /// What was not understood.
    left_out: HashSet<About>,
}

/// A document that was written since.
pub(crate) struct News {
    pub(crate) about: About,
    key: String,
    text: String,
}

impl News {
    /// What it says.
    pub(crate) fn read<T: serde::de::DeserializeOwned>(&self) -> Result<T, SharedError> {
        read(&self.text).map_err(|reason| SharedError::Document {
            key: self.key.clone(),
            reason,
        })
    }

    /// It says what cannot be.
    pub(crate) fn nonsense(&self) -> SharedError {
        SharedError::Document {
            key: self.key.clone(),
            reason: "a certificate's SHA-256 is none".to_owned(),
        }
    }
}

impl Shared {
    /// Reads nothing yet.
    pub(crate) fn new(store: Arc<dyn TaskStore>, runtime: Handle) -> Self {
        Self {
            store,
            runtime,
            cursor: 0,
            versions: HashMap::new(),
            registry: None,
            authority: None,
            form: 0,
            left_out: HashSet::new(),
        }
    }

    /// The registry as a whole, as it was last read; `None`: there is none yet.
    pub(crate) fn registry(&self) -> Option<&RegistryDocument> {
        self.registry.as_ref()
    }

    /// The CAs, as they were last read.
    pub(crate) fn authority(&self) -> Option<&AuthorityDocument> {
        self.authority.as_ref()
    }

    /// Reads the registry as a whole and the CAs.
    pub(crate) fn look(&mut self) -> Result<(), SharedError> {
        for about in [About::Registry, About::Authority] {
            if let Some(found) = self.one(&about.key())? {
                self.take(found)?;
            }
        }
        Ok(())
    }

    /// The next documents that were written since the last time, by others; none: all were
    /// read.
    pub(crate) fn since(&mut self) -> Result<Option<Vec<News>>, SharedError> {
        let page = self.store.documents_since(PREFIX, self.cursor, PAGE);
        let page = self.runtime.block_on(page)?;
        if page.is_empty() {
            return Ok(None);
        }
        let mut news = Vec::new();
        for document in page {
            let version = document.version;
            match self.take(document) {
                Ok(one) => news.extend(one),
                // What came before it counts; the next look ends here.
                Err(_) if !news.is_empty() => break,
                Err(error) => return Err(error),
            }
            self.cursor = version;
        }
        Ok(Some(news))
    }

    /// `None`: it is known.
    fn take(&mut self, document: Document) -> Result<Option<News>, SharedError> {
        let Document {
            key, version, text, ..
        } = document;
        let about = About::of(&key);
        let known = self.versions.get(&about);
        if about == About::Other || known.is_some_and(|known| *known >= version) {
            return Ok(None);
        }
        self.left_out.remove(&about);
        let news = News { about, key, text };
        match about {
            About::Registry => {
                let read: RegistryDocument = news.read()?;
                self.form = self.form.max(read.form);
                self.form()?;
                self.registry = Some(read);
            }
            About::Authority => self.authority = Some(news.read()?),
            _ => {}
        }
        self.versions.insert(about, version);
        Ok(Some(news))
    }

    /// Whether what stands there is of a form that is known.
    fn form(&self) -> Result<(), SharedError> {
        match self.form {
            ..=FORM => Ok(()),
            newer => Err(SharedError::Document {
                key: REGISTRY.to_owned(),
                reason: format!("it has form {newer}, this version knows {FORM}"),
            }),
        }
    }

    /// It was not understood: nothing is written over it.
    pub(crate) fn leave_out(&mut self, about: About) {
        self.versions.remove(&about);
        self.left_out.insert(about);
    }

    /// That it is not one of those.
    pub(crate) fn check(&self, about: About) -> Result<(), SharedError> {
        match self.left_out.contains(&about) {
            false => Ok(()),
            true => Err(SharedError::Document {
                key: about.key(),
                reason: "it was not understood before".to_owned(),
            }),
        }
    }

    /// Whether there are agents among those.
    pub(crate) fn leaves_out_agents(&self) -> bool {
        (self.left_out.iter()).any(|about| matches!(about, About::Agent(_)))
    }

    /// Whether there is a document about it.
    pub(crate) fn has(&self, about: About) -> bool {
        self.versions.contains_key(&about)
    }

    /// Which nodes live; empty where the store is one daemon's.
    pub(crate) fn living(&self) -> Result<BTreeSet<String>, SharedError> {
        let nodes = self.runtime.block_on(self.store.nodes())?;
        let living = nodes.into_iter().filter(|state| state.lives);
        Ok(living.map(|state| state.node).collect())
    }

    /// The nodes that keep their agents here.
    pub(crate) fn nodes(&self) -> Result<BTreeSet<String>, SharedError> {
        let found = self.all(NODES)?;
        let names = found.iter().filter_map(|one| one.key.strip_prefix(NODES));
        Ok(names.map(str::to_owned).collect())
    }

    /// This node keeps its agents here.
    pub(crate) fn sign(&mut self, node: &str) -> Result<(), SharedError> {
        let key = node_key(node);
        match self.one(&key)? {
            Some(_) => Ok(()),
            None => {
                // Another daemon of this name may have been as quick.
                self.set(vec![(key, None, Some("{}".to_owned()))])?;
                Ok(())
            }
        }
    }

    /// It does not.
    pub(crate) fn resign(&self, node: &str) -> Result<(), SharedError> {
        let key = node_key(node);
        if let Some(found) = self.one(&key)? {
            self.set(vec![(key, Some(found.version), None)])?;
        }
        Ok(())
    }

    /// Writes all of these or none; `false`: somebody else wrote one of them meanwhile.
    pub(crate) fn write(&mut self, writes: Writes) -> Result<bool, SharedError> {
        self.write_with(writes, None)
    }

    /// The same, and this token as it is now.
    pub(crate) fn write_with(
        &mut self,
        writes: Writes,
        token: Option<(u64, &Token)>,
    ) -> Result<bool, SharedError> {
        self.form()?;
        // What is not there needs no deletion.
        let writes: Writes = (writes.into_iter())
            .filter(|(about, text)| text.is_some() || self.has(*about))
            .collect();
        let known = |(about, text): &(About, Option<String>)| {
            let version = self.versions.get(about).copied();
            (about.key(), version, text.clone())
        };
        let mut sets: Vec<_> = writes.iter().map(known).collect();
        if let Some((version, token)) = token {
            let text = text(&TokenDocument::of(token));
            sets.push((token_key(&token.id), Some(version), Some(text)));
        }
        let Some(versions) = self.set(sets)? else {
            return Ok(false);
        };
        for ((about, text), version) in writes.iter().zip(versions) {
            match (text, version) {
                (Some(_), Some(version)) => {
                    self.versions.insert(*about, version);
                }
                // Somebody wrote over it since, which is learned.
                (Some(_), None) => {}
                (None, _) => {
                    self.versions.remove(about);
                }
            }
        }
        for (about, text) in writes {
            match (about, text) {
                (About::Registry, Some(text)) => self.registry = read(&text).ok(),
                (About::Authority, Some(text)) => self.authority = read(&text).ok(),
                _ => {}
            }
        }
        Ok(true)
    }

    /// Compares and sets; asks what became of it where that got lost. The versions that were
    /// written, as far as they are known.
    fn set(&self, sets: Vec<Set>) -> Result<Option<Vec<Option<u64>>>, SharedError> {
        let document = |text: String| NewDocument {
            epoch: 0,
            keeps_tasks: false,
            text,
        };
        let writes: Vec<_> = (sets.iter().cloned())
            .map(|(key, expected, text)| DocumentWrite {
                key,
                expected,
                becomes: text.map(document),
            })
            .collect();
        let mut asked = 0;
        loop {
            let writing = self.store.write_documents(writes.clone(), None);
            let lost = match self.runtime.block_on(writing) {
                Ok(Some(versions)) => return Ok(Some(versions.into_iter().map(Some).collect())),
                // Whoever was quicker may have been the writing whose outcome was lost.
                Ok(None) if asked > 0 => return self.found(&sets),
                Ok(None) => return Ok(None),
                Err(StoreError::Uncertain(why)) if asked < ASKED => StoreError::Uncertain(why),
                Err(error) => return Err(error.into()),
            };
            asked += 1;
            // Whoever cannot ask does not know, and says so.
            if let Some(versions) = self.found(&sets).map_err(|_| lost)? {
                return Ok(Some(versions));
            }
            // All or none: it was not written, and may be written now.
        }
    }

    /// Whether these were written, which the document of one agent proves, where it comes with
    /// a certificate: no two are alike. Of several at once all must be there. Their versions,
    /// as far as nobody wrote over them since.
    fn found(&self, sets: &[Set]) -> Result<Option<Vec<Option<u64>>>, SharedError> {
        let mut versions = Vec::with_capacity(sets.len());
        let is_agent = |key: &str| matches!(About::of(key), About::Agent(_));
        let alone = sets.iter().filter(|(key, ..)| is_agent(key)).count() == 1;
        let (mut proof, mut all) = (false, true);
        for (key, expected, text) in sets {
            let found = self.one(key)?;
            let version = found.as_ref().map(|one| one.version);
            let ours = version != *expected && found.map(|one| one.text) == *text;
            proof |= ours && alone && is_agent(key);
            all &= ours;
            versions.push(version.filter(|_| ours));
        }
        Ok((proof || all).then_some(versions))
    }

    fn one(&self, key: &str) -> Result<Option<Document>, SharedError> {
        let found = self.runtime.block_on(self.store.documents(key, "", 1))?;
        Ok(found.into_iter().find(|found| found.key == key))
    }

    fn all(&self, prefix: &str) -> Result<Vec<Document>, SharedError> {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let page = self.store.documents(prefix, &after, PAGE);
            let page = self.runtime.block_on(page)?;
            let Some(last) = page.last() else {
                return Ok(all);
            };
            after.clone_from(&last.key);
            all.extend(page);
        }
    }
}

/// The text of what is written about a record.
pub(crate) fn text_of(document: &impl serde::Serialize) -> Option<String> {
    Some(text(document))
}

/// The registry before anything is in it.
pub(crate) fn new_registry(id: String, last_id: i64, node: &str) -> RegistryDocument {
    RegistryDocument {
        form: FORM,
        id,
        last_id,
        importing: Some(node.to_owned()),
    }
}
