//! The registry by itself, over a folder of its own.

use super::*;
use crate::certificate::{Issued, Lives};
use crate::pki::Authority;
use crate::record::Dialled;
use std::sync::Arc;
use wpk_api::DirectoryError;
use wpk_api::Labels;
use wpk_wire::Hello;

struct Home {
    folder: tempfile::TempDir,
    authority: Authority,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lives = Lives::new(std::time::Duration::from_secs(100 * 86_400));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let authority = Authority::open(
            &folder.path().join("ca"),
            lives,
            crate::pki::Vault::default(),
            provider,
        )
        .unwrap();
        Self { folder, authority }
    }

    fn registry(&self) -> Registry {
        let folder = self.folder.path();
        Registry::open(
            &folder.join("db/agents.db"),
            &folder.join("ca/revoked"),
            false,
        )
        .unwrap()
    }
}

fn enroll(
    registry: &Registry,
    name: &str,
    authority: &Authority,
    now: i64,
) -> Result<(AgentId, Issued), DirectoryError> {
    let key = rcgen::KeyPair::generate().unwrap();
    let agent = NewAgent {
        name,
        labels: Labels::new(),
        token: None,
        trusts: Vec::new(),
    };
    registry.enroll(agent, now, |id| authority.issue_for_key(id, &key))
}

fn dialled() -> Dialled {
    Dialled {
        shown: [0; 32],
        address: Some("192.0.2.7".into()),
        certificate_end: Some(9),
    }
}

fn hello() -> Hello {
    Hello {
        platform: "ubuntu".into(),
        os_version: Some("22.04.3 LTS".into()),
        arch: Some("x86_64".into()),
        version: "Wazuh v4.2.1".into(),
        ..Hello::default()
    }
}

#[test]
fn ids_are_never_used_twice() {
    let home = Home::new();
    let registry = home.registry();
    let (first, _) = enroll(&registry, "a", &home.authority, 1).unwrap();
    let (second, issued) = enroll(&registry, "b", &home.authority, 1).unwrap();
    assert_eq!((first.get(), second.get()), (1, 2));
    assert!(registry.revoke(second, 2).unwrap());
    assert!(!registry.revoke(second, 2).unwrap());
    drop(registry);

    let registry = home.registry();
    assert_eq!(
        registry.identify(&issued.fingerprint),
        Known::Revoked(second)
    );
    // The name is free again, the id is not.
    let (third, _) = enroll(&registry, "b", &home.authority, 3).unwrap();
    assert_eq!(third.get(), 3);
    assert_eq!(registry.len(), 2);
}

#[test]
fn names_have_rules() {
    let home = Home::new();
    let registry = home.registry();
    enroll(&registry, &"x".repeat(128), &home.authority, 1).unwrap();
    enroll(&registry, "Web_01.example-org", &home.authority, 1).unwrap();
    for bad in [
        "",
        ".",
        "..",
        "a b",
        "a/b",
        "ä",
        "a\n",
        &"y".repeat(129),
        "Web_01.example-org",
    ] {
        let refused = enroll(&registry, bad, &home.authority, 1);
        assert!(
            matches!(refused, Err(DirectoryError::Refused(_))),
            "{bad:?}"
        );
    }
    assert_eq!(registry.len(), 2);
}

#[test]
fn what_an_agent_said_outlives_a_restart() {
    let home = Home::new();
    let registry = home.registry();
    let (id, issued) = enroll(&registry, "a", &home.authority, 1).unwrap();
    registry.greet(id, &hello(), dialled(), 5);
    registry.flush().unwrap();
    drop(registry);

    let records = home.registry().lookup(&[id], Record::clone);
    let platform = &records[0].platform;
    assert_eq!(platform.major.as_deref(), Some("22"));
    assert_eq!(platform.minor.as_deref(), Some("04"));
    assert_eq!(records[0].last_seen, Some(5));
    assert_eq!(records[0].fingerprint, issued.fingerprint);
}

#[test]
fn pages_end_where_the_agents_end() {
    let home = Home::new();
    let registry = home.registry();
    for name in ["a", "b", "c"] {
        enroll(&registry, name, &home.authority, 1).unwrap();
    }
    let page = |after: Option<i64>, limit| {
        let after = after.map(|id| AgentId::new(id).unwrap());
        registry.page(after, limit, |record| record.id.get())
    };
    assert_eq!(page(None, 2), (vec![1, 2], true));
    assert_eq!(page(Some(2), 2), (vec![3], false));
    assert_eq!(page(Some(3), 2), (vec![], false));
    assert_eq!(page(None, 3), (vec![1, 2, 3], false));
}

#[test]
fn a_file_of_a_later_version_is_refused() {
    let home = Home::new();
    let path = home.folder.path().join("db/agents.db");
    drop(home.registry());
    let later = rusqlite::Connection::open(&path).unwrap();
    later.pragma_update(None, "user_version", 99).unwrap();
    drop(later);
    let error = Registry::open(&path, &home.folder.path().join("ca/revoked"), false)
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("its layout is 99"), "{error}");
}

/// Made by the release before labels, with three agents, the third revoked.
const LAYOUT_1: &[u8] = include_bytes!("../../tests/files/layout-1.db");

#[test]
fn a_file_of_the_release_before_is_opened_and_kept() {
    let home = Home::new();
    std::fs::create_dir(home.folder.path().join("db")).unwrap();
    std::fs::write(home.folder.path().join("db/agents.db"), LAYOUT_1).unwrap();
    let [web, db, gone] = [1, 2, 3].map(|id| AgentId::new(id).unwrap());
    let registry = home.registry();
    let records = registry.lookup(&[web, db, gone], Record::clone);
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].name, "web01");
    assert_eq!(records[0].last_seen, Some(1_700_000_100));
    assert_eq!(records[0].enrolled, 1_700_000_000);
    assert_eq!(records[0].platform.name.as_deref(), Some("ubuntu"));
    // Its list of revoked agents is made now.
    let listed = std::fs::read_to_string(home.folder.path().join("ca/revoked")).unwrap();
    assert!(
        listed.lines().any(|line| line.starts_with("3 ")),
        "{listed}"
    );
    let site = Labels::from([("site".to_owned(), "lyon".to_owned())]);
    registry.label(web, &site, &[]).unwrap();
    drop(registry);
    let registry = home.registry();
    assert_eq!(registry.lookup(&[web], |one| one.labels.clone()), [site]);
    let (next, _) = enroll(&registry, "new01", &home.authority, 4).unwrap();
    assert_eq!(next.get(), 4);
}

#[test]
fn the_list_of_revoked_agents_outlives_the_registry() {
    let home = Home::new();
    let registry = home.registry();
    let (kept, kept_issued) = enroll(&registry, "a", &home.authority, 1).unwrap();
    let (out, out_issued) = enroll(&registry, "b", &home.authority, 1).unwrap();
    drop(registry);
    let folder = home.folder.path();
    let backup = std::fs::read(folder.join("db/agents.db")).unwrap();
    let registry = home.registry();
    assert!(registry.revoke(out, 2).unwrap());
    drop(registry);

    // An older registry from a backup.
    for side in ["agents.db-wal", "agents.db-shm"] {
        let _ = std::fs::remove_file(folder.join("db").join(side));
    }
    std::fs::write(folder.join("db/agents.db"), backup).unwrap();
    let registry = home.registry();
    let known = registry.identify(&out_issued.fingerprint);
    assert_eq!(known, Known::Revoked(out));
    let known = registry.identify(&kept_issued.fingerprint);
    assert_eq!(known, Known::Agent(kept, "a".to_owned()));
    drop(registry);

    // None at all.
    std::fs::remove_dir_all(folder.join("db")).unwrap();
    let registry = home.registry();
    let known = registry.identify(&out_issued.fingerprint);
    assert_eq!(known, Known::Revoked(out));
    let (next, _) = enroll(&registry, "c", &home.authority, 3).unwrap();
    assert!(next > out, "the id of a revoked agent is never used again");
}

#[test]
fn a_list_that_cannot_be_read_stops_the_start() {
    let home = Home::new();
    drop(home.registry());
    let folder = home.folder.path();
    std::fs::write(folder.join("ca/revoked"), "# \nnonsense\n").unwrap();
    let opened = Registry::open(
        &folder.join("db/agents.db"),
        &folder.join("ca/revoked"),
        false,
    );
    let error = opened.err().unwrap().to_string();
    assert!(error.contains("ca/revoked, line 2,"), "{error}");
}

#[test]
fn a_removed_agent_is_forgotten_and_its_id_is_not() {
    let home = Home::new();
    let registry = home.registry();
    let (one, issued) = enroll(&registry, "a", &home.authority, 1).unwrap();
    let (two, _) = enroll(&registry, "b", &home.authority, 1).unwrap();
    assert!(registry.revoke(one, 2).unwrap());
    let shown = registry.known(&[one], Record::details);
    assert_eq!(
        (shown[0].revoked, shown[0].name.as_deref()),
        (Some(2), Some("a"))
    );
    assert!(registry.remove(one, 3).unwrap() && registry.remove(two, 3).unwrap());
    assert!(!registry.remove(two, 4).unwrap());
    drop(registry);
    let registry = home.registry();
    assert!(registry.known(&[one, two], Record::details).is_empty());
    assert_eq!(registry.identify(&issued.fingerprint), Known::Revoked(one));
    assert_eq!(
        enroll(&registry, "a", &home.authority, 5).unwrap().0.get(),
        3
    );
}

#[test]
fn names_and_labels_are_changed_under_their_rules() {
    let home = Home::new();
    let registry = home.registry();
    let (one, _) = enroll(&registry, "a", &home.authority, 1).unwrap();
    enroll(&registry, "b", &home.authority, 1).unwrap();
    for bad in ["b", "..", "x/y", "\u{1b}"] {
        assert!(registry.rename(one, bad).is_err(), "{bad:?}");
    }
    registry.rename(one, "c").unwrap();
    registry.rename(one, "c").unwrap();
    let labels = |pairs: &[(&str, &str)]| -> Labels {
        let pairs = pairs.iter();
        pairs
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    };
    let both = labels(&[("site", "lyon"), ("rack", "7")]);
    registry.label(one, &both, &[]).unwrap();
    assert!(registry.label(one, &labels(&[("", "x")]), &[]).is_err());
    let unset = ["rack".to_owned(), "never".to_owned()];
    registry
        .label(one, &labels(&[("site", "riga")]), &unset)
        .unwrap();
    drop(registry);
    let registry = home.registry();
    let records = registry.lookup(&[one], Record::clone);
    assert_eq!(records[0].name, "c");
    assert_eq!(records[0].labels, labels(&[("site", "riga")]));
    // The old name is free again.
    enroll(&registry, "a", &home.authority, 1).unwrap();
    let nobody = AgentId::new(77).unwrap();
    assert!(registry.rename(nobody, "z").is_err());
    assert!(registry.label(nobody, &both, &[]).is_err());
}
