//! Definitions: the example of the guide, every mistake with its key, and the digest.

use wpk_rollout::{Amount, Definition, Rate, Releases};

const WHOLE: &str = r#"
[[site]]
name = "lyon"
select = "label.site = lyon or group = fr"
time_zone = "Europe/Paris"
windows = ["Mon-Thu 22:00-05:00"]
max_concurrent = "5%"
bandwidth = "20Mbit/s"

[[rollout]]
name = "prod"
select = "group = prod and not label.frozen = yes and version < v4.14.7"
target = "v4.14.7"
not_before = "2026-12-05T00:00:00Z"
deadline = "14d"
retries = 2
exclude = [12, 40]

  [[rollout.wave]]
  name = "canary"
  size = 20
  min_sample = 20
  max_failures = 1
  soak = "2h"
  strict = true

  [[rollout.wave]]
  name = "rest"
  size = "100%"
  max_failures = "1%"
  soak = "30m"
"#;

#[test]
fn the_example_is_read() {
    let read = Definition::from_toml(WHOLE).unwrap();
    let sites = read.sites.as_ref().unwrap();
    assert_eq!(sites.sites.len(), 2, "lyon and default");
    assert_eq!(sites.sites[0].bandwidth, Some(Rate(2_500_000)));
    let rollout = &read.rollouts[0];
    assert_eq!(rollout.exclude.len(), 2);
    assert_eq!(rollout.waves[0].size, Amount::Number(20));
    assert_eq!(rollout.waves[1].max_failures, Amount::Percent(100));
    assert!(rollout.waves[0].strict && !rollout.waves[1].strict);
    assert_eq!(read.releases, None, "those that were there before stay");
    assert_eq!(Releases::default().0.len(), 1);
}

#[test]
fn toml_json_and_spelling_mean_the_same() {
    let read = Definition::from_toml(WHOLE).unwrap();
    let spelled = WHOLE
        .replace("\"2h\"", "\"120m\"")
        .replace("group = prod and not", "(group=\\\"prod\\\") AND NOT")
        .replace("\"2026-12-05T00:00:00Z\"", "2026-12-05T01:00:00+01:00")
        .replace("\"20Mbit/s\"", "\"20000kbit/s\"");
    assert_ne!(spelled, WHOLE);
    let again = Definition::from_toml(&spelled).unwrap();
    assert_eq!(read.digest(), again.digest());
    let json = serde_json::json!({"rollout": [{
        "name": "a", "select": "group = a", "target": "v4.14.7",
        "wave": [{"name": "all", "size": "100%"}],
    }]});
    let toml = "[[rollout]]\nname='a'\nselect='group=a'\ntarget='4.14.7'\n\
                [[rollout.wave]]\nname='all'\nsize='100%'";
    let json = Definition::from_json(&json.to_string()).unwrap();
    assert_eq!(json.digest(), Definition::from_toml(toml).unwrap().digest());
    let other = WHOLE.replace("max_failures = 1\n", "max_failures = 2\n");
    assert_ne!(
        read.digest(),
        Definition::from_toml(&other).unwrap().digest()
    );
}

/// The mistakes that a change of the example makes.
fn told(from: &str, to: &str) -> Vec<String> {
    assert!(WHOLE.contains(from), "{from}");
    match Definition::from_toml(&WHOLE.replacen(from, to, 1)) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn every_mistake_is_told_with_its_key_and_what_to_write() {
    let rollout = "[[rollout]] \"prod\": ";
    let canary = "[[rollout]] \"prod\": [[rollout.wave]] \"canary\": ";
    let lyon = "[[site]] \"lyon\": ";
    let cases: &[(&str, &str, String)] = &[
        (
            "Europe/Paris",
            "Lyon",
            format!("{lyon}time_zone: \"Lyon\" is no time zone: write"),
        ),
        (
            "Mon-Thu 22:00-05:00",
            "Mon 22:00",
            format!("{lyon}windows: \"Mon 22:00\" is no window"),
        ),
        (
            "[\"Mon-Thu 22:00-05:00\"]",
            "[]",
            format!("{lyon}windows: is empty"),
        ),
        (
            "\"5%\"",
            "0",
            format!("{lyon}max_concurrent: must be at least 1"),
        ),
        (
            "20Mbit/s",
            "20 bits",
            format!("{lyon}bandwidth: \"20 bits\" is no bandwidth"),
        ),
        (
            "label.site = lyon or",
            "site = lyon or",
            format!("{lyon}select: a site cannot ask"),
        ),
        (
            "select = \"label.site = lyon or group = fr\"",
            "",
            format!("{lyon}select: is missing"),
        ),
        (
            "name = \"lyon\"",
            "name = \"a b\"",
            "[[site]] \"a b\": name: \"a b\" is no name".into(),
        ),
        (
            "name = \"lyon\"",
            "nmae = \"x\"",
            "[[site]] number 1: nmae: unknown field `nmae`".into(),
        ),
        (
            "group = prod",
            "grup = prod",
            format!("{rollout}select: column 1: \"grup\" is no field"),
        ),
        (
            "\"v4.14.7\"\n",
            "\"4.14\"\n",
            format!("{rollout}target: \"4.14\" is no version: write"),
        ),
        (
            "target = \"v4.14.7\"",
            "",
            format!("{rollout}target: is missing: write target ="),
        ),
        (
            "target =",
            "file = \"x.wpk\"\ntarget =",
            format!("{rollout}file: must be the full path"),
        ),
        (
            "2026-12-05T00:00:00Z",
            "tomorrow",
            format!("{rollout}not_before: \"tomorrow\" is no"),
        ),
        (
            "14d",
            "two weeks",
            format!("{rollout}deadline: \"two weeks\" is no duration"),
        ),
        (
            "retries = 2",
            "retries = 99",
            format!("{rollout}retries: 99 is outside 0 to 20"),
        ),
        (
            "retries = 2",
            "retires = 2",
            format!("{rollout}retires: unknown field `retires`"),
        ),
        (
            "[12, 40]",
            "[-1]",
            format!("{rollout}exclude: -1 is no agent id"),
        ),
        (
            "size = 20",
            "size = \"x\"",
            format!("{canary}size: \"x\" is no number and no percent"),
        ),
        (
            "min_sample = 20",
            "min_sample = 21",
            format!("{canary}min_sample: 21 agents can never"),
        ),
        (
            "soak = \"2h\"",
            "soak = \"0s\"",
            format!("{canary}soak: must be at least"),
        ),
        (
            "size = \"100%\"",
            "size = \"50%\"",
            format!("{rollout}wave: \"rest\": the last wave"),
        ),
        (
            "size = \"100%\"",
            "size = 10",
            format!("{rollout}wave: \"rest\": size 10 leaves"),
        ),
        (
            "name = \"rest\"",
            "name = \"canary\"",
            format!("{rollout}wave: two waves are named"),
        ),
        (
            "[[rollout]]",
            "[[rolout]]\na=1\n[[rollout]]",
            "rolout: is not known here: write".into(),
        ),
        (
            "[[site]]",
            "[[release]]\nversion='v5.0.0'\nfloors=['v5.0.0']\n[[site]]",
            "[[release]] \"v5.0.0\": floors: v5.0.0 is not below v5.0.0".into(),
        ),
        (
            "[[site]]",
            "site = 3 #",
            "site: must be a list: write [[site]]".into(),
        ),
        ("[[site]]", "[[site", "line 2: ".into()),
    ];
    for (from, to, wanted) in cases {
        let told = told(from, to);
        assert!(
            told.iter().any(|one| one.starts_with(wanted)),
            "{to}: {told:#?}"
        );
    }
}

#[test]
fn mistakes_come_together() {
    let text = WHOLE
        .replace("Europe/Paris", "Lyon")
        .replace("14d", "x")
        .replace("\"2h\"", "5");
    let problems = Definition::from_toml(&text).unwrap_err();
    assert_eq!(problems.len(), 3, "{problems:#?}");
}

#[test]
fn waves_are_needed_and_names_are_there_once() {
    let none = "[[rollout]]\nname='a'\nselect='group=a'\ntarget='v4.14.7'\n";
    let problems = Definition::from_toml(none).unwrap_err();
    assert!(
        problems[0].to_string().contains("[[rollout.wave]]"),
        "{problems:?}"
    );
    let wave = "[[rollout.wave]]\nname='all'\nsize='100%'\n";
    let twice = format!("{none}{wave}{none}{wave}");
    let problems = Definition::from_toml(&twice).unwrap_err();
    assert!(
        problems[0].to_string().contains("is there twice"),
        "{problems:?}"
    );
    for nonsense in [
        "[[rollout]]\nwave = 3",
        "rollout = 3",
        "site = [3]",
        "=",
        "a",
    ] {
        assert!(Definition::from_toml(nonsense).is_err(), "{nonsense}");
    }
    assert!(Definition::from_json("[]").is_err());
    let long = format!("# {}", "x".repeat(1 << 20));
    assert!(Definition::from_toml(&long).is_err());
}

#[test]
fn a_start_in_the_past_is_refused_unless_it_was_applied() {
    let read = Definition::from_toml(WHOLE).unwrap();
    let start = read.rollouts[0].not_before.unwrap().0;
    assert!(read.late(&[], start).is_empty());
    let late = read.late(&[], start + 1);
    assert!(
        late[0]
            .to_string()
            .starts_with("[[rollout]] \"prod\": not_before: 2026-12-05T00:00:00Z is in the past"),
        "{late:?}"
    );
    assert!(read.late(&read.rollouts, start + 1).is_empty());
}
