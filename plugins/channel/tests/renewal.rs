//! Certificates that live seconds: renewed, used, ended.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::{Manager, settings};
use wpk_api::section::Section;
use wpk_api::settings::Span;
use wpk_api::{AgentDirectory, Enrollment, Labels, TokenWish};
use wpk_plugin_channel::Settings;
use wpk_testkit::channel_agent::{ChannelAgent, DEADLINE, client_config, hello};
use wpk_testkit::channel_enroll::{enroll_with, renew, request};
use wpk_testkit::log::Log;
use wpk_testkit::wait_until;
use wpk_wire::ChannelMessage;
use wpk_wire::channel::{Enroll, Hello, PROTOCOL, Renew};

/// Long enough for a slow machine to do what comes before the end.
const LIFE: u64 = 4;

fn living(life: u64) -> Settings {
    Settings {
        certificate_life: Some(Span::seconds(life)),
        ..settings()
    }
}

/// An agent that renews.
async fn enroll(manager: &Manager, name: &str) -> Enrollment {
    let wish = TokenWish {
        uses: 1,
        expires_in: 60,
        labels: Labels::new(),
    };
    let token = manager.channel.issue_token(&wish).await.unwrap();
    let (key, csr) = request().unwrap();
    let wish = Enroll {
        protocol: PROTOCOL,
        token: token.text.parse().unwrap(),
        name: name.to_owned(),
        csr,
        renews: true,
    };
    enroll_with(&manager.address(), wish, key).await.unwrap()
}

fn renewing() -> Hello {
    Hello {
        renews: true,
        ..hello()
    }
}

async fn refused(enrollment: &Enrollment) -> String {
    let refused = ChannelAgent::connect_as(enrollment, renewing()).await;
    refused.err().unwrap().to_string()
}

/// Waits until a certificate has ended.
async fn end_of(manager: &Manager, enrollment: &Enrollment) {
    let known = manager.channel.details(&[enrollment.id]).await.unwrap();
    let end = known[0].certificate_end.unwrap();
    let ended = wait_until(DEADLINE, async || {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        (i64::try_from(now).unwrap() > end).then_some(())
    });
    ended.await.expect("an end");
}

#[tokio::test]
async fn the_one_before_is_good_until_the_new_one_is_shown() {
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::with(home.path(), living(60));
    let first = enroll(&manager, "web01").await;
    let (_live, welcome) = ChannelAgent::connect_as(&first, renewing()).await.unwrap();
    assert_eq!(welcome.certificate_seconds, Some(60));
    // Beside the connection that is there, which goes on.
    let lost = renew(&first).await.unwrap();
    let second = renew(&first).await.unwrap();
    assert_ne!(second.key_pem, first.key_pem);
    ChannelAgent::connect_as(&first, renewing()).await.unwrap();
    assert!(
        refused(&lost).await.starts_with("unknown: "),
        "a newer one took its place"
    );
    // Also for a manager that starts again meanwhile.
    manager.stop().await;
    let manager = Manager::with(
        home.path(),
        Settings {
            listen: second.address.clone().unwrap(),
            ..living(60)
        },
    );
    ChannelAgent::connect_as(&first, renewing()).await.unwrap();
    let (_agent, welcome) = ChannelAgent::connect_as(&second, renewing()).await.unwrap();
    assert_eq!(welcome.agent, first.id);
    assert!(refused(&first).await.starts_with("unknown: "));
    let third = renew(&second).await.unwrap();
    // A renewal shows it too.
    let fourth = renew(&third).await.unwrap();
    assert!(refused(&second).await.starts_with("unknown: "));
    manager.stop().await;
    let manager = Manager::with(
        home.path(),
        Settings {
            listen: second.address.clone().unwrap(),
            ..living(60)
        },
    );
    assert!(refused(&second).await.starts_with("unknown: "));
    ChannelAgent::connect_as(&fourth, renewing()).await.unwrap();
    manager.stop().await;
}

#[tokio::test]
async fn a_certificate_that_has_ended_may_be_renewed_and_nothing_else() {
    let log = Log::of("wpk_plugin_channel");
    let _guard = log.keep();
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::with(home.path(), living(LIFE));
    let agent = enroll(&manager, "web01").await;
    let revoked = enroll(&manager, "web02").await;
    let (mut live, _) = ChannelAgent::connect_as(&agent, renewing()).await.unwrap();
    manager.channel.revoke(revoked.id).await.unwrap();
    end_of(&manager, &agent).await;
    // A connection ends with the certificate that was shown.
    live.send(&ChannelMessage::Ping).await.unwrap();
    let goodbye = live.goodbye().await.unwrap().unwrap();
    assert!(goodbye.starts_with("expired: "), "{goodbye}");
    let error = refused(&agent).await;
    assert!(
        error.starts_with("expired: ") && error.contains("renewed"),
        "{error}"
    );
    let error = renew(&revoked).await.unwrap_err().to_string();
    assert!(error.starts_with("revoked: "), "{error}");
    let renewed = renew(&agent).await.unwrap();
    let (_agent, welcome) = ChannelAgent::connect_as(&renewed, renewing())
        .await
        .unwrap();
    assert_eq!(welcome.agent, agent.id);
    manager.stop().await;
}

#[tokio::test]
async fn after_renew_within_a_fresh_token_is_needed() {
    let log = Log::of("wpk_plugin_channel");
    let _guard = log.keep();
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::with(
        home.path(),
        Settings {
            renew_within: common::span(0),
            ..living(LIFE)
        },
    );
    let agent = enroll(&manager, "web01").await;
    end_of(&manager, &agent).await;
    let error = renew(&agent).await.unwrap_err().to_string();
    assert!(
        error.starts_with("expired: ") && error.contains("fresh token"),
        "{error}"
    );
    let said = format!("{:?}", log.events());
    assert!(said.contains("fresh token"), "{said}");
    manager.stop().await;
}

#[tokio::test]
async fn an_agent_that_does_not_renew_is_given_time() {
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::with(home.path(), living(60));
    let years = |enrollment: &Enrollment| {
        let id = enrollment.id;
        let channel = &manager.channel;
        async move {
            let known = channel.details(&[id]).await.unwrap().remove(0);
            let life = known.certificate_end.unwrap() - known.enrolled.unwrap();
            life / (365 * 86_400)
        }
    };
    // Nobody knows which agent the folder is for.
    assert_eq!(years(&manager.enroll("folder").await).await, 10);
    let renews = enroll(&manager, "new").await;
    assert_eq!(years(&renews).await, 0);
    manager.stop().await;
}

#[tokio::test]
async fn a_revoked_agent_is_out_with_both_and_its_id_never_comes_again() {
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::with(home.path(), living(60));
    let agent = enroll(&manager, "web01").await;
    let next = renew(&agent).await.unwrap();
    let (mut live, _) = ChannelAgent::connect_as(&agent, renewing()).await.unwrap();
    manager.channel.revoke(agent.id).await.unwrap();
    let goodbye = live.goodbye().await.unwrap().unwrap();
    assert!(goodbye.starts_with("revoked: "), "{goodbye}");
    for one in [&agent, &next] {
        assert!(refused(one).await.starts_with("revoked: "));
    }
    manager.stop().await;
    // The registry is lost; the list beside the CA is not.
    std::fs::remove_dir_all(home.path().join("queue/channel")).unwrap();
    let manager = Manager::with(
        home.path(),
        Settings {
            listen: agent.address.clone().unwrap(),
            ..living(60)
        },
    );
    for one in [&agent, &next] {
        assert!(refused(one).await.starts_with("revoked: "));
        assert!(
            renew(one)
                .await
                .unwrap_err()
                .to_string()
                .starts_with("revoked: ")
        );
    }
    assert!(manager.enroll("web02").await.id > agent.id);
    manager.stop().await;
}

#[tokio::test]
async fn nobody_renews_without_end_or_with_what_is_no_request() {
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::with(home.path(), living(60));
    let agent = enroll(&manager, "web01").await;
    let mut dialled = ChannelAgent::dial(&manager.address(), client_config(&agent).unwrap())
        .await
        .unwrap();
    let bad = ChannelMessage::Renew(Renew {
        protocol: PROTOCOL,
        csr: "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"
            .to_owned(),
    });
    dialled.send(&bad).await.unwrap();
    let goodbye = dialled.goodbye().await.unwrap().unwrap();
    assert!(goodbye.starts_with("refused: "), "{goodbye}");
    let mut last = String::new();
    for _ in 0..20 {
        if let Err(error) = renew(&agent).await {
            last = error.to_string();
            break;
        }
    }
    assert!(last.starts_with("flood: "), "{last}");
    manager.stop().await;
}

#[tokio::test]
async fn the_doctor_and_the_log_name_what_ends_soon() {
    let home = tempfile::tempdir().unwrap();
    // An agent of ten years ago that never renewed; one that should have.
    let manager = Manager::with(home.path(), living(60));
    let old = manager.enroll("old").await;
    let renews = enroll(&manager, "new").await;
    ChannelAgent::connect_as(&renews, renewing()).await.unwrap();
    manager.stop().await;
    let examine = async |home: &std::path::Path| {
        let asked = wpk_api::examine::Examine::default();
        let checks = living(60).examine(&common::context(home), &asked).await;
        let lines = checks.iter().map(ToString::to_string);
        lines.collect::<Vec<_>>().join("\n")
    };
    let said = examine(home.path()).await;
    assert!(said.contains("ok       CA of agents"), "{said}");
    assert!(!said.contains("certificates of agents"), "{said}");
    let registry = home.path().join("queue/channel/agents.db");
    let soon = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() + 5 * 86_400;
    let connection = rusqlite::Connection::open(&registry).unwrap();
    let sql = format!("UPDATE agents SET certificate_end = {soon} WHERE name = 'old'");
    connection.execute(&sql, []).unwrap();
    drop(connection);
    let said = examine(home.path()).await;
    let id = old.id;
    assert!(
        said.contains(&format!("agents {id}: the first ends in")),
        "{said}"
    );
    assert!(said.contains("enroll --again"), "{said}");
    let log = Log::of("wpk_plugin_channel");
    let _guard = log.keep();
    let manager = Manager::with(home.path(), living(60));
    let told = wait_until(DEADLINE, async || {
        let said = format!("{:?}", log.events());
        said.contains(&format!("agents {id}: the first"))
            .then_some(())
    });
    told.await.expect("a line in the log");
    manager.stop().await;
}
