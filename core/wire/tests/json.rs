//! What the lenient reader makes of a text, value by value.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use serde_json::{Value, json};
use wpk_wire::json::{JsonError, integer, parse};

#[test]
fn texts_and_their_values() {
    let cases: [(&[u8], Value); 21] = [
        (b"\xef\xbb\xbf 1 trailing", json!(1)),
        (b" \t\r\n[ ]x", json!([])),
        (b"{ }", json!({})),
        (
            b"[1 , [2]\n,{\"a\" : {} , \"b\":[]} ]",
            json!([1, [2], {"a": {}, "b": []}]),
        ),
        (b"{\"a\":1,\"a\":2}", json!({"a": 2})),
        (b"[true,false,null]", json!([true, false, null])),
        (b"-0", json!(0)),
        (b"007", json!(7)),
        (b"1.", json!(1.0)),
        (b"1.50", json!(1.5)),
        (b"2E+2", json!(200.0)),
        (b"5e-1", json!(0.5)),
        (b"-9223372036854775808", json!(i64::MIN)),
        (b"18446744073709551615", json!(u64::MAX)),
        (
            b"18446744073709551616",
            json!(18_446_744_073_709_551_616.0_f64),
        ),
        (b"1e400", json!(f64::MAX)),
        (b"-1e400", json!(f64::MIN)),
        (br#""\"\\\/\b\f\n\r\t""#, json!("\"\\/\u{8}\u{c}\n\r\t")),
        (b"\"a\nb\x01\"", json!("a\nb\u{1}")),
        (b"\"a\xffb\"", json!("a\u{fffd}b")),
        (
            br#""\u0041\u00e9\uD7FF\ue000""#,
            json!("Aé\u{d7ff}\u{e000}"),
        ),
    ];
    for (text, value) in cases {
        let shown = String::from_utf8_lossy(text);
        assert_eq!(parse(text).unwrap(), value, "{shown}");
    }
}

#[test]
fn surrogates_come_in_pairs() {
    for (pair, character) in [
        (r"\ud800\udc00", '\u{10000}'),
        (r"\udbff\udfff", '\u{10ffff}'),
        (r"\ud83d\ude00", '\u{1f600}'),
        (r"\ud801\udc37", '\u{10437}'),
    ] {
        let text = format!("\"{pair}\"");
        assert_eq!(parse(text.as_bytes()).unwrap(), json!(character), "{pair}");
    }
    for bad in [
        r"\ud800",
        r"\udbff x",
        r"\udc00",
        r"\udfff",
        r"\ud800\udbff",
        r"\ud800\ue000",
        r"\ud800\u00e9",
        r"\ud800/udc00",
    ] {
        let text = format!("\"{bad}\"");
        assert!(parse(text.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn mistakes_are_named_with_their_place() {
    let error = |text: &str| parse(text.as_bytes()).unwrap_err();
    let at = |offset, reason| JsonError { offset, reason };
    for (text, expected) in [
        ("", at(0, "the text ends where a value is expected")),
        ("  ?", at(2, "a value expected")),
        ("trux", at(0, "a value expected")),
        ("[1 2]", at(3, "`,` or `]` expected")),
        ("[1,]", at(3, "a value expected")),
        ("{\"a\":1;", at(6, "`,` or `}` expected")),
        ("{\"a\":1, }", at(8, "a key in quotes expected")),
        ("{\"a\" 1}", at(5, "`:` expected after a key")),
        ("{a:1}", at(1, "a key in quotes expected")),
        ("-x", at(1, "a digit expected")),
        ("1e+x", at(3, "a digit expected in the exponent")),
        ("\"abc", at(4, "the text ends inside a string")),
        ("\"a\\", at(3, "the text ends inside a string")),
        ("\"\\q\"", at(2, "no such escape")),
        ("\"\\u12\"", at(3, "four hexadecimal digits expected")),
        ("\"\\u12g4\"", at(3, "four hexadecimal digits expected")),
    ] {
        assert_eq!(error(text), expected, "{text}");
    }
}

#[test]
fn whole_numbers() {
    for (text, number) in [
        ("7", Some(7)),
        ("-7", Some(-7)),
        ("7.0", Some(7)),
        ("1e3", Some(1000)),
        ("-0.0", Some(0)),
        ("9223372036854775807", Some(i64::MAX)),
        ("9223372036854775808", Some(i64::MAX)),
        ("1e300", Some(i64::MAX)),
        ("-1e300", Some(i64::MIN)),
        ("0.5", None),
        ("-1.5", None),
        ("\"7\"", None),
        ("true", None),
        ("null", None),
        ("[7]", None),
    ] {
        let value = parse(text.as_bytes()).unwrap();
        assert_eq!(integer(&value), number, "{text}");
    }
}
