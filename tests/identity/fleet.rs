//! A fleet over the whole life of its identities: enrolled by token, renewed, one taken out,
//! the CA replaced under it. Nobody else is ever without a connection but for one re-dial.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use tokio::task::JoinSet;
use wpk_testkit::manager::PATIENCE;
use wpk_testkit::{Process, wait_until};

use crate::site::{Site, start};

const AGENTS: usize = 50;
/// Certificates are renewed after two thirds of it.
const LIFE: &str = "90s";

struct Member {
    name: String,
    home: PathBuf,
    process: Process,
}

impl Member {
    fn count(&self, what: &str) -> usize {
        self.process.output().matches(what).count()
    }
}

async fn enroll(site: Arc<Site>, name: String, token: String) -> Member {
    let home = site.folder(&name);
    site.enroll(&home, &token, &["--name", &name])
        .await
        .ended(0);
    let process = start(&home.join("etc/wpk-agent.toml"), home.join("agent.log")).await;
    Member {
        name,
        home,
        process,
    }
}

/// What `wpkctl agent ca` answers.
async fn ca(site: &Site, arguments: &[&str]) -> Value {
    let all = [&["agent", "ca", "--json"], arguments].concat();
    let ended = site.wpkctl(&all).await.ended(0);
    serde_json::from_str(ended.out.trim()).unwrap()
}

/// Waits until nobody would be cut off by the next step.
async fn ready(site: &Site) {
    let ready = wait_until(2 * PATIENCE, async || {
        (ca(site, &[]).await["behind_count"] == 0).then_some(())
    });
    ready.await.expect("all agents are ready for the step");
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_agents_outlive_their_certificates_and_the_ca() {
    let site = Arc::new(Site::with(&[("CERTIFICATE_LIFE", LIFE)]).await);
    let token = site.token(&AGENTS.to_string()).await;
    let mut fleet = Vec::new();
    // A few at a time, as an administrator's script would.
    for batch in 0..AGENTS.div_ceil(10) {
        let mut enrolling = JoinSet::new();
        for n in (10 * batch)..(10 * batch + 10).min(AGENTS) {
            let (site, token) = (Arc::clone(&site), token.clone());
            enrolling.spawn(enroll(site, format!("web{n:02}"), token));
        }
        fleet.extend(enrolling.join_all().await);
    }
    let first = std::fs::read(fleet[0].home.join("etc/channel/agent.key")).unwrap();

    // Each renews by itself, and comes back with the new certificate.
    let renewed = wait_until(3 * PATIENCE, async || {
        let back = |one: &Member| one.count("was renewed") > 0 && one.count("connected to") > 1;
        fleet.iter().all(back).then_some(())
    });
    assert!(renewed.await.is_some(), "{}", fleet[0].process.output());
    let now = std::fs::read(fleet[0].home.join("etc/channel/agent.key")).unwrap();
    assert_ne!(first, now, "with a new key");

    // One is taken out.
    let out = fleet.swap_remove(7);
    let id = site.agent(&out.name).await.unwrap()["agent"].to_string();
    site.wpkctl(&["agent", "revoke", &id]).await.ended(0);
    let told = wait_until(PATIENCE, async || {
        (out.count("goodbye: revoked") > 0).then_some(())
    });
    assert!(told.await.is_some(), "{}", out.process.output());

    // The CA is replaced; a step that would cut agents off is refused.
    let before = ca(&site, &[]).await["authorities"][0]["sha256"].clone();
    let early = site.wpkctl(&["agent", "ca", "switch"]).await.ended(1);
    assert!(early.err.contains("there is no new CA"), "{early:?}");
    ca(&site, &["replace"]).await;
    ready(&site).await;
    let switched = ca(&site, &["switch"]).await;
    assert_ne!(switched["authorities"][0]["sha256"], before);
    ready(&site).await;
    let finished = ca(&site, &["finish"]).await;
    let authorities = finished["authorities"].as_array().unwrap();
    assert_eq!(authorities.len(), 1, "{finished}");
    assert_ne!(authorities[0]["sha256"], before);

    // With a token of the new CA another one comes.
    let token = site.token("1").await;
    let late = enroll(Arc::clone(&site), "late".to_owned(), token).await;
    assert_eq!(late.count("connected to"), 1);
    for member in &fleet {
        let log = member.process.output();
        let active = site.agent(&member.name).await.unwrap()["connection_status"].clone();
        assert_eq!(active, "active", "{log}");
        // Whoever lost its connection, or was sent away, says this.
        assert_eq!(member.count("no connection to"), 0, "{log}");
        let (dials, renewals) = (member.count("connected to"), member.count("was renewed"));
        assert!(
            dials == renewals || dials == renewals + 1,
            "{dials} for {renewals}: {log}"
        );
    }
}
