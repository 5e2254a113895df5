//! Loading the CA store from files and folders.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use wpk_package::CaStore;
use wpk_package::authority::Authority;

use crate::common::{KEYS, always, root};

#[test]
fn files_folders_and_hashed_names() {
    let (one, two) = (
        root(),
        Authority::root("Two", always(), &KEYS.other_root).unwrap(),
    );
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    fs::write(
        at("both.pem"),
        format!("{}{}", one.certificate_pem(), two.certificate_pem()),
    )
    .unwrap();
    assert_eq!(
        CaStore::load(&[at("both.pem")])
            .unwrap()
            .certificates()
            .len(),
        2
    );

    fs::create_dir(at("dir")).unwrap();
    fs::write(at("dir/any name"), two.certificate_pem()).unwrap();
    symlink(at("dir/any name"), at("dir/1a2b3c4d.0")).unwrap();
    fs::write(at("dir/README"), "not a certificate").unwrap();
    fs::create_dir(at("dir/sub")).unwrap();
    let der = pem::parse(one.certificate_pem()).unwrap();
    fs::write(at("dir/binary.der"), der.contents()).unwrap();
    let store = CaStore::load(&[at("dir")]).unwrap();
    let subjects: Vec<_> = store
        .certificates()
        .into_iter()
        .map(|c| c.subject)
        .collect();
    assert_eq!(
        subjects,
        ["CN=Two", "CN=Test root"],
        "each once, in the order of the names"
    );
    assert_eq!(store.problems().len(), 1);
    assert!(store.problems()[0].contains("README"));
}

#[test]
fn what_cannot_be_loaded_is_named() {
    let place = tempfile::tempdir().unwrap();
    let long = place.path().join("long.pem");
    fs::write(&long, vec![b'x'; 1024 * 1024 + 1]).unwrap();
    let paths = [Path::new("/nope/ca.pem"), &long, Path::new("/dev/null")];
    let error = CaStore::load(&paths).unwrap_err().to_string();
    for path in paths {
        assert!(error.contains(path.to_str().unwrap()), "{error}");
    }
    assert!(error.contains("longer than 1048576 bytes"), "{error}");
    assert!(CaStore::load::<&Path>(&[]).is_err());
    let good = place.path().join("good.pem");
    fs::write(&good, root().certificate_pem()).unwrap();
    let store = CaStore::load(&[Path::new("/nope/ca.pem"), &good]).unwrap();
    assert_eq!((store.certificates().len(), store.problems().len()), (1, 1));
}
