//! Selectors: what matches, what is refused and where, and that they print as they read.

use proptest::prelude::*;
use wpk_api::{AgentId, ConnectionStatus};
use wpk_rollout::{Member, Selector};

fn member() -> Member {
    let mut member = Member::new(AgentId::new(42).unwrap());
    member.name = Some("web-lyon-1".to_owned());
    member.groups = vec!["prod".to_owned(), "fr".to_owned()];
    member.labels = [("site".to_owned(), "lyon".to_owned())].into();
    member.version = Some("v4.14.3".parse().unwrap());
    member.platform = Some("ubuntu".to_owned());
    member.arch = Some("x86_64".to_owned());
    member.site = Some("lyon".parse().unwrap());
    member.node = Some("node01".to_owned());
    member.status = ConnectionStatus::Active;
    member
}

#[test]
fn conditions_hold_or_not() {
    let member = member();
    for (text, wanted) in [
        ("group = prod", true),
        ("group = pro", false),
        ("group != de", true),
        ("group != fr", false),
        ("label.site = lyon", true),
        ("label.rack = 1", false),
        ("label.rack != 1", true),
        ("name = web-*", true),
        ("name = *lyon*", true),
        ("name = web", false),
        ("name in (db-1, web-lyon-*)", true),
        ("id = 42", true),
        ("id in (1, 40-50)", true),
        ("id = 43-50", false),
        ("id != 40-50", false),
        ("id < 42", false),
        ("id <= 42 and id >= 42", true),
        ("version < v4.14.7", true),
        ("version < v4.14", false),
        ("version < 4.15", true),
        ("version >= v4.14", true),
        ("version >= v4.15", false),
        ("version >= 4.14.3", true),
        ("version in (v4.14.2, v4.14.3)", true),
        ("platform = ubuntu and arch = x86_64", true),
        ("site = lyon and node = node01", true),
        ("status = active", true),
        ("status != active", false),
        ("not group = prod or not group = de", true),
        ("not (group = prod or group = de)", false),
        ("group = de and group = xx or group = fr", true),
        ("group = de and (group = xx or group = fr)", false),
        ("GROUP = prod".to_lowercase().leak(), true),
        ("NOT group = prod AND id = 42", false),
        ("label.site = \"lyon\"", true),
    ] {
        let selector = Selector::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(selector.matches(&member), wanted, "{text}");
    }
}

#[test]
fn what_is_not_known_equals_nothing() {
    let nobody = Member::new(AgentId::new(7).unwrap());
    for field in [
        "version = v4.1.0",
        "version < v4.1.0",
        "name = *",
        "site = a",
        "group = a",
    ] {
        assert!(!Selector::parse(field).unwrap().matches(&nobody), "{field}");
    }
    for field in [
        "version != v4.1.0",
        "name != a",
        "platform != a",
        "label.a != a",
    ] {
        assert!(Selector::parse(field).unwrap().matches(&nobody), "{field}");
    }
}

#[test]
fn mistakes_are_told_with_their_column() {
    for (text, column, words) in [
        ("", 1, "a field is expected"),
        ("   ", 4, "a field is expected"),
        ("grup = prod", 1, "\"grup\" is no field: write group"),
        ("group = prod adn id = 3", 14, "\"and\", \"or\" or the end"),
        ("group prod", 7, "=, !=, <"),
        ("group < prod", 7, "compares id and version only"),
        ("group =", 8, "a value for group is expected"),
        ("group = and", 9, "put it in quotes"),
        ("(group = a", 11, "\")\" is expected"),
        ("group = a)", 10, "closes nothing"),
        ("id = 10-5", 6, "no id and no range"),
        ("id = 99999999999", 6, "no id and no range"),
        ("id < 1-5", 6, "not a range"),
        ("id in 1, 2", 7, "\"(\" is expected after \"in\""),
        ("id in (1 2)", 10, "\",\" or \")\""),
        ("id in ()", 8, "a value for id"),
        ("version = 4.14", 11, "write vX.Y.Z"),
        ("version <= v4.14", 12, "only < and >= compare with"),
        ("version in (v4.14)", 13, "several versions"),
        ("version < v4", 11, "is no version"),
        ("version < v4.x", 11, "is no version"),
        (
            "status = asleep",
            10,
            "active, pending, disconnected or never_connected",
        ),
        ("group = web*", 9, "in name only"),
        ("label. = a", 1, "the key of a label"),
        ("name = \"a", 8, "quotes are not closed"),
        ("name = \"a\\n\"", 10, "may stand behind"),
        ("not", 4, "a field is expected"),
        ("group = é and grup = a", 15, "no field"),
    ] {
        let error = Selector::parse(text).unwrap_err();
        assert_eq!(error.column, column, "{text}: {error}");
        assert!(error.message.contains(words), "{text}: {error}");
    }
}

#[test]
fn depth_length_and_lists_have_limits() {
    let deep = |n: usize| format!("{}id = 1{}", "(".repeat(n), ")".repeat(n));
    assert!(Selector::parse(&deep(32)).is_ok());
    let error = Selector::parse(&deep(33)).unwrap_err();
    assert_eq!(error.column, 34, "{error}");
    assert!(Selector::parse(&format!("{}id = 1", "not ".repeat(33))).is_err());
    let long = format!("name = {}", "a".repeat(4090));
    assert!(
        Selector::parse(&long)
            .unwrap_err()
            .message
            .contains("4096 bytes")
    );
    let many = format!("id in ({})", ["1"; 1001].join(","));
    assert!(
        Selector::parse(&many)
            .unwrap_err()
            .message
            .contains("1000 values")
    );
}

#[test]
fn brackets_are_kept_where_they_mean_something() {
    for (text, shown) in [
        (
            "(group = a or group = b) and id=1",
            "(group = a or group = b) and id = 1",
        ),
        (
            "((group = a) or (group = b and id = 1))",
            "group = a or group = b and id = 1",
        ),
        ("not (group = a)", "not group = a"),
        ("not not group = a", "not not group = a"),
        (
            "not (group = a and id = 1-3)",
            "not (group = a and id = 1-3)",
        ),
        (
            "name = \"a b\" AND name != \"or\"",
            "name = \"a b\" and name != \"or\"",
        ),
        ("label.x = \"\"", "label.x = \"\""),
        (
            "(id = 1 and id = 2) and id = 3",
            "id = 1 and id = 2 and id = 3",
        ),
    ] {
        assert_eq!(Selector::parse(text).unwrap().to_string(), shown);
    }
}

fn condition() -> impl Strategy<Value = String> {
    prop_oneof![
        (
            "(group|platform|arch|site|node)",
            "(=|!=)",
            "[a-z][a-z0-9_.-]{0,5}x"
        )
            .prop_map(|(f, o, v)| format!("{f} {o} {v}")),
        (
            "(name|label\\.[a-z]{1,4})",
            "(=|!=)",
            "[ -!#-\\[\\]-~]{0,8}"
        )
            .prop_map(|(f, o, v)| format!("{f} {o} \"{v}\"")),
        ("(=|!=|<|<=|>|>=)", 0u32..9, 0u32..9)
            .prop_map(|(o, a, b)| format!("version{o}v{a}.{b}.0")),
        (0u32..100, 0u32..100).prop_map(|(a, b)| format!("id in ({a}, {a}-{})", a + b)),
        Just("status != disconnected".to_owned()),
    ]
}

fn selector() -> impl Strategy<Value = String> {
    condition().prop_recursive(5, 24, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|a| format!("not {a}")),
            inner.clone().prop_map(|a| format!("( {a} )")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} and {b}")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("({a} or {b})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn selectors_print_as_they_read(text in selector()) {
        let read = Selector::parse(&text).unwrap();
        let again = Selector::parse(&read.to_string()).unwrap();
        prop_assert_eq!(&read, &again);
        prop_assert_eq!(read.matches(&member()), again.matches(&member()));
    }

    #[test]
    fn no_text_makes_it_panic(text in "[a-z=!<>()\" ,.*\\\\0-9é-]{0,60}") {
        if let Err(error) = Selector::parse(&text) {
            prop_assert!(error.column <= text.chars().count() + 1);
        }
    }
}
