//! What the doctor is told, and which settings are mistakes.

use serde_json::json;
use wpk_api::examine::{Examine, Level};
use wpk_api::{Context, Factory, NodeInfo, Role};
use wpk_plugin_postgres::plugin;
use wpk_testkit::{PostgresServer, settings_suite};

use crate::common::{create, enter, open, settings};

fn context() -> Context {
    let node = NodeInfo {
        name: "node01".into(),
        role: Role::Master,
        version: None,
    };
    Context::new("/nowhere", node)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_is_told_how_the_database_is() {
    let Some(mut server) = PostgresServer::start() else {
        return;
    };
    let section = json!({
        "host": server.socket_folder(),
        "port": server.port(),
        "user": "postgres",
        "database": "postgres",
        "schema": "doctor",
    });
    let look = async || {
        let checks = plugin()
            .examine(&section, &context(), &Examine::default())
            .await;
        let told = checks.iter().map(ToString::to_string);
        (
            checks.iter().map(|check| check.level).max(),
            told.collect::<Vec<_>>().join("\n"),
        )
    };
    let (_, told) = look().await;
    assert!(told.contains("has no tables yet"), "{told}");
    let store = open(&settings(&server, "doctor"));
    enter(&*store, "node01").await;
    create(&*store, 1).await;
    let (level, told) = look().await;
    assert!(
        told.contains("is PostgreSQL") && told.contains("without TLS"),
        "{told}"
    );
    assert!(told.contains("1 tasks, 1 of them live"), "{told}");
    assert!(told.contains("node node01: process"), "{told}");
    // The server of a test loses what it has when the machine crashes.
    assert!(told.contains("fsync is off"), "{told}");
    assert_eq!(level, Some(Level::Warning), "{told}");
    server.sql("UPDATE doctor.about SET layout = 99");
    let (level, told) = look().await;
    assert!(
        level == Some(Level::Failure) && told.contains("layout 99"),
        "{told}"
    );
    server.stop();
    let (level, told) = look().await;
    assert!(
        level == Some(Level::Failure) && told.contains(".s.PGSQL"),
        "{told}"
    );
}

#[test]
fn mistakes_in_the_settings_are_found_without_touching_anything() {
    for (section, key) in [
        (json!({"url": "mysql://h/d"}), "url"),
        (json!({"url": "postgresql://u:secret@h/d"}), "url"),
        (json!({"url": "postgresql://u@h/d", "host": "x"}), "host"),
        (json!({"port": 0}), "port"),
        (json!({"port": 65536}), "port"),
        (json!({"user": ""}), "user"),
        (json!({"schema": "Wpkd"}), "schema"),
        (json!({"schema": "wpkd\"; DROP"}), "schema"),
        (json!({"schema": "pg_x"}), "schema"),
        (json!({"pool": 1}), "pool"),
        (json!({"pool": 101}), "pool"),
        (json!({"lease": "2s"}), "lease"),
        (json!({"lease": "301s"}), "lease"),
        (json!({"timeout": "499ms"}), "timeout"),
        (json!({"connect_timeout": "99ms"}), "connect_timeout"),
        (json!({"tls": "maybe"}), "tls"),
        (
            json!({"listen": false, "listen_url": "postgresql://u@h/d"}),
            "listen_url",
        ),
        (json!({"password": "secret"}), "password"),
    ] {
        let problems = plugin().check(&section);
        assert_eq!(problems.len(), 1, "{section}: {problems:?}");
        assert_eq!(problems[0].key, key, "{section}: {problems:?}");
        assert!(!problems[0].message.contains("secret"), "{problems:?}");
    }
    for good in [
        json!({}),
        json!({"url": "postgresql://u@a,b:5433/d", "lease": "3s", "pool": 2}),
        json!({"lease": "5m", "tls": "off", "password_file": "etc/db"}),
    ] {
        assert_eq!(plugin().check(&good), [], "{good}");
        settings_suite::run(&plugin(), &good);
    }
    assert!(plugin().demands(&json!({}), &context()).node_name);
}
