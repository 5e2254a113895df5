//! A directory in memory that does all that one may offer, well or badly.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use wpk_api::manage::{LONGEST_TOKEN_TIME, MOST_TOKEN_USES, check_labels};
use wpk_api::{
    AgentChange, AgentDetails, AgentDirectory, AgentId, AgentInfo, AgentPage, ConnectionStatus,
    DirectoryError, Enrollment, IssuedToken, Platform, TokenInfo, TokenWish,
};
use wpk_testkit::directory_suite::{self, Stand};
use wpk_testkit::suite::now;

use super::{complains, verdict};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    ForgetsLabels,
    TakesAnyLabel,
    KeepsTheRevoked,
    GivesIdsAgain,
    RemembersTheRemoved,
    RevokesAnybody,
    TakesAnyWish,
    ForgetsThatATokenWasRevoked,
    TellsOfOthers,
}

#[derive(Default)]
struct State {
    agents: BTreeMap<AgentId, AgentDetails>,
    last: i64,
    tokens: Vec<TokenInfo>,
}

struct Managed(Fault, Mutex<State>);

fn refused<T>(text: &str) -> Result<T, DirectoryError> {
    Err(DirectoryError::Refused(text.to_owned()))
}

fn good(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    !matches!(name, "" | "." | "..") && name.len() <= 128 && name.chars().all(allowed)
}

impl State {
    fn live(&self) -> impl Iterator<Item = &AgentDetails> {
        self.agents.values().filter(|one| one.revoked.is_none())
    }

    fn is_free(&self, name: &str) -> bool {
        good(name) && !self.live().any(|one| one.name.as_deref() == Some(name))
    }
}

fn info(details: &AgentDetails) -> AgentInfo {
    AgentInfo {
        id: details.id,
        name: details.name.clone(),
        platform: Platform::default(),
        version: None,
        connection: ConnectionStatus::NeverConnected,
        group: None,
        node: None,
    }
}

#[async_trait]
impl AgentDirectory for Managed {
    async fn lookup(&self, ids: &[AgentId]) -> Result<Vec<AgentInfo>, DirectoryError> {
        tokio::task::yield_now().await;
        let state = self.1.lock().unwrap();
        let mut found: Vec<_> = state.live().map(info).collect();
        if self.0 == Fault::KeepsTheRevoked {
            found = state.agents.values().map(info).collect();
        }
        found.retain(|one| ids.contains(&one.id));
        let manager = AgentDetails::new(AgentId::MANAGER);
        found.extend(ids.contains(&AgentId::MANAGER).then(|| info(&manager)));
        Ok(found)
    }

    async fn list(
        &self,
        after: Option<AgentId>,
        limit: usize,
    ) -> Result<AgentPage, DirectoryError> {
        tokio::task::yield_now().await;
        let state = self.1.lock().unwrap();
        let mut rest = state
            .live()
            .filter(|one| after.is_none_or(|after| one.id > after));
        let agents = rest.by_ref().take(limit).map(info).collect();
        let more = rest.next().is_some();
        Ok(AgentPage { agents, more })
    }

    async fn enroll(&self, name: &str) -> Result<Enrollment, DirectoryError> {
        tokio::task::yield_now().await;
        let mut state = self.1.lock().unwrap();
        if !state.is_free(name) {
            return refused("taken");
        }
        let highest = state.live().map(|one| i64::from(one.id)).max();
        state.last = match self.0 {
            Fault::GivesIdsAgain => highest.unwrap_or(0) + 1,
            _ => state.last + 1,
        };
        let id = AgentId::new(state.last).unwrap();
        let mut details = AgentDetails::new(id);
        details.name = Some(name.to_owned());
        state.agents.insert(id, details);
        let pem = "-----BEGIN X-----\n".to_owned();
        Ok(Enrollment {
            id,
            name: name.to_owned(),
            key_pem: pem.clone(),
            certificate_pem: pem.clone(),
            ca_pem: pem,
            address: None,
        })
    }

    async fn change(&self, agent: AgentId, change: &AgentChange) -> Result<(), DirectoryError> {
        let mut state = self.1.lock().unwrap();
        let taken = matches!(change, AgentChange::Rename(name) if !state.is_free(name));
        let Some(details) = state.agents.get_mut(&agent) else {
            return match self.0 {
                Fault::RevokesAnybody => Ok(()),
                _ => refused("nobody"),
            };
        };
        if details.revoked.is_some() && *change != AgentChange::Remove {
            return refused("revoked");
        }
        match change {
            AgentChange::Revoke => details.revoked = Some(1),
            AgentChange::Remove if self.0 == Fault::RemembersTheRemoved => {
                details.revoked = Some(1);
            }
            AgentChange::Remove => drop(state.agents.remove(&agent)),
            AgentChange::Rename(_) if taken => return refused("taken"),
            AgentChange::Rename(name) => details.name = Some(name.clone()),
            AgentChange::Label { .. } if self.0 == Fault::ForgetsLabels => {}
            AgentChange::Label { set, unset } => {
                if self.0 != Fault::TakesAnyLabel {
                    check_labels(set).map_err(DirectoryError::Refused)?;
                }
                details.labels.retain(|key, _| !unset.contains(key));
                details.labels.extend(set.clone());
            }
        }
        Ok(())
    }

    async fn details(&self, ids: &[AgentId]) -> Result<Vec<AgentDetails>, DirectoryError> {
        let state = self.1.lock().unwrap();
        if self.0 == Fault::TellsOfOthers {
            return Ok(ids.iter().map(|id| AgentDetails::new(*id)).collect());
        }
        let found = ids.iter().filter_map(|id| state.agents.get(id));
        Ok(found.cloned().collect())
    }

    async fn issue_token(&self, wish: &TokenWish) -> Result<IssuedToken, DirectoryError> {
        let mut state = self.1.lock().unwrap();
        let good = (1..=MOST_TOKEN_USES).contains(&wish.uses)
            && (1..=LONGEST_TOKEN_TIME).contains(&wish.expires_in);
        if !good && self.0 != Fault::TakesAnyWish {
            return refused("out of range");
        }
        let id = state.tokens.len().to_string();
        state.tokens.push(TokenInfo {
            id: id.clone(),
            created: 1,
            expires: 2,
            uses: wish.uses,
            left: wish.uses,
            revoked: false,
            labels: wish.labels.clone(),
        });
        Ok(IssuedToken {
            id,
            text: "a-secret".to_owned(),
            expires: 2,
            address: None,
        })
    }

    async fn tokens(&self) -> Result<Vec<TokenInfo>, DirectoryError> {
        Ok(self.1.lock().unwrap().tokens.clone())
    }

    async fn revoke_token(&self, id: &str) -> Result<(), DirectoryError> {
        let mut state = self.1.lock().unwrap();
        match state.tokens.iter_mut().find(|token| token.id == id) {
            Some(token) => token.revoked = self.0 != Fault::ForgetsThatATokenWasRevoked,
            None => return refused("no such token"),
        }
        Ok(())
    }
}

fn run(fault: Fault) -> String {
    verdict(move || async move {
        directory_suite::run(async |count| {
            let mut state = State {
                last: count as i64,
                ..State::default()
            };
            for id in (1..=count as i64).map(|id| AgentId::new(id).unwrap()) {
                let mut details = AgentDetails::new(id);
                details.name = Some(format!("agent{id}"));
                state.agents.insert(id, details);
            }
            let agents: Vec<_> = state.agents.values().map(info).collect();
            let directory = Arc::new(Managed(fault, Mutex::new(state)));
            Stand::new(agents, move || {
                now(Arc::clone(&directory) as Arc<dyn AgentDirectory>)
            })
        })
        .await;
    })
}

#[test]
fn a_directory_that_manages_agents_well_passes() {
    assert_eq!(run(Fault::None), "");
}

#[test]
fn directories_that_manage_badly_are_found_out() {
    complains(&run(Fault::ForgetsLabels), "labels");
    complains(&run(Fault::TakesAnyLabel), "no label");
    complains(&run(Fault::KeepsTheRevoked), "in no list");
    complains(&run(Fault::GivesIdsAgain), "never given out again");
    complains(&run(Fault::RemembersTheRemoved), "forgotten");
    complains(&run(Fault::RevokesAnybody), "removed before");
    complains(&run(Fault::TakesAnyWish), "0 uses");
    complains(
        &run(Fault::ForgetsThatATokenWasRevoked),
        "listed as revoked",
    );
    complains(
        &run(Fault::TellsOfOthers),
        "details of agents that are not there",
    );
}
