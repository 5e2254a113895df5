//! Who signed the WPKs: the trusted CAs, and the chain of one WPK up to them,
//! each with the days until it expires.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use wpk_api::examine::{Check, Level};
use wpk_api::paths;
use wpk_config::Settings;
use wpk_package::{CaStore, CertificateSummary, Limits, Package, Trust};

/// Days left from which on to care.
const SOON: i64 = 30;
const DAY: i64 = 86_400;

/// Looks at the CA store (that of the settings, unless `ca` names others), and at
/// a WPK: the one named, else one that was just downloaded into `kept`, else the
/// newest of the cache.
pub(super) fn look(
    settings: &Settings,
    ca: &[PathBuf],
    wpk: Option<&Path>,
    kept: Option<&Path>,
) -> Vec<Check> {
    let mut checks = Vec::new();
    let store = store(settings, ca, &mut checks);
    let wpk = wpk
        .map(Path::to_owned)
        .or_else(|| kept.and_then(newest))
        .or_else(|| newest(&settings.path(&settings.cache.dir)));
    checks.push(match wpk {
        None => {
            let detail = "no WPK is at hand to look at; name one with --wpk or give --download";
            Check::ok(WPK, detail)
        }
        Some(wpk) => signature(&wpk, store.as_ref()),
    });
    checks
}

const WPK: &str = "WPK certificates";

fn store(settings: &Settings, ca: &[PathBuf], checks: &mut Vec<Check>) -> Option<CaStore> {
    const NAME: &str = "CA store";
    let usual = settings.path(paths::CA_STORE);
    let paths: Vec<PathBuf> = if !ca.is_empty() {
        ca.to_vec()
    } else if !settings.cache.ca_store.is_empty() {
        let paths = settings.cache.ca_store.iter();
        paths.map(|path| settings.path(path)).collect()
    } else if usual.exists() {
        vec![usual]
    } else {
        checks.push(Check::ok(
            NAME,
            "none is configured: only agents check signatures; name theirs with --ca to check here",
        ));
        return None;
    };
    let store = match CaStore::load(&paths) {
        Ok(store) => store,
        Err(error) => {
            checks.push(Check::failure(NAME, error.to_string(), ""));
            return None;
        }
    };
    for problem in store.problems() {
        let advice = "correct cache.ca_store, or take it out";
        checks.push(Check::warning(NAME, format!("not used: {problem}"), advice));
    }
    let advice = "get the CA's new certificate to the manager and to all agents";
    checks.push(expiry(NAME, "", &store.certificates(), advice));
    Some(store)
}

fn signature(wpk: &Path, store: Option<&CaStore>) -> Check {
    let limits = Limits::default();
    let mut package = match Package::open(wpk, &limits) {
        Ok(package) => package,
        Err(error) => return Check::failure(WPK, error.to_string(), "get the file again"),
    };
    let mut chain = package.certificates();
    let trust = store.map_or(Trust::AnySigner, Trust::Store);
    if let Err(error) = package.verify(trust, SystemTime::now()) {
        let advice = "agents will refuse it: sign it anew, or correct their CA store";
        return Check::failure(WPK, error.to_string(), advice);
    }
    // The CA itself is in the store, not in the package.
    let top = chain.last().map(|last| last.issuer.clone());
    let anchors = store.map(CaStore::certificates).unwrap_or_default();
    let known = |ca: &CertificateSummary| chain.iter().any(|one| one.fingerprint == ca.fingerprint);
    let anchor = anchors
        .into_iter()
        .find(|ca| Some(&ca.subject) == top.as_ref() && !known(ca));
    chain.extend(anchor);
    let shown = wpk.display();
    let good = match store {
        Some(_) => format!("{shown} is signed well: "),
        None => format!("{shown} fits its signature, which no CA was asked about: "),
    };
    let advice = "have WPKs signed with a new certificate in time";
    expiry(WPK, &good, &chain, advice)
}

/// The days each certificate has left; the one with the fewest decides.
fn expiry(
    name: &'static str,
    before: &str,
    certificates: &[CertificateSummary],
    advice: &str,
) -> Check {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    let left = |one: &CertificateSummary| one.not_after.saturating_sub(now).div_euclid(DAY);
    let shown: Vec<String> = certificates
        .iter()
        .map(|one| match left(one) {
            days if days < 0 => format!("\"{}\" expired on {}", one.subject, one.valid_until),
            days => format!("\"{}\" has {days} days left", one.subject),
        })
        .collect();
    let (level, advice) = match certificates.iter().map(left).min() {
        Some(days) if days < 0 => (Level::Failure, advice),
        Some(days) if days <= SOON => (Level::Warning, advice),
        _ => (Level::Ok, ""),
    };
    Check::new(name, level, format!("{before}{}", shown.join(", ")), advice)
}

/// The WPK of a folder that was written last.
fn newest(folder: &Path) -> Option<PathBuf> {
    let files = std::fs::read_dir(folder).ok()?.filter_map(Result::ok);
    let wpks = files.filter_map(|entry| {
        let path = entry.path();
        let meta = entry.metadata().ok()?;
        let wpk = path.extension()? == "wpk" && meta.is_file();
        wpk.then(|| Some((meta.modified().ok()?, path)))?
    });
    wpks.max().map(|(_, path)| path)
}
