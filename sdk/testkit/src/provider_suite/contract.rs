//! The sentences of [`WpkProvider`]'s documentation, one story each.

use bytes::Bytes;
use wpk_api::{
    Offer, OfferSource, ProviderError, Target, Wanted, WantedFile, WantedRelease, WpkProvider,
};

use super::published::{Published, bytes_of, delivers, resolved, same};
use crate::repository::sha1_hex;
use crate::suite::{ok, pattern, within};

/// All stories.
pub async fn run(publish: &impl AsyncFn(Bytes) -> Published) {
    let file = pattern(100_003);
    let published = publish(file.clone()).await;
    let provider = &*published.open().await;
    a_published_file_is_offered(provider, &published, &file).await;
    what_is_not_there_is_an_error(provider, &published).await;
    what_is_for_another_is_not_served(provider, &published).await;
    a_wish_without_sense_is_an_error(provider, &published.wanted).await;
    what_is_listed_is_what_there_is(provider, &published).await;
    delivers(provider, &published.wanted, &file).await;
    a_restart_changes_nothing(publish).await;
    a_file_that_vanished_is_an_error(publish).await;
}

async fn a_published_file_is_offered(
    provider: &dyn WpkProvider,
    published: &Published,
    file: &Bytes,
) {
    let wanted = &published.wanted;
    assert!(
        provider.serves(wanted),
        "the wish is not served: {wanted:?}"
    );
    assert!(
        within("would_serve", provider.would_serve(wanted)).await,
        "the wish is served by one answer and not by the other: {wanted:?}"
    );
    let offer = resolved(provider, wanted).await;
    is_well_formed(&offer);
    let sha1 = offer.sha1.map(|sha1| sha1.to_string());
    match &offer.source {
        OfferSource::Download(_) => {
            assert_eq!(sha1, Some(sha1_hex(file)), "the digest of the offer");
        }
        OfferSource::Local(path) => {
            assert!(path.is_absolute(), "the path of a local file: {path:?}");
            assert!(sha1.is_none_or(|sha1| sha1 == sha1_hex(file)));
        }
    }
    let again = resolved(provider, wanted).await;
    assert_eq!(offer, again, "the same wish has the same answer");
    let bytes = ok("fetching the file", bytes_of(provider, &offer).await);
    same(&bytes, file);
}

fn is_well_formed(offer: &Offer) {
    let name = offer.file_name.as_str();
    let bare = (1..=200).contains(&name.len())
        && !matches!(name, "." | "..")
        && !name.contains(|c: char| c.is_control() || matches!(c, '/' | '\\'));
    assert!(bare, "{name:?} is no bare file name of 1 to 200 bytes");
    let json = ok("writing an offer as JSON", serde_json::to_string(offer));
    let read: Offer = ok("reading it", serde_json::from_str(&json));
    assert_eq!(&read, offer);
}

async fn what_is_not_there_is_an_error(provider: &dyn WpkProvider, published: &Published) {
    for wanted in &published.missing {
        assert!(provider.serves(wanted), "{wanted:?}");
        match within("resolve", provider.resolve(wanted)).await {
            Err(
                ProviderError::NoPackage(why)
                | ProviderError::NotListed(why)
                | ProviderError::NoFile(why),
            ) => assert!(!why.is_empty(), "the error must say what is missing"),
            Err(ProviderError::NotReachable(why)) => panic!(
                "what is merely missing must not look like a repository that is down \
                 (code 14): {why}"
            ),
            Ok(offer) => panic!("{wanted:?} was to be missing and is {offer:?}"),
        }
    }
}

async fn what_is_for_another_is_not_served(provider: &dyn WpkProvider, published: &Published) {
    for wanted in &published.foreign {
        assert!(
            !provider.serves(wanted),
            "{wanted:?} is for another provider"
        );
        let would = within("would_serve", provider.would_serve(wanted)).await;
        assert!(!would, "{wanted:?} is for another provider");
        let resolved = within("resolve", provider.resolve(wanted)).await;
        assert!(resolved.is_err(), "{wanted:?} was answered by {resolved:?}");
    }
}

/// Wishes that pass the rules and still have no answer.
async fn a_wish_without_sense_is_an_error(provider: &dyn WpkProvider, wanted: &Wanted) {
    match wanted {
        Wanted::Release(release) => {
            for text in ["", "str", "v4", "../../v4.14.9", "v4.14.9\n", "\u{0}"] {
                let wish = Wanted::Release(WantedRelease {
                    target: Target::Invalid(text.to_owned()),
                    ..release.clone()
                });
                if !provider.serves(&wish) {
                    continue;
                }
                let resolved = within("resolve", provider.resolve(&wish)).await;
                assert!(
                    matches!(resolved, Err(ProviderError::NotListed(_))),
                    "{text:?} is no version, so it is not listed (code 15): {resolved:?}"
                );
            }
        }
        Wanted::File(_) => {
            for path in [None, Some(""), Some("/"), Some(".."), Some("a\u{0}b")] {
                let wish = Wanted::File(WantedFile {
                    path: path.map(Into::into),
                });
                if !provider.serves(&wish) {
                    continue;
                }
                let resolved = within("resolve", provider.resolve(&wish)).await;
                assert!(
                    matches!(resolved, Err(ProviderError::NoFile(_))),
                    "{path:?} names no file (code 16): {resolved:?}"
                );
            }
        }
    }
}

/// A provider need not list versions; one that does lists what it offers.
async fn what_is_listed_is_what_there_is(provider: &dyn WpkProvider, published: &Published) {
    let nothing = ok(
        "listing the versions of no wish",
        within("versions", provider.versions(&[])).await,
    );
    assert!(
        nothing
            .as_ref()
            .is_none_or(|listed| listed.versions.is_empty()),
        "no wish, and versions for it: {nothing:?}"
    );
    let Wanted::Release(release) = &published.wanted else {
        return;
    };
    // The target of a wish is not what is asked.
    let wish = WantedRelease {
        target: Target::Latest,
        ..release.clone()
    };
    let listed = ok(
        "listing versions",
        within("versions", provider.versions(&[wish])).await,
    );
    assert_eq!(
        listed.is_some(),
        nothing.is_some(),
        "a provider lists versions or it does not, whatever is wished for"
    );
    let Some(listed) = listed else { return };
    assert!(
        listed.incomplete.is_empty(),
        "everything can be reached, and something is missing: {:?}",
        listed.incomplete
    );
    let listed = listed.versions;
    if let Target::Exactly(version) = release.target {
        assert!(
            listed.contains(&version),
            "{version} is published and not listed: {listed:?}"
        );
    }
    for missing in &published.missing {
        let Wanted::Release(missing) = missing else {
            continue;
        };
        if let Target::Exactly(version) = missing.target
            && missing.platform == release.platform
        {
            assert!(
                !listed.contains(&version),
                "{version} is missing and listed"
            );
        }
    }
}

async fn a_restart_changes_nothing(publish: &impl AsyncFn(Bytes) -> Published) {
    let file = pattern(4_099);
    let published = publish(file.clone()).await;
    let before = published.open().await;
    let offer = resolved(&*before, &published.wanted).await;
    drop(before);
    let after = published.open().await;
    assert_eq!(
        resolved(&*after, &published.wanted).await,
        offer,
        "the offer after a restart"
    );
    let bytes = bytes_of(&*after, &offer).await;
    same(&ok("fetching an offer of before the restart", bytes), &file);
}

async fn a_file_that_vanished_is_an_error(publish: &impl AsyncFn(Bytes) -> Published) {
    let published = publish(pattern(70_001)).await;
    let provider = published.open().await;
    let offer = resolved(&*provider, &published.wanted).await;
    let Some(take_away) = &published.take_away else {
        return;
    };
    take_away();
    match bytes_of(&*provider, &offer).await {
        Err(ProviderError::NoFile(why)) => assert!(!why.is_empty()),
        other => panic!(
            "the file is gone (code 16), but fetching it gave {:?}",
            other.map(|bytes| bytes.len())
        ),
    }
    match within("resolve", provider.resolve(&published.wanted)).await {
        Ok(offer) => assert!(
            matches!(offer.source, OfferSource::Download(_)),
            "a local file is offered that is not there"
        ),
        Err(ProviderError::NoFile(_) | ProviderError::NotListed(_)) => {}
        Err(other) => panic!("the file is gone, but resolving it said: {other}"),
    }
}
