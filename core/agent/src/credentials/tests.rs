//! Killed between any two writes there is an identity that can be used.

use std::fs;

use rcgen::{CertificateParams, KeyPair};

use super::*;

fn identity() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let made = CertificateParams::default().self_signed(&key).unwrap();
    (key.serialize_pem(), made.pem())
}

fn store(folder: &Path) -> Store {
    Store {
        ca: folder.join("ca.pem"),
        certificate: folder.join("agent.pem"),
        key: folder.join("agent.key"),
    }
}

fn shown(store: &Store) -> Vec<CertificateDer<'static>> {
    let pairs = store.pairs().unwrap();
    let first = |pair: Pair| {
        let certificate = pair.certified.end_entity_cert().unwrap();
        certificate.clone().into_owned()
    };
    pairs.into_iter().map(first).collect()
}

/// All files of a folder, to put them back.
fn picture(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = fs::read_dir(folder).unwrap();
    let one = |file: io::Result<fs::DirEntry>| {
        let path = file.unwrap().path();
        let content = fs::read(&path).unwrap();
        (path, content)
    };
    files.map(one).collect()
}

#[test]
fn a_promotion_may_be_cut_short_anywhere() {
    let home = tempfile::tempdir().unwrap();
    let store = store(home.path());
    let ((old_key, old), (key, new)) = (identity(), identity());
    store.stage(&old_key, &old, Some(&old)).unwrap();
    store.settle().unwrap();
    store.promote().unwrap();
    let old = shown(&store);
    assert_eq!(old.len(), 1);

    // Its key alone counts for nothing; the one in use stays.
    store.stage_key(&key).unwrap();
    assert_eq!(shown(&store), old);
    store.stage(&key, &new, None).unwrap();
    let both = shown(&store);
    assert_eq!((both.len(), &both[1]), (2, &old[0]));
    let new = both[0].clone();

    // As a kill between its two renames leaves it.
    let before = picture(home.path());
    fs::rename(next(&store.key), &store.key).unwrap();
    assert_eq!(shown(&store), std::slice::from_ref(&new));
    store.promote().unwrap();
    assert_eq!(shown(&store), std::slice::from_ref(&new));
    assert!(!next(&store.certificate).exists());
    for (path, content) in &before {
        fs::write(path, content).unwrap();
    }
    store.promote().unwrap();
    assert_eq!(
        shown(&store),
        [new.clone(), old[0].clone()],
        "the one before is kept"
    );
    store.forget_old().unwrap();
    assert_eq!(shown(&store), std::slice::from_ref(&new));

    // It may also prove bad.
    for (path, content) in before {
        fs::write(path, content).unwrap();
    }
    assert_eq!(shown(&store).len(), 2);
    fs::remove_file(next(&store.certificate)).unwrap();
    assert_eq!(shown(&store), old);
    store.drop_next().unwrap();
    store.drop_next().unwrap();
    assert_eq!(shown(&store), old);
}

#[test]
fn the_cas_of_an_enrolment_count_with_its_certificate_and_not_before() {
    let home = tempfile::tempdir().unwrap();
    let store = store(home.path());
    let ((old_key, old), (key, new)) = (identity(), identity());
    store.stage(&old_key, &old, Some(&old)).unwrap();
    store.settle().unwrap();
    store.promote().unwrap();
    let trusted = store.authorities().unwrap();

    store.stage(&key, &new, Some(&new)).unwrap();
    // As a kill before the last write leaves it.
    let certificate = fs::read(next(&store.certificate)).unwrap();
    fs::remove_file(next(&store.certificate)).unwrap();
    store.settle().unwrap();
    assert_eq!(store.authorities().unwrap(), trusted);
    assert_eq!(shown(&store).len(), 1);

    store.stage(&key, &new, Some(&new)).unwrap();
    assert_eq!(fs::read(next(&store.certificate)).unwrap(), certificate);
    store.settle().unwrap();
    assert_ne!(store.authorities().unwrap(), trusted);
    assert_eq!(shown(&store).len(), 2);
}

#[test]
fn what_cannot_be_used_is_named() {
    let home = tempfile::tempdir().unwrap();
    let store = store(home.path());
    let told = |store: &Store| store.pairs().unwrap_err().to_string();
    assert!(told(&store).contains("agent.pem: "), "{}", told(&store));
    let ((_, certificate), (key, _)) = (identity(), identity());
    fs::write(&store.certificate, certificate).unwrap();
    assert!(told(&store).contains("agent.key: "), "{}", told(&store));
    fs::write(&store.key, key).unwrap();
    assert!(
        told(&store).contains("does not go with"),
        "{}",
        told(&store)
    );
    fs::write(&store.key, vec![b'x'; 300_000]).unwrap();
    assert!(told(&store).contains("too many"), "{}", told(&store));
    assert!(store.authorities().is_err());
}
