//! The life of an identity, seen from a manager of this test's own: renewal, what becomes of
//! a certificate that is not taken, and new CAs.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::fs;

use common::Agent;
use common::manager::{Ca, Link, Manager, NAME, agent_of};
use rcgen::CertificateSigningRequestParams;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use wpk_wire::ChannelMessage;
use wpk_wire::channel::{Authorities, PROTOCOL, Renew, Renewed};

/// So many seconds certificates live, says the manager; those of the tests live for ever,
/// so that they are renewed at once.
const LIVES: u64 = 30;

/// The certificate that the agent showed.
fn shown(link: &Link) -> CertificateDer<'static> {
    let (_, tls) = link.stream.get_ref();
    tls.peer_certificates().unwrap()[0].clone().into_owned()
}

fn on_disk(agent: &Agent, name: &str) -> Vec<u8> {
    fs::read(agent.path("etc/channel").join(name)).unwrap()
}

fn files(agent: &Agent) -> usize {
    fs::read_dir(agent.path("etc/channel")).unwrap().count()
}

/// The new certificate has its place, and the one before is kept.
fn promoted(agent: &Agent) -> bool {
    let there = |name: &str| agent.path("etc/channel").join(name).exists();
    there("agent.pem.old") && !there("agent.pem.next")
}

/// The agent dials beside its session and wants another certificate; it gets one.
async fn renew(manager: &Manager, ca: &Ca) -> CertificateDer<'static> {
    let (link, wish) = wish(manager).await;
    grant(link, &wish, ca).await
}

/// The agent dials beside its session and wants another certificate.
async fn wish(manager: &Manager) -> (Link, Renew) {
    let mut link = manager.tls().await.unwrap();
    match link.next().await {
        Some(ChannelMessage::Renew(wish)) => (link, wish),
        other => panic!("no renewal: {other:?}"),
    }
}

async fn grant(mut link: Link, wish: &Renew, ca: &Ca) -> CertificateDer<'static> {
    let request = CertificateSigningRequestParams::from_pem(&wish.csr).unwrap();
    let certificate = request.signed_by(&ca.issuer).unwrap();
    let renewed = Renewed {
        protocol: PROTOCOL,
        certificate: certificate.pem(),
    };
    link.send(&ChannelMessage::Renewed(renewed)).await;
    certificate.der().clone()
}

/// Reads to the end of a session.
async fn end_of(mut link: Link) {
    while let Some(message) = link.next().await {
        assert!(
            matches!(message, ChannelMessage::Goodbye { .. }),
            "{message:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_takes_its_place_once_it_was_welcomed() {
    let ca = Ca::new();
    let mut manager = Manager::new(&ca, NAME, &ca).await;
    manager.renews = Some(LIVES);
    let agent = agent_of(&manager, &ca).await;
    let (link, hello) = manager.accept(60).await;
    assert!(hello.renews);
    let (before, key) = (shown(&link), on_disk(&agent, "agent.key"));
    let new = renew(&manager, &ca).await;
    assert_eq!(on_disk(&agent, "agent.key"), key, "not welcomed yet");
    // The session ends by itself, when no command has come for a while.
    end_of(link).await;
    manager.renews = None;

    // A manager that does not know it, from a backup: the one before is there still.
    let mut link = manager.tls().await.unwrap();
    assert_eq!(shown(&link), new);
    link.next().await;
    let reason = "unknown: this certificate belongs to no enrolled agent".to_owned();
    link.send(&ChannelMessage::Goodbye { reason }).await;
    drop(link);
    let (link, _) = manager.accept(60).await;
    assert_eq!(shown(&link), before);
    assert_eq!(
        (on_disk(&agent, "agent.key"), files(&agent)),
        (key.clone(), 3)
    );
    drop(link);

    manager.renews = Some(LIVES);
    let (link, _) = manager.accept(60).await;
    let new = renew(&manager, &ca).await;
    end_of(link).await;
    manager.renews = None;
    let (link, _) = manager.accept(60).await;
    assert_eq!(shown(&link), new);
    agent
        .until("the new certificate in its place", || promoted(&agent))
        .await;
    let kept = CertificateDer::from_pem_slice(&on_disk(&agent, "agent.pem")).unwrap();
    assert_eq!(kept, new);
    assert_ne!(on_disk(&agent, "agent.key"), key);
    drop(link);

    // A manager that was put back from a backup knows the one before, which is kept.
    let mut link = manager.tls().await.unwrap();
    assert_eq!(shown(&link), new);
    link.next().await;
    let reason = "unknown: this certificate belongs to no enrolled agent".to_owned();
    link.send(&ChannelMessage::Goodbye { reason }).await;
    drop(link);
    let (link, _) = manager.accept(60).await;
    assert_eq!(shown(&link), before);
    drop(link);
    // It is asked with the newest first, each time.
    let (link, _) = manager.accept(60).await;
    assert_eq!(shown(&link), new);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_the_answer_it_goes_on_with_the_new_one() {
    let ca = Ca::new();
    let mut manager = Manager::new(&ca, NAME, &ca).await;
    manager.renews = Some(LIVES);
    let mut agent = agent_of(&manager, &ca).await;
    let (link, _) = manager.accept(60).await;
    let new = renew(&manager, &ca).await;
    agent
        .until("the new certificate", || {
            agent.path("etc/channel/agent.pem.next").exists()
        })
        .await;
    agent.process.kill().await.unwrap();
    drop(link);
    let _agent = common::start_in(agent.home, &manager.settings()).await;
    let (link, _) = manager.accept(60).await;
    assert_eq!(shown(&link), new);
}

#[tokio::test(flavor = "multi_thread")]
async fn new_cas_are_trusted_if_one_of_them_is() {
    let (ca, next, stranger) = (Ca::new(), Ca::new(), Ca::new());
    let manager = Manager::new(&ca, NAME, &ca).await;
    let agent = agent_of(&manager, &ca).await;
    let (mut link, hello) = manager.accept(60).await;
    assert_eq!(hello.trusts.len(), 1);
    let announce = |ca: String| ChannelMessage::Authorities(Authorities { ca, renew: false });
    let before = on_disk(&agent, "ca.pem");
    for bad in [
        stranger.pem.clone(),
        "no PEM".to_owned(),
        ca.pem.repeat(5),
        format!("{}{}", ca.pem, ca.issue("agent").0.pem()),
    ] {
        link.send(&announce(bad)).await;
        // Answered in order: the announcement before was looked at.
        link.send(&ChannelMessage::Ping).await;
        assert_eq!(link.next().await, Some(ChannelMessage::Pong));
    }
    link.send(&announce(format!("{}{}", ca.pem, next.pem)))
        .await;
    let Some(ChannelMessage::Trusts(trusts)) = link.next().await else {
        panic!("no word of it")
    };
    assert_eq!(trusts.trusts.len(), 2);
    assert_eq!(trusts.trusts[0], hello.trusts[0]);
    assert_ne!(on_disk(&agent, "ca.pem"), before);
    // The one before may go then.
    link.send(&announce(next.pem.clone())).await;
    let Some(ChannelMessage::Trusts(trusts)) = link.next().await else {
        panic!("no word of it")
    };
    assert_eq!(trusts.trusts.len(), 1);
    assert_eq!(on_disk(&agent, "ca.pem"), next.pem.as_bytes());
}

/// A session goes on for a while with the certificate before: a new CA is heard of in it.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_ca_is_trusted_between_a_renewal_and_the_next_session() {
    let (ca, next) = (Ca::new(), Ca::new());
    let mut manager = Manager::new(&ca, NAME, &ca).await;
    // The session ends a thirtieth of it after its last command: that one comes when the
    // agent wants its certificate, which may be later than a thirtieth after its start.
    manager.renews = Some(10 * LIVES);
    let agent = agent_of(&manager, &ca).await;
    let (mut link, _) = manager.accept(60).await;
    let (renewal, wish) = wish(&manager).await;
    assert_eq!(link.ask(1, "com lock_restart -1").await, "ok ");
    grant(renewal, &wish, &ca).await;
    let new = || agent.path("etc/channel/agent.pem.next").exists();
    agent.until("the new certificate", new).await;
    let both = format!("{}{}", ca.pem, next.pem);
    let told = Authorities {
        ca: both,
        renew: true,
    };
    link.send(&ChannelMessage::Authorities(told)).await;
    let answer = link.next().await;
    let Some(ChannelMessage::Trusts(trusts)) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(trusts.trusts.len(), 2);
    end_of(link).await;
    manager.renews = None;
    let (_, hello) = manager.accept(60).await;
    assert_eq!(hello.trusts.len(), 2);
}

/// A certificate may end before it was ever used: the machine was off.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_ended_before_it_was_used_is_renewed_with_itself() {
    let ca = Ca::new();
    let mut manager = Manager::new(&ca, NAME, &ca).await;
    manager.renews = Some(LIVES);
    let agent = agent_of(&manager, &ca).await;
    let (link, _) = manager.accept(60).await;
    let second = renew(&manager, &ca).await;
    end_of(link).await;
    manager.renews = None;
    let mut link = manager.tls().await.unwrap();
    assert_eq!(shown(&link), second);
    link.next().await;
    let reason = "expired: this certificate has ended".to_owned();
    link.send(&ChannelMessage::Goodbye { reason }).await;
    let third = renew(&manager, &ca).await;
    let (link, _) = manager.accept(60).await;
    assert_eq!(shown(&link), third);
    agent
        .until("the third in its place", || promoted(&agent))
        .await;
    let kept = CertificateDer::from_pem_slice(&on_disk(&agent, "agent.pem")).unwrap();
    assert_eq!(kept, third);
}
