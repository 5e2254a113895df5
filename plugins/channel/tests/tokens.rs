//! Enrolment over the network, with tokens that an administrator issues.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::{Manager, settings};
use wpk_api::{AgentDirectory, DirectoryError, IssuedToken, Labels, TokenWish};
use wpk_plugin_channel::Settings;
use wpk_testkit::channel_agent::{ChannelAgent, hello};
use wpk_testkit::channel_enroll::{client_config, enroll, enroll_with, request};
use wpk_testkit::log::Log;
use wpk_wire::ChannelMessage;
use wpk_wire::channel::{Enroll, EnrollToken, PROTOCOL};

fn wish(uses: u32, expires_in: u64) -> TokenWish {
    TokenWish {
        uses,
        expires_in,
        labels: Labels::from([("site".to_owned(), "lyon".to_owned())]),
    }
}

async fn issue(manager: &Manager, uses: u32) -> IssuedToken {
    manager
        .channel
        .issue_token(&wish(uses, 3_600))
        .await
        .unwrap()
}

async fn refused(manager: &Manager, token: &str, name: &str) -> String {
    let address = manager.address();
    enroll(&address, token, name).await.unwrap_err().to_string()
}

#[tokio::test]
async fn an_agent_enrolls_with_a_token_and_connects() {
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::start(home.path());
    let token = issue(&manager, 1).await;
    let enrolled = enroll(&manager.address(), &token.text, "web01")
        .await
        .unwrap();
    let (_agent, welcome) = ChannelAgent::connect(&enrolled).await.unwrap();
    assert_eq!((welcome.agent, &*welcome.name), (enrolled.id, "web01"));
    let details = manager
        .channel
        .details(&[enrolled.id])
        .await
        .unwrap()
        .remove(0);
    assert_eq!(details.labels["site"], "lyon");

    // One use was one use, also for a manager that starts again.
    let error = refused(&manager, &token.text, "web02").await;
    assert!(
        error.starts_with("refused: ") && error.contains("used up"),
        "{error}"
    );
    let tokens = manager.channel.tokens().await.unwrap();
    assert_eq!((tokens.len(), tokens[0].uses, tokens[0].left), (1, 1, 0));
    manager.stop().await;
    let manager = Manager::start(home.path());
    let error = refused(&manager, &token.text, "web02").await;
    assert!(error.contains("used up"), "{error}");
    manager.stop().await;
}

#[tokio::test]
async fn a_use_is_taken_once_and_only_by_an_enrolment() {
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::start(home.path());
    let token = issue(&manager, 3).await;
    let address = manager.address();
    enroll(&address, &token.text, "web01").await.unwrap();
    // A bad or taken name, and a request that is none, cost nothing.
    for name in ["web01", "..", ""] {
        refused(&manager, &token.text, name).await;
    }
    let wish = Enroll {
        protocol: PROTOCOL,
        token: token.text.parse().unwrap(),
        name: "web02".to_owned(),
        csr: "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"
            .to_owned(),
        renews: false,
    };
    let error = enroll_with(&address, wish, String::new())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("request for a certificate"),
        "{error}"
    );
    assert_eq!(manager.channel.tokens().await.unwrap()[0].left, 2);
    // Of many at once two get in.
    let mut enrolling = tokio::task::JoinSet::new();
    for n in 0..8 {
        let (address, text) = (address.clone(), token.text.clone());
        enrolling.spawn(async move { enroll(&address, &text, &format!("many{n}")).await.is_ok() });
    }
    let came = enrolling.join_all().await.into_iter().filter(|came| *came);
    assert_eq!(came.count(), 2);
    assert_eq!(
        manager.channel.list(None, 100).await.unwrap().agents.len(),
        3
    );
    manager.stop().await;
}

#[tokio::test]
async fn only_a_token_that_is_good_lets_in() {
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::start(home.path());
    let revoked = issue(&manager, 1).await;
    manager.channel.revoke_token(&revoked.id).await.unwrap();
    let error = refused(&manager, &revoked.text, "a").await;
    assert!(error.contains("was revoked"), "{error}");
    let good = issue(&manager, 1).await;
    let mut guessed: EnrollToken = good.text.parse().unwrap();
    guessed.secret[31] ^= 1;
    let error = refused(&manager, &guessed.to_string(), "a").await;
    assert!(error.contains("not issued here"), "{error}");
    let mut unknown: EnrollToken = good.text.parse().unwrap();
    unknown.id[0] ^= 1;
    let again = refused(&manager, &unknown.to_string(), "a").await;
    assert_eq!(
        again, error,
        "a stranger does not learn which ids there are"
    );
    // The agent does not talk to a manager of another CA.
    let mut misled: EnrollToken = good.text.parse().unwrap();
    misled.ca[0] ^= 1;
    let error = refused(&manager, &misled.to_string(), "a").await;
    assert!(error.contains("certificate"), "{error}");
    for (uses, expires_in) in [(0, 1), (1, 0), (100_001, 1), (1, 366 * 86_400 + 1)] {
        let issued = manager.channel.issue_token(&wish(uses, expires_in)).await;
        assert!(
            matches!(issued, Err(DirectoryError::Refused(_))),
            "{issued:?}"
        );
    }
    let nobody = manager.channel.revoke_token("0000").await;
    assert!(
        matches!(nobody, Err(DirectoryError::Refused(_))),
        "{nobody:?}"
    );
    enroll(&manager.address(), &good.text, "a").await.unwrap();
    manager.stop().await;
}

#[tokio::test]
async fn without_a_certificate_there_is_nothing_but_enrolment() {
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::with(
        home.path(),
        Settings {
            handshake_timeout: common::span(1_500),
            ..settings()
        },
    );
    let token = issue(&manager, 1).await;
    let parsed: EnrollToken = token.text.parse().unwrap();
    let dial = async || {
        let config = client_config(&parsed).unwrap();
        ChannelAgent::dial(&manager.address(), config)
            .await
            .unwrap()
    };
    for message in [ChannelMessage::Hello(hello()), ChannelMessage::Ping] {
        let mut agent = dial().await;
        agent.send(&message).await.unwrap();
        let goodbye = agent.goodbye().await.unwrap().unwrap();
        assert!(goodbye.starts_with("protocol: "), "{goodbye}");
    }
    let mut silent = dial().await;
    let goodbye = silent.goodbye().await.unwrap().unwrap();
    assert!(goodbye.starts_with("silent: "), "{goodbye}");
    // Whoever is refused again and again has to wait.
    let mut last = String::new();
    for _ in 0..40 {
        let mut guessed = parsed.clone();
        guessed.secret = [0; 32];
        last = refused(&manager, &guessed.to_string(), "a").await;
        if last.starts_with("flood: ") {
            break;
        }
    }
    assert!(last.starts_with("flood: "), "{last}");
    manager.stop().await;
}

#[tokio::test]
async fn no_secret_reaches_the_disk_or_the_log() {
    let log = Log::of("wpk_plugin_channel");
    let _guard = log.keep();
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::start(home.path());
    let token = issue(&manager, 2).await;
    enroll(&manager.address(), &token.text, "web01")
        .await
        .unwrap();
    let secret = token.text.parse::<EnrollToken>().unwrap().secret;
    assert!(!format!("{token:?}").contains(&token.text));
    let (_, csr) = request().unwrap();
    let wish = Enroll {
        protocol: PROTOCOL,
        token: token.text.parse().unwrap(),
        name: "web02".to_owned(),
        csr,
        renews: false,
    };
    assert!(!format!("{wish:?}").contains(&token.text));
    manager.stop().await;
    for file in ["agents.db", "agents.db-wal"] {
        let Ok(bytes) = std::fs::read(home.path().join("queue/channel").join(file)) else {
            continue;
        };
        assert!(!bytes.windows(32).any(|window| window == secret), "{file}");
    }
    let said = format!("{:?}", log.events());
    assert!(said.contains(&token.id), "{said}");
    assert!(!said.contains(&token.text[13..60]), "{said}");
}
