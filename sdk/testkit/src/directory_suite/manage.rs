//! What an administrator does to agents, and the tokens with which agents enroll, where the
//! directory offers it. What it does not offer it never offers. Comes after enrolment, whose
//! agents it changes.

use std::sync::Arc;

use wpk_api::manage::{LONGEST_TOKEN_TIME, MOST_TOKEN_USES};
use wpk_api::{
    AgentChange, AgentDetails, AgentDirectory, AgentId, CaStep, CaWish, DirectoryError, Labels,
    TokenWish,
};

use super::stand::{Stand, found};
use crate::suite::{ok, within};

/// All stories.
pub(super) async fn run(directory: &Arc<dyn AgentDirectory>, stand: &Stand) {
    let directory = &**directory;
    details_are_of_those_asked_about(directory, stand).await;
    tokens(directory).await;
    authority(directory).await;
    let Ok(enrolled) = within("enroll", directory.enroll("managed")).await else {
        return;
    };
    let set = labels(&[("site", "lyon"), ("rack", "7")]);
    let change = AgentChange::Label {
        set,
        unset: Vec::new(),
    };
    match within("a change", directory.change(enrolled.id, &change)).await {
        Err(DirectoryError::NotSupported) => {
            return nothing_is_changed(directory, enrolled.id).await;
        }
        outcome => ok("a change", outcome),
    }
    labels_are_kept(directory, enrolled.id).await;
    a_name_is_changed(directory, enrolled.id).await;
    whoever_is_out_stays_out(directory, enrolled.id).await;
    for unknown in stand.unknown(0) {
        for change in [AgentChange::Revoke, AgentChange::Remove] {
            refused(directory, unknown, change, "an agent that is not there").await;
        }
    }
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

async fn detailed(directory: &dyn AgentDirectory, ids: &[AgentId]) -> Vec<AgentDetails> {
    ok("details", within("details", directory.details(ids)).await)
}

async fn changed(directory: &dyn AgentDirectory, agent: AgentId, change: AgentChange) {
    let outcome = within("a change", directory.change(agent, &change)).await;
    ok("a change", outcome);
}

async fn refused(directory: &dyn AgentDirectory, agent: AgentId, change: AgentChange, why: &str) {
    let outcome = within("a change", directory.change(agent, &change)).await;
    assert!(
        matches!(outcome, Err(DirectoryError::Refused(_))),
        "{why}: {change:?} is refused, not {outcome:?}"
    );
}

async fn details_are_of_those_asked_about(directory: &dyn AgentDirectory, stand: &Stand) {
    assert_eq!(detailed(directory, &[]).await, []);
    let asked: Vec<_> = stand.ids().into_iter().take(5).collect();
    // Those far away: enrolment has used up the next ones.
    let unknown = stand.unknown(0);
    let told = detailed(directory, &[&asked[..], &unknown].concat()).await;
    let mut ids: Vec<_> = told.iter().map(|one| one.id).collect();
    assert!(
        ids.iter().all(|id| asked.contains(id)),
        "details of agents that are not there: {ids:?}"
    );
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), told.len(), "an agent's details are given twice");
}

async fn nothing_is_changed(directory: &dyn AgentDirectory, agent: AgentId) {
    for change in [
        AgentChange::Revoke,
        AgentChange::Remove,
        AgentChange::Rename("other".to_owned()),
    ] {
        let outcome = within("a change", directory.change(agent, &change)).await;
        assert_eq!(outcome, Err(DirectoryError::NotSupported), "{change:?}");
    }
    assert_eq!(found(directory, &[agent]).await.len(), 1);
}

async fn labels_are_kept(directory: &dyn AgentDirectory, agent: AgentId) {
    let kept = async || {
        let mut told = detailed(directory, &[agent]).await;
        told.pop().map(|one| one.labels).unwrap_or_default()
    };
    assert_eq!(
        kept().await,
        labels(&[("site", "lyon"), ("rack", "7")]),
        "labels"
    );
    let change = AgentChange::Label {
        set: labels(&[("site", "paris")]),
        unset: vec!["rack".to_owned(), "never-set".to_owned()],
    };
    changed(directory, agent, change).await;
    assert_eq!(kept().await, labels(&[("site", "paris")]), "labels");
    for bad in [
        ("a b", "x"),
        ("", "x"),
        ("site", "a\nb"),
        ("site", &"v".repeat(300)),
    ] {
        let change = AgentChange::Label {
            set: labels(&[bad]),
            unset: Vec::new(),
        };
        refused(directory, agent, change, "no label").await;
    }
    assert_eq!(
        kept().await,
        labels(&[("site", "paris")]),
        "what was refused changes nothing"
    );
}

async fn a_name_is_changed(directory: &dyn AgentDirectory, agent: AgentId) {
    let name = async || {
        let mut agents = found(directory, &[agent]).await;
        agents.pop().and_then(|one| one.name)
    };
    changed(directory, agent, AgentChange::Rename("renamed".to_owned())).await;
    assert_eq!(name().await.as_deref(), Some("renamed"));
    // The name before is free, the new one is not.
    ok(
        "enroll",
        within("enroll", directory.enroll("managed")).await,
    );
    for bad in ["managed", "", "..", "a\nb"] {
        let change = AgentChange::Rename(bad.to_owned());
        refused(directory, agent, change, "a name that is taken, or none").await;
    }
    assert_eq!(name().await.as_deref(), Some("renamed"));
}

async fn whoever_is_out_stays_out(directory: &dyn AgentDirectory, agent: AgentId) {
    changed(directory, agent, AgentChange::Revoke).await;
    assert_eq!(
        found(directory, &[agent]).await,
        [],
        "a revoked agent is in no list"
    );
    for one in detailed(directory, &[agent]).await {
        assert!(
            one.revoked.is_some(),
            "it is told that it was revoked: {one:?}"
        );
    }
    refused(directory, agent, AgentChange::Revoke, "revoked before").await;
    let change = AgentChange::Rename("again".to_owned());
    refused(directory, agent, change, "revoked").await;
    // Its name is free, its id is used up.
    let next = within("enroll", directory.enroll("renamed")).await;
    let next = ok("enroll", next).id;
    assert_ne!(next, agent, "an id is never given out again");
    changed(directory, agent, AgentChange::Remove).await;
    assert_eq!(
        detailed(directory, &[agent]).await,
        [],
        "a removed agent is forgotten"
    );
    refused(directory, agent, AgentChange::Remove, "removed before").await;
    changed(directory, next, AgentChange::Remove).await;
    assert_eq!(
        found(directory, &[next]).await,
        [],
        "a removed agent is in no list"
    );
    let last = ok(
        "enroll",
        within("enroll", directory.enroll("renamed")).await,
    );
    assert!(
        ![agent, next].contains(&last.id),
        "an id is never given out again"
    );
}

async fn tokens(directory: &dyn AgentDirectory) {
    let wish = |uses, expires_in| TokenWish {
        uses,
        expires_in,
        labels: labels(&[("site", "lyon")]),
    };
    let issued = match within("issue_token", directory.issue_token(&wish(3, 60))).await {
        Err(DirectoryError::NotSupported) => {
            let tokens = within("tokens", directory.tokens()).await;
            assert_eq!(tokens, Err(DirectoryError::NotSupported));
            let revoked = within("revoke_token", directory.revoke_token("x")).await;
            assert_eq!(revoked, Err(DirectoryError::NotSupported));
            return;
        }
        outcome => ok("issue_token", outcome),
    };
    assert!(
        !format!("{issued:?}").contains(&issued.text),
        "a token may end up in a log"
    );
    assert!(
        !issued.text.contains(char::is_whitespace),
        "a token is one word"
    );
    for (uses, expires_in) in [
        (0, 60),
        (MOST_TOKEN_USES + 1, 60),
        (1, 0),
        (1, LONGEST_TOKEN_TIME + 1),
    ] {
        let outcome = within(
            "issue_token",
            directory.issue_token(&wish(uses, expires_in)),
        )
        .await;
        assert!(
            matches!(outcome, Err(DirectoryError::Refused(_))),
            "{uses} uses in {expires_in} s are refused, not {outcome:?}"
        );
    }
    let listed = async || {
        let tokens = ok("tokens", within("tokens", directory.tokens()).await);
        let mut those = tokens.into_iter().filter(|token| token.id == issued.id);
        those
            .next()
            .unwrap_or_else(|| panic!("the token {} is listed", issued.id))
    };
    let token = listed().await;
    assert_eq!((token.uses, token.left, token.revoked), (3, 3, false));
    assert_eq!(token.expires, issued.expires);
    assert_eq!(token.labels, labels(&[("site", "lyon")]));
    let revoked = within("revoke_token", directory.revoke_token(&issued.id)).await;
    ok("revoke_token", revoked);
    assert!(listed().await.revoked, "the token is listed as revoked");
    let nobody = within("revoke_token", directory.revoke_token("no such token")).await;
    assert!(
        matches!(nobody, Err(DirectoryError::Refused(_))),
        "{nobody:?}"
    );
}

/// A replacement has an order; out of it nothing happens.
async fn authority(directory: &dyn AgentDirectory) {
    let step = async |step| {
        let wish = CaWish { step, force: false };
        within("authority", directory.authority(wish)).await
    };
    let shown = match step(CaStep::Show).await {
        Err(DirectoryError::NotSupported) => {
            assert_eq!(
                step(CaStep::Replace).await,
                Err(DirectoryError::NotSupported)
            );
            return;
        }
        outcome => ok("authority", outcome),
    };
    assert_eq!(shown.authorities.len(), 1, "one CA is in use");
    for early in [CaStep::Switch, CaStep::Finish] {
        let outcome = step(early).await;
        assert!(
            matches!(outcome, Err(DirectoryError::Refused(_))),
            "{early:?} without a new CA is refused, not {outcome:?}"
        );
    }
    let after = ok("authority", step(CaStep::Show).await);
    assert_eq!(after.authorities, shown.authorities);
}
