//! Who we are there, and whether it is the right server.

use wpk_api::StoreError;
use wpk_api::settings::Span;
use wpk_plugin_postgres::{Settings, Tls};
use wpk_testkit::PostgresServer;
use wpk_testkit::tls::server_certificate;

use crate::common::{agent, open, settings};

const ADMIT: &str = "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n";

/// A server that wants TLS and a password, whose name is `localhost`; a folder with the
/// file of its CA and that of the password.
fn guarded() -> Option<(PostgresServer, tempfile::TempDir)> {
    let mut server = PostgresServer::start()?;
    server.sql("ALTER ROLE postgres PASSWORD 'open sesame'");
    let certificate = server_certificate(&["localhost"], false).unwrap();
    server.put("server.crt", &certificate.certificate);
    server.put("server.key", &certificate.key);
    server.configure("ssl = on");
    server.admit(ADMIT);
    server.restart();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), certificate.ca).unwrap();
    std::fs::write(folder.path().join("password"), "open sesame\n").unwrap();
    Some((server, folder))
}

async fn refused(settings: &Settings) -> String {
    match open(settings).latest(&[agent(1)]).await {
        Err(StoreError::Unavailable(text)) => text,
        other => panic!("it may not work: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_right_server_is_told_the_password() {
    let Some((server, folder)) = guarded() else {
        return;
    };
    let other_ca = server_certificate(&["localhost"], false).unwrap().ca;
    std::fs::write(folder.path().join("other.pem"), other_ca).unwrap();
    let file = |name: &str| Some(folder.path().join(name));
    let good = Settings {
        host: "localhost".into(),
        tls: Tls::On,
        ca_file: file("ca.pem"),
        password_file: file("password"),
        connect_timeout: Span::seconds(10),
        ..settings(&server, "access")
    };
    assert_eq!(open(&good).latest(&[agent(1)]).await, Ok(vec![None]));
    assert_eq!(
        server.sql("SELECT count(*) FROM pg_stat_ssl WHERE ssl"),
        "0"
    );

    std::fs::write(folder.path().join("wrong"), "open barley").unwrap();
    let wrong = Settings {
        password_file: file("wrong"),
        ..good.clone()
    };
    let text = refused(&wrong).await;
    assert!(text.contains("password authentication failed"), "{text}");
    assert!(
        text.contains("pg_hba.conf") && !text.contains("barley"),
        "{text}"
    );

    let absent = Settings {
        password_file: file("absent"),
        ..good.clone()
    };
    let text = refused(&absent).await;
    assert!(
        text.contains("password_file") && text.contains("absent"),
        "{text}"
    );

    let stranger = Settings {
        ca_file: file("other.pem"),
        ..good.clone()
    };
    let text = refused(&stranger).await;
    assert!(text.contains("certificate"), "{text}");

    let other_name = Settings {
        host: "127.0.0.1".into(),
        ..good.clone()
    };
    let text = refused(&other_name).await;
    assert!(text.contains("certificate"), "{text}");

    let plain = Settings {
        tls: Tls::Off,
        ..good.clone()
    };
    let text = refused(&plain).await;
    assert!(text.contains("no encryption"), "{text}");

    let nowhere = Settings {
        database: "nowhere".into(),
        ..good
    };
    let text = refused(&nowhere).await;
    assert!(text.contains("store.database"), "{text}");
}

/// A new password counts from the next connection on.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_may_change_while_the_store_is_open() {
    let Some((mut server, folder)) = guarded() else {
        return;
    };
    let password = folder.path().join("password");
    let settings = Settings {
        host: "localhost".into(),
        tls: Tls::On,
        ca_file: Some(folder.path().join("ca.pem")),
        password_file: Some(password.clone()),
        connect_timeout: Span::seconds(10),
        ..settings(&server, "password")
    };
    let store = open(&settings);
    assert_eq!(store.latest(&[agent(1)]).await, Ok(vec![None]));
    server.sql("ALTER ROLE postgres PASSWORD 'close sesame'");
    std::fs::write(&password, "close sesame").unwrap();
    server.restart();
    assert_eq!(store.latest(&[agent(1)]).await, Ok(vec![None]));
}

/// What the README grants is enough.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_needs_a_schema_of_its_own_and_nothing_else() {
    let Some(server) = PostgresServer::start() else {
        return;
    };
    server.sql("CREATE ROLE wpkd LOGIN; REVOKE CREATE ON DATABASE postgres FROM PUBLIC");
    let settings = Settings {
        user: "wpkd".into(),
        ..settings(&server, "wpkd")
    };
    let text = refused(&settings).await;
    assert!(text.contains("CREATE SCHEMA wpkd AUTHORIZATION"), "{text}");
    server.sql("CREATE SCHEMA wpkd AUTHORIZATION wpkd");
    let store = open(&settings);
    crate::common::enter(&*store, "node01").await;
    crate::common::create(&*store, 1).await;
    assert_eq!(store.claim("node01", 9, 0).await.unwrap().len(), 1);
}
