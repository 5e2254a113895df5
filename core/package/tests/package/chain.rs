//! The chain check: who may vouch for a signer, and when.

use rcgen::KeyUsagePurpose;
use rcgen::{BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair};
use wpk_package::authority::{Authority, SigningKey};
use wpk_package::{CaStore, Limits, Package, PackageError, Stage, Trust, Verified};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::common::{KEYS, always, assemble, gzip, now, root, sign, valid};

/// Verifies a package with these certificates, signed with the leaf key.
fn verify(certificates: &str, roots: &[&str]) -> Result<Verified, PackageError> {
    let payload = gzip(b"!2 a\nhi");
    let bytes = assemble(certificates, &sign(&KEYS.leaf, &payload), &payload);
    let store = CaStore::from_pem(roots.concat().as_bytes()).unwrap();
    Package::read(&bytes[..], "p", &Limits::default())?.verify_stream(Trust::Store(&store), now())
}

#[track_caller]
fn fails(certificates: &str, roots: &[&str], says: &str) {
    let error = verify(certificates, roots).expect_err("must not be trusted");
    assert_eq!(error.stage(), Stage::Signature);
    assert!(
        error.to_string().contains(says),
        "{error} does not say {says:?}"
    );
}

fn leaf_of(ca: &Authority) -> String {
    ca.signing_certificate("Leaf", always(), &KEYS.leaf)
        .unwrap()
}

#[test]
fn validity_of_the_leaf() {
    let root = root();
    let cert = |from, until| {
        root.signing_certificate("Leaf", valid(from, until), &KEYS.leaf)
            .unwrap()
    };
    assert!(verify(&cert(-1, 1), &[root.certificate_pem()]).is_ok());
    assert!(
        verify(&cert(0, 0), &[root.certificate_pem()]).is_ok(),
        "both ends belong to it"
    );
    let roots = [root.certificate_pem()];
    fails(
        &cert(-2, -1),
        &roots,
        "\"CN=Leaf\" expired at 2027-01-14 08:00:00 UTC",
    );
    fails(
        &cert(1, 2),
        &roots,
        "\"CN=Leaf\" is not valid before 2027-01-16 08:00:00 UTC",
    );
}

#[test]
fn validity_of_root_and_intermediate() {
    let make = |from, until| Authority::root("Old root", valid(from, until), &KEYS.root).unwrap();
    let (old, early) = (make(-2, -1), make(1, 2));
    fails(
        &leaf_of(&old),
        &[old.certificate_pem()],
        "\"CN=Old root\" expired at 2027-01-14",
    );
    fails(
        &leaf_of(&early),
        &[early.certificate_pem()],
        "\"CN=Old root\" is not valid before",
    );
    let root = root();
    let middle = root
        .intermediate("Middle", valid(-5, -3), &KEYS.middle, None)
        .unwrap();
    fails(
        &leaf_of(&middle),
        &[root.certificate_pem()],
        "\"CN=Middle\" expired at 2027-01-12",
    );
    // A renewed root of the same name and key helps.
    let renewed = make(-1, 9);
    assert!(
        verify(
            &leaf_of(&old),
            &[old.certificate_pem(), renewed.certificate_pem()]
        )
        .is_ok()
    );
}

#[test]
fn issuers_must_be_known_and_real() {
    let root = root();
    let other = Authority::root("Other root", always(), &KEYS.other_root).unwrap();
    fails(
        &leaf_of(&root),
        &[other.certificate_pem()],
        "issuer \"CN=Test root\" of the certificate \"CN=Leaf\" is neither",
    );
    // The right name, another key.
    let forged = Authority::root("Test root", always(), &KEYS.other_root).unwrap();
    fails(
        &leaf_of(&forged),
        &[root.certificate_pem()],
        "\"CN=Leaf\" was not signed with the key of \"CN=Test root\"",
    );
    // A root brought along in the package is not a trusted one.
    let brought = format!("{}{}", leaf_of(&other), other.certificate_pem());
    fails(&brought, &[root.certificate_pem()], "\"CN=Other root\"");
    // Both roots share a name: the right one is found behind the wrong one.
    assert!(
        verify(
            &leaf_of(&root),
            &[forged.certificate_pem(), root.certificate_pem()]
        )
        .is_ok()
    );
    // A forged signer certificate of the right name cannot sign.
    let payload = gzip(b"!2 a\nhi");
    let bytes = assemble(&leaf_of(&root), &sign(&KEYS.middle, &payload), &payload);
    let store = CaStore::from_pem(root.certificate_pem().as_bytes()).unwrap();
    let error = Package::read(&bytes[..], "p", &Limits::default())
        .and_then(|package| package.verify_stream(Trust::Store(&store), now()))
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("does not belong to this content"),
        "{error}"
    );
}

#[test]
fn intermediates_come_with_the_package() {
    let root = root();
    let middle = root
        .intermediate("Middle", always(), &KEYS.middle, Some(0))
        .unwrap();
    let chain = leaf_of(&middle);
    assert!(verify(&chain, &[root.certificate_pem()]).is_ok());
    let alone = pem::encode(&pem::parse_many(&chain).unwrap()[0]);
    fails(
        &alone,
        &[root.certificate_pem()],
        "\"CN=Middle\" of the certificate \"CN=Leaf\"",
    );
    assert!(verify(&alone, &[root.certificate_pem(), middle.certificate_pem()]).is_ok());
    assert!(
        verify(&alone, &[middle.certificate_pem()]).is_ok(),
        "trusted by the administrator"
    );
    let unrelated = Authority::root("Unrelated", always(), &KEYS.other_root).unwrap();
    let noisy = format!(
        "{alone}{}{}",
        unrelated.certificate_pem(),
        middle.certificate_pem()
    );
    assert!(
        verify(&noisy, &[root.certificate_pem()]).is_ok(),
        "in any order, with others"
    );
}

#[test]
fn path_length_counts_the_cas_below() {
    let root = root();
    let upper = |length| {
        root.intermediate("Upper", always(), &KEYS.other_root, length)
            .unwrap()
    };
    let below = |upper: &Authority| {
        leaf_of(
            &upper
                .intermediate("Lower", always(), &KEYS.middle, None)
                .unwrap(),
        )
    };
    let roots = [root.certificate_pem()];
    assert!(verify(&below(&upper(Some(1))), &roots).is_ok());
    assert!(verify(&below(&upper(None)), &roots).is_ok());
    fails(
        &below(&upper(Some(0))),
        &roots,
        "\"CN=Upper\" allows a path of 0 CAs",
    );
}

#[test]
fn chains_are_bounded() {
    let root = root();
    // Nine levels with alternating keys, all in the package.
    let mut ca = root
        .intermediate("I0", always(), &KEYS.middle, None)
        .unwrap();
    for level in 1..9 {
        let key = if level % 2 == 0 {
            &KEYS.middle
        } else {
            &KEYS.other_root
        };
        ca = ca
            .intermediate(&format!("I{level}"), always(), key, None)
            .unwrap();
    }
    let deep = leaf_of(&ca);
    fails(
        &deep,
        &[root.certificate_pem()],
        "longer than 8 certificates",
    );
    // Intermediates that issue each other go in circles, and out again.
    let key = &KEYS.middle;
    let circle = Authority::root("Circle", always(), key).unwrap();
    let again = |count: usize| -> String {
        (0..count)
            .map(|_| {
                let same = circle.intermediate("Circle", always(), key, None).unwrap();
                same.certificate_pem().to_owned()
            })
            .collect()
    };
    fails(
        &format!("{}{}", leaf_of(&circle), again(8)),
        &[root.certificate_pem()],
        "signature checks",
    );
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = always().not_before.into();
    params.not_after = always().not_after.into();
    params
}

fn pair(key: &SigningKey) -> KeyPair {
    KeyPair::from_pem(&key.to_pem().unwrap()).unwrap()
}

/// A root made of `params` and a leaf below it.
fn custom_root(params: CertificateParams) -> (String, String) {
    let root = params.self_signed(&pair(&KEYS.root)).unwrap().pem();
    let issuer = Issuer::new(params, pair(&KEYS.root));
    let leaf = self::params("Leaf")
        .signed_by(&pair(&KEYS.leaf), &issuer)
        .unwrap();
    (root, leaf.pem())
}

#[test]
fn only_cas_issue() {
    // A signing certificate cannot issue another one.
    let root = root();
    let signer = root
        .signing_certificate("Signer", always(), &KEYS.middle)
        .unwrap();
    let posing = Authority::root("Signer", always(), &KEYS.middle).unwrap();
    let chain = format!("{}{signer}", leaf_of(&posing));
    fails(
        &chain,
        &[root.certificate_pem()],
        "\"CN=Signer\" is not a CA",
    );
    // Nor can it from within the store.
    fails(&leaf_of(&posing), &[&signer], "\"CN=Signer\" is not a CA");

    let mut without_flag = params("Plain");
    without_flag.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let (plain, leaf) = custom_root(without_flag);
    fails(&leaf, &[&plain], "\"CN=Plain\" is not a CA");

    let mut no_signing = params("No signing");
    no_signing.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    no_signing.key_usages = vec![KeyUsagePurpose::CrlSign];
    let (ca, leaf) = custom_root(no_signing);
    fails(&leaf, &[&ca], "does not allow to sign certificates");

    let mut strange = params("Strange");
    strange.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    extension.set_criticality(true);
    strange.custom_extensions = vec![extension];
    let (ca, leaf) = custom_root(strange);
    fails(&leaf, &[&ca], "critical 1.2.3.4");
}

#[test]
fn a_signer_in_the_store_is_trusted() {
    let own = Authority::root("Own", always(), &KEYS.leaf).unwrap();
    assert!(verify(own.certificate_pem(), &[own.certificate_pem()]).is_ok());
    fails(
        own.certificate_pem(),
        &[root().certificate_pem()],
        "neither in the CA store",
    );
}

#[test]
fn other_keys_are_refused_by_name() {
    let issuer = Issuer::new(
        {
            let mut ca = params("CA");
            ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            ca
        },
        pair(&KEYS.root),
    );
    let mut ca = params("CA");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = ca.self_signed(&pair(&KEYS.root)).unwrap().pem();
    let elliptic = KeyPair::generate().unwrap();
    let leaf = params("Curve").signed_by(&elliptic, &issuer).unwrap().pem();
    fails(&leaf, &[&root], "is no RSA key");
}

/// DER: tag, length, content.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    match length {
        0..128 => out.push(length as u8),
        128..256 => out.extend([0x81, length as u8]),
        _ => out.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    out.extend_from_slice(content);
    out
}

/// An X.509 v1 certificate, as `openssl x509 -req` makes them: issuer and
/// subject, key and names taken from v3 certificates.
fn v1(subject: &str, issuer: &str, issuer_key: &SigningKey, valid: bool) -> String {
    let (subject, issuer) = (pem::parse(subject).unwrap(), pem::parse(issuer).unwrap());
    let (_, subject) = X509Certificate::from_der(subject.contents()).unwrap();
    let (_, issuer) = X509Certificate::from_der(issuer.contents()).unwrap();
    let sha256_rsa = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11, 5, 0];
    let algorithm = der(0x30, &sha256_rsa);
    let until: &[u8] = if valid {
        b"280101000000Z"
    } else {
        b"270101000000Z"
    };
    let validity = [der(0x17, b"260101000000Z"), der(0x17, until)].concat();
    let tbs = der(
        0x30,
        &[
            &der(2, &[7])[..],
            &algorithm,
            issuer.subject().as_raw(),
            &der(0x30, &validity),
            subject.subject().as_raw(),
            subject.public_key().raw,
        ]
        .concat(),
    );
    let signature = [vec![0], sign(issuer_key, &tbs)].concat();
    let whole = der(0x30, &[tbs, algorithm, der(3, &signature)].concat());
    pem::encode(&pem::Pem::new("CERTIFICATE", whole))
}

#[test]
fn version_one_is_a_leaf_or_a_trusted_root_but_never_in_between() {
    let root = root();
    let leaf = pem::encode(&pem::parse_many(leaf_of(&root)).unwrap()[0]);
    let old_leaf = v1(&leaf, root.certificate_pem(), &KEYS.root, true);
    assert!(verify(&old_leaf, &[root.certificate_pem()]).is_ok());
    let expired = v1(&leaf, root.certificate_pem(), &KEYS.root, false);
    fails(
        &expired,
        &[root.certificate_pem()],
        "expired at 2027-01-01 00:00:00 UTC",
    );

    let old_root = v1(
        root.certificate_pem(),
        root.certificate_pem(),
        &KEYS.root,
        true,
    );
    assert!(verify(&leaf, &[&old_root]).is_ok());

    let middle = root
        .intermediate("Middle", always(), &KEYS.middle, None)
        .unwrap();
    let old_middle = v1(
        middle.certificate_pem(),
        root.certificate_pem(),
        &KEYS.root,
        true,
    );
    let below = pem::encode(&pem::parse_many(leaf_of(&middle)).unwrap()[0]);
    let chain = format!("{below}{old_middle}");
    fails(
        &chain,
        &[root.certificate_pem()],
        "\"CN=Middle\" is not a CA",
    );
    fails(&below, &[&old_middle], "\"CN=Middle\" is not a CA");
    // A self-signed one is a root only when the administrator says so.
    let self_made = v1(
        middle.certificate_pem(),
        middle.certificate_pem(),
        &KEYS.middle,
        true,
    );
    fails(
        &format!("{below}{self_made}"),
        &[root.certificate_pem()],
        "\"CN=Middle\"",
    );
}
