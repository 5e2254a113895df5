//! The CA and its files by themselves.

use super::*;
use crate::certificate::DAY;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

fn open(folder: &Path, days: u64) -> Result<Authority, PkiError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let lives = Lives::new(Duration::from_secs(days * 86_400));
    Authority::open(folder, lives, Vault::default(), provider)
}

fn open_sealed(folder: &Path, passphrase: &Path) -> Result<Authority, PkiError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let lives = Lives::new(Duration::from_secs(90 * 86_400));
    let vault = Vault::open(Some(passphrase))?;
    Authority::open(folder, lives, vault, provider)
}

#[test]
fn the_keys_of_cas_may_be_sealed_with_a_passphrase() {
    let home = tempfile::tempdir().unwrap();
    let (folder, file) = (home.path().join("ca"), home.path().join("passphrase"));
    let plain = open(&folder, 90).unwrap();
    let error = open_sealed(&folder, &file).err().unwrap().to_string();
    assert!(error.contains("no such file"), "{error}");
    let write = |text: &str| crate::files::write_private(&file, text.as_bytes()).unwrap();
    write("\n");
    let error = open_sealed(&folder, &file).err().unwrap().to_string();
    assert!(error.contains("first line is empty"), "{error}");
    write("correct horse\n");
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let error = open_sealed(&folder, &file).err().unwrap().to_string();
    assert!(error.contains("chmod o-rwx"), "{error}");
    write("correct horse\n");
    // The key that was there is sealed, and so is the next.
    let sealed = open_sealed(&folder, &file).unwrap();
    assert_eq!(sealed.ca(), plain.ca());
    sealed.take(sealed.step(Step::Replace).unwrap());
    for name in ["ca.key", "ca-next.key"] {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        assert!(
            text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"),
            "{text}"
        );
    }
    sealed.take(sealed.step(Step::Switch).unwrap());
    let again = open_sealed(&folder, &file).unwrap();
    assert_eq!(again.ca(), sealed.ca());
    // Without it, or with another one, nothing starts, and nothing is made anew.
    let error = open(&folder, 90).err().unwrap().to_string();
    assert!(error.contains("ca_passphrase_file"), "{error}");
    write("battery staple\n");
    let error = open_sealed(&folder, &file).err().unwrap().to_string();
    assert!(error.contains("another passphrase"), "{error}");
    write("correct horse\n");
    assert_eq!(open_sealed(&folder, &file).unwrap().ca(), sealed.ca());
}

/// All files of a folder.
fn picture(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = fs::read_dir(folder).unwrap();
    let one = |file: std::io::Result<fs::DirEntry>| {
        let path = file.unwrap().path();
        let content = fs::read(&path).unwrap();
        (path, content)
    };
    files.map(one).collect()
}

fn put_back(folder: &Path, picture: &[(PathBuf, Vec<u8>)]) {
    for (path, _) in self::picture(folder) {
        fs::remove_file(path).unwrap();
    }
    for (path, content) in picture {
        crate::files::write_private(path, content).unwrap();
    }
}

#[test]
fn a_replacement_is_three_steps_in_their_order() {
    let home = tempfile::tempdir().unwrap();
    let authority = open(home.path(), 90).unwrap();
    let before = authority.ca();
    for wrong in [Step::Switch, Step::Finish] {
        assert!(matches!(authority.step(wrong), Err(PkiError::Step(_))));
    }
    authority.take(authority.step(Step::Replace).unwrap());
    let both = authority.now().certificates();
    assert_eq!((both.len(), &both[0]), (2, &before));
    let next = both[1].clone();
    assert_eq!(authority.issuer(), fingerprint(&next), "agents' are its");
    assert_eq!(authority.ca(), before, "the manager's is not yet");
    for wrong in [Step::Replace, Step::Finish] {
        assert!(matches!(authority.step(wrong), Err(PkiError::Step(_))));
    }
    authority.take(authority.step(Step::Switch).unwrap());
    assert_eq!(authority.now().certificates(), [next.clone(), before]);
    // The chain that an agent with a token looks through holds both.
    let shown = authority.manager_certificate().unwrap();
    assert_eq!(shown.certified.cert.len(), 3);
    for wrong in [Step::Replace, Step::Switch] {
        assert!(matches!(authority.step(wrong), Err(PkiError::Step(_))));
    }
    let again = open(home.path(), 90).unwrap();
    assert_eq!(again.now().certificates(), authority.now().certificates());
    authority.take(authority.step(Step::Finish).unwrap());
    assert_eq!(authority.now().certificates(), [next]);
    assert!(!home.path().join("ca-next.key").exists());
    assert!(!home.path().join("ca-old.pem").exists());
}

#[test]
fn a_switch_may_be_cut_short_between_any_two_writes() {
    let home = tempfile::tempdir().unwrap();
    let authority = open(home.path(), 90).unwrap();
    authority.take(authority.step(Step::Replace).unwrap());
    let [old, new] = &authority.now().certificates()[..] else {
        panic!("two")
    };
    let at = |name: &str| home.path().join(name);
    let before = picture(home.path());
    // Nothing but the trust in the one before is written.
    fs::copy(at("ca.pem"), at("ca-old.pem")).unwrap();
    let found = open(home.path(), 90).unwrap();
    assert_eq!(found.now().certificates(), [old.clone(), new.clone()]);
    found.take(found.step(Step::Switch).unwrap());
    assert_eq!(found.now().certificates(), [new.clone(), old.clone()]);
    // The key has its place, the certificate has not.
    put_back(home.path(), &before);
    fs::copy(at("ca.pem"), at("ca-old.pem")).unwrap();
    fs::rename(at("ca-next.key"), at("ca.key")).unwrap();
    let found = open(home.path(), 90).unwrap();
    assert_eq!(found.now().certificates(), [new.clone(), old.clone()]);
    assert!(!at("ca-next.pem").exists());
    // A new CA whose certificate was not written.
    put_back(home.path(), &before);
    fs::remove_file(at("ca-next.pem")).unwrap();
    let found = open(home.path(), 90).unwrap();
    assert_eq!(found.now().certificates().len(), 2);
}

#[test]
fn the_ca_and_the_manager_stay_the_same_over_restarts() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("etc/channel");
    let first = open(&folder, 100).unwrap();
    let certificate = first.manager_certificate().unwrap();
    let second = open(&folder, 100).unwrap();
    assert_eq!(first.ca_pem(), second.ca_pem());
    assert_eq!(
        certificate.certified.cert,
        second.manager_certificate().unwrap().certified.cert
    );
}

#[test]
fn a_lost_ca_certificate_is_made_again_for_the_same_key() {
    let home = tempfile::tempdir().unwrap();
    let first = open(home.path(), 100).unwrap();
    first.manager_certificate().unwrap();
    let before = fs::read(home.path().join("manager.pem")).unwrap();
    fs::remove_file(home.path().join("ca.pem")).unwrap();
    open(home.path(), 100)
        .unwrap()
        .manager_certificate()
        .unwrap();
    assert_eq!(before, fs::read(home.path().join("manager.pem")).unwrap());
}

#[test]
fn a_manager_certificate_near_its_end_or_of_another_ca_is_renewed() {
    let home = tempfile::tempdir().unwrap();
    let authority = open(home.path(), 90).unwrap();
    let certificate = authority.manager_certificate().unwrap();
    assert!(!certificate.is_near_its_end(now()));
    assert!(!certificate.is_near_its_end(now() + 59 * DAY));
    assert!(certificate.is_near_its_end(now() + 61 * DAY));

    let other = tempfile::tempdir().unwrap();
    open(other.path(), 90)
        .unwrap()
        .manager_certificate()
        .unwrap();
    for name in ["manager.pem", "manager.key"] {
        fs::copy(other.path().join(name), home.path().join(name)).unwrap();
    }
    let foreign = fs::read(home.path().join("manager.pem")).unwrap();
    authority.manager_certificate().unwrap();
    assert_ne!(foreign, fs::read(home.path().join("manager.pem")).unwrap());
}

#[test]
fn what_cannot_be_trusted_is_refused() {
    let home = tempfile::tempdir().unwrap();
    open(home.path(), 100).unwrap();
    let key = home.path().join("ca.key");
    fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(
        open(home.path(), 100),
        Err(PkiError::TooOpen { mode: 0o644, .. })
    ));

    let other = tempfile::tempdir().unwrap();
    open(other.path(), 100).unwrap();
    fs::copy(other.path().join("ca.key"), &key).unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    let error = open(home.path(), 100).err().unwrap().to_string();
    assert!(error.contains("does not belong to ca.key"), "{error}");

    fs::remove_file(&key).unwrap();
    assert!(matches!(open(home.path(), 100), Err(PkiError::NoKey(_))));
}
