//! How much may lie in the cache, and what has to go.

use super::*;

/// A file of 1,000 bytes that are all the same, under a name of its own.
fn file(holder: &Arc<Holder>) -> Resolved {
    let mut resolved = holder.offer();
    resolved.offer.file_name = format!("{}.wpk", holder.content[0]);
    resolved.offer.source = OfferSource::Download(resolved.offer.file_name.clone());
    resolved
}

fn holders<const N: usize>() -> [Arc<Holder>; N] {
    std::array::from_fn(|n| Holder::of(vec![u8::try_from(n).unwrap(); 1000]))
}

/// The names in the cache, sorted.
fn kept(home: &TempDir) -> Vec<String> {
    let mut names: Vec<_> = names(home)
        .into_iter()
        .map(|name| name.into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Makes a file look as if it had been used last `ago` seconds ago.
fn age(home: &TempDir, name: &str, ago: u64) {
    let file = std::fs::File::open(home.path().join("wpks").join(name)).unwrap();
    let used = std::time::SystemTime::now() - Duration::from_secs(ago);
    let times = std::fs::FileTimes::new().set_accessed(used);
    file.set_times(times).unwrap();
}

#[tokio::test]
async fn what_was_used_longest_ago_gives_way_also_after_a_restart() {
    let home = TempDir::new().unwrap();
    let sizes = sizes(1000, Some(3000));
    let [a, b, c, d] = holders();
    let cache = opened(&home, &sizes);
    for holder in [&a, &b, &c] {
        cache.get(&file(holder)).await.unwrap();
    }
    drop(cache);
    for (name, ago) in [("0.wpk", 500), ("1.wpk", 900), ("2.wpk", 100)] {
        age(&home, name, ago);
    }
    let cache = opened(&home, &sizes);
    cache.get(&file(&d)).await.unwrap();
    assert_eq!(kept(&home), ["0.wpk", "2.wpk", "3.wpk"]);
    // A use counts.
    cache.get(&file(&a)).await.unwrap();
    assert_eq!(a.fetched(), 1);
    cache.get(&file(&b)).await.unwrap();
    assert_eq!(kept(&home), ["0.wpk", "1.wpk", "3.wpk"]);
}

#[tokio::test]
async fn what_is_being_sent_stays_and_what_does_not_fit_says_why() {
    let home = TempDir::new().unwrap();
    let cache = opened(&home, &sizes(1000, Some(2000)));
    let [a, b, c] = holders();
    let sent = cache.get(&file(&a)).await.unwrap();
    // Another delivery of the same file that ended.
    drop(cache.get(&file(&a)).await.unwrap());
    let also_sent = cache.get(&file(&b)).await.unwrap();
    let failure = cache.get(&file(&c)).await.unwrap_err();
    assert_eq!(failure.code, UpgradeCode::Unknown);
    for words in ["cache.max_total (2000 bytes)", "2000 are in use"] {
        assert!(failure.cause.contains(words), "{failure}");
    }
    assert_eq!(kept(&home), ["0.wpk", "1.wpk"], "nothing went in vain");
    drop(also_sent);
    cache.get(&file(&c)).await.unwrap();
    assert_eq!(kept(&home), ["0.wpk", "2.wpk"]);
    drop(sent);
}

#[tokio::test]
async fn nothing_that_somebody_else_put_there_is_removed_or_counted() {
    let home = TempDir::new().unwrap();
    std::fs::create_dir(home.path().join("wpks")).unwrap();
    let own = home.path().join("wpks/own.wpk");
    std::fs::write(&own, [9; 5000]).unwrap();
    let cache = opened(&home, &sizes(1000, Some(1000)));
    let [a, b] = holders();
    cache.get(&file(&a)).await.unwrap();
    cache.get(&file(&b)).await.unwrap();
    assert_eq!(kept(&home), ["1.wpk", "own.wpk"]);
    // The list is only a list of names: it can point nowhere else.
    drop(cache);
    let outside = home.path().join("outside");
    std::fs::write(&outside, [9; 5000]).unwrap();
    let list = "../outside\n/etc\n..\n\n1.wpk\nwpks/own.wpk\n";
    std::fs::write(home.path().join("wpks").join(INDEX), list).unwrap();
    let cache = opened(&home, &sizes(1000, Some(1000)));
    cache.get(&file(&a)).await.unwrap();
    assert_eq!(kept(&home), ["0.wpk", "own.wpk"]);
    assert!(outside.exists());
}

#[tokio::test]
async fn a_lower_limit_counts_at_once() {
    let home = TempDir::new().unwrap();
    let cache = opened(&home, &sizes(1000, None));
    let [a, b, c] = holders();
    for (holder, ago) in [(&a, 30), (&b, 20), (&c, 10)] {
        let file = cache.get(&file(holder)).await.unwrap();
        age(&home, &file.name, ago);
    }
    drop(cache);
    let cache = opened(&home, &sizes(1000, Some(2500)));
    assert_eq!(kept(&home), ["1.wpk", "2.wpk"]);
    cache.set_limits(&sizes(1000, Some(1000)));
    let one = wpk_testkit::wait_until(Duration::from_secs(20), async || {
        (kept(&home) == ["2.wpk"]).then_some(())
    });
    one.await.expect("it is still too much");
}

#[tokio::test]
async fn downloads_under_way_count() {
    let home = TempDir::new().unwrap();
    let cache = opened(&home, &sizes(1000, Some(1500)));
    let [a, b] = holders();
    let folder = cache.folder.clone();
    let mut claim = folder.claim();
    claim.grow(1000).unwrap();
    let failure = cache.get(&file(&a)).await.unwrap_err();
    assert!(failure.cause.contains("cache.max_total"), "{failure}");
    drop(claim);
    cache.get(&file(&b)).await.unwrap();
    assert_eq!(kept(&home), ["1.wpk"]);
}
